"""Looks after the journal: weeks made ahead, what parked streams hold out of the routers' way, and what is too old deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from store.partitions import StoredPartitions
from store.retention import DAYS, Deleted, KeepFor, StoredRetention
from store.streams import ASIDE_AT_ONCE, StoredStreams

EVERY = 60.0
CLEAN_EVERY = timedelta(hours=1)

log = structlog.get_logger(__name__)

Rules = Callable[[], Awaitable[Sequence[KeepFor]]]


async def no_rules() -> Sequence[KeepFor]:
    """Everything is kept as long as the default says."""
    return ()


class JournalUpkeep:
    """One round a minute; weeks and old messages once an hour. ``rules`` says how long whose messages are kept."""

    def __init__(
        self,
        partitions: StoredPartitions,
        retention: StoredRetention,
        streams: StoredStreams,
        *,
        rules: Rules = no_rules,
        days: int = DAYS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._partitions, self._retention, self._streams = partitions, retention, streams
        self._rules, self._days, self._clock = rules, days, clock
        self._cleaned_at: datetime | None = None

    async def once(self) -> None:
        """Do what is due."""
        while await self._streams.set_aside() >= ASIDE_AT_ONCE:
            pass
        now = self._clock()
        if self._cleaned_at is not None and now - self._cleaned_at < CLEAN_EVERY:
            return
        made = await self._partitions.make_ahead(now)
        deleted = await self._retention.clean(await self._rules(), now, days=self._days)
        self._cleaned_at = now
        if made or deleted != Deleted():
            weeks = [week.monday.isoformat() for week in made]
            log.info("journal looked after", weeks_made=weeks, **deleted.model_dump())
