"""Wakes the cases of recalls: of a new notice, of a late use or new stock of what is recalled, and one whose run was stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from canonical.errors import FasciaError

EVERY = 5.0  # seconds until a new notice has its case
LOOK_EVERY = timedelta(seconds=30)  # at what recalls have met since: their lots are stopped meanwhile in any case

log = structlog.get_logger(__name__)


class Wakeable(Protocol):
    """Recalls whose cases are to look."""

    async def wake(self, at: datetime, *, look: bool = True) -> Sequence[str]: ...


class RecallRuns(Protocol):
    """Their cases in Temporal."""

    async def wake(self, number: str) -> None: ...


class RecallWakes:
    """One round finds what recalls have met since, and wakes their cases. One that is not answered is woken in the next round."""

    def __init__(
        self, recalls: Wakeable, runs: RecallRuns, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._recalls, self._runs, self._clock = recalls, runs, clock
        self._looked: datetime | None = None

    async def once(self) -> None:
        """Wake whoever is to look."""
        now = self._clock()
        look = self._looked is None or now - self._looked >= LOOK_EVERY
        woken = await self._recalls.wake(now, look=look)
        self._looked = now if look else self._looked
        for number in woken:
            try:
                await self._runs.wake(number)
            except FasciaError as away:
                log.warning("a recall's case is not woken", recall=number, problem=away.message)
                return  # Temporal is away: the rest waits with it
