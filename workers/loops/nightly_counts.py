"""Lets each stock location be compared with the ERP's books: at first sight, and each night at the facility's own time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from canonical.parties import Facility

log = structlog.get_logger(__name__)


class Counts(Protocol):
    """Our store, as far as it says what is to be compared."""

    async def mark_due(self, facility: str, at: datetime, before: datetime) -> Sequence[str]:
        """Let each location of a facility be compared that holds stock and was not compared since ``before``; which those are."""
        ...


class NightlyCounts:
    """``hour``: the local time of day after which a night's comparison is due."""

    def __init__(
        self,
        counts: Counts,
        facilities: Callable[[], Awaitable[Sequence[str]]],
        facility: Callable[[str], Awaitable[Facility | None]],
        hour: time,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._counts = counts
        self._facilities = facilities
        self._facility = facility
        self._hour = hour
        self._clock = clock

    async def once(self) -> None:
        """Mark what is due by now."""
        now = self._clock()
        for code in await self._facilities():
            found = await self._facility(code)
            zone = ZoneInfo(found.calendar.time_zone if found else "UTC")
            marked = await self._counts.mark_due(code, now, night(now, zone, self._hour))
            if marked:
                log.info("counts against the ERP are due", facility=code, locations=len(marked))


def night(now: datetime, zone: ZoneInfo, hour: time) -> datetime:
    """The last moment before ``now`` at which it was that hour there."""
    here = now.astimezone(zone)
    last = datetime.combine(here.date(), hour, zone)
    return last if last <= here else datetime.combine(here.date() - timedelta(days=1), hour, zone)
