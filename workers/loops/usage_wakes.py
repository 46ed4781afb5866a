"""Wakes the case of every stock location that has something to do: used goods, goods that came, a count.

A wake has no content and starts the case where none runs. A location has one unanswered wake at most; one that nobody answered
within ten minutes is repeated, and the first look of a process repeats what another process may have noted and never sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from canonical.errors import FasciaError, Unavailable
from canonical.stock import WakeDue
from canonical.stock_ports import UsagePlaces

REPEAT_AFTER: Final = timedelta(minutes=10)
SENT_BY_NOW: Final = timedelta(seconds=30)  # a wake another process noted is sent, or never will be
AT_ONCE: Final = 32
LONGEST_PAUSE: Final = timedelta(seconds=10)  # between two tries while Temporal does not answer
TROUBLED: Final = timedelta(minutes=1)  # between two tries of what Temporal does not take

log = structlog.get_logger(__name__)


class Waker(Protocol):
    """Temporal's side."""

    async def wake(self, facility: str, location: str) -> str:
        """Signal the location's case, and start it where none runs; the run that has the signal.

        Raises:
            Unavailable: Temporal does not answer.
            Rejected: it will never take this one.
        """
        ...


class UsageWakes:
    """One round wakes whoever is due, many at once; one that cannot be woken keeps no other from it."""

    def __init__(
        self, places: UsagePlaces, waker: Waker, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._places = places
        self._waker = waker
        self._clock = clock
        self._again: dict[
            WakeDue, tuple[datetime, int]
        ] = {}  # who could not be woken: when to try, and how often so far
        self._first = True

    async def once(self) -> None:
        """Wake whoever is due.

        Raises:
            Unavailable: nobody could be woken, since Temporal or our own store does not answer; all are due again.
        """
        now = self._clock()
        due = await self._places.due(now, now - (SENT_BY_NOW if self._first else REPEAT_AFTER))
        self._again = {place: held for place, held in self._again.items() if place in due}
        places = [place for place in due if self._again.get(place, (now, 0))[0] <= now]
        if places:
            await self._places.woken(places, now)
            await self._wake_all(places, now)
        self._first = False

    async def _wake_all(self, places: Sequence[WakeDue], now: datetime) -> None:
        few = asyncio.Semaphore(AT_ONCE)

        async def wake(place: WakeDue) -> Exception | None:
            async with few:
                try:
                    await self._waker.wake(place.facility, place.location)
                except Exception as failed:
                    return failed
                return None

        became = zip(places, await asyncio.gather(*(wake(place) for place in places)), strict=True)
        failed = {place: why for place, why in became if why is not None}
        for place in places:
            if place not in failed:
                self._again.pop(place, None)
        if not failed:
            return
        await self._places.not_woken(list(failed), now)
        for place, why in failed.items():
            self._later(place, why, now)
        away = [why for why in failed.values() if isinstance(why, Unavailable)]
        if len(away) == len(places):
            raise away[0]

    def _later(self, place: WakeDue, why: Exception, now: datetime) -> None:
        times = self._again.get(place, (now, 0))[1] + 1
        longest = LONGEST_PAUSE if isinstance(why, Unavailable) else TROUBLED
        self._again[place] = (now + min(timedelta(seconds=2 ** min(times - 1, 10)), longest), times)
        if isinstance(why, Unavailable) and times == 1:
            return
        problem = why.message if isinstance(why, FasciaError) else f"unexpected {type(why).__name__}"
        about = {"facility": place.facility, "location": place.location, "times": times}
        log.error("location cannot be woken", alert=True, problem=problem, **about)
