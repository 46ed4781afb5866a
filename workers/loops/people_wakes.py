"""Wakes the cases about people that are to look: access, then facilities' cases; and revocations in rounds of their own.

Who was woken and has not looked is woken again ever more seldom: a run holds so many signals and no more, and each wakes it when it
comes back. One that cannot be woken holds up no other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from canonical.errors import FasciaError, Unavailable
from canonical.people_ports import WakeOfPerson

EVERY = 2.0  # seconds until somebody's case has heard of what changed
REVOKE_EVERY = 1.0
AT_ONCE = 10  # revocations begun side by side
MOST = 200  # of each process that are woken in one round
AGAIN_WITHIN = timedelta(minutes=10)  # for whoever does not look, at the most
NOT_OURS_AFTER = 3  # times without a look: perhaps it is no run of ours that has the name
AWAY_AFTER = 3  # of them in a row without an answer: Temporal is away, and the rest waits with it
REPEAT = timedelta(seconds=60)  # a revocation that is not confirmed is begun again where its run was stopped

log = structlog.get_logger(__name__)


class PeopleToWake(Protocol):
    """Whose cases are to look."""

    async def due(self, repeat_before: datetime) -> Sequence[WakeOfPerson]: ...

    async def revocations(self, repeat_before: datetime) -> Sequence[WakeOfPerson]: ...

    async def revocation_woken(self, person: str, at: datetime) -> None: ...


class PeopleRuns(Protocol):
    """Their cases in Temporal."""

    async def wake(self, wake: WakeOfPerson, *, look: bool = False) -> None: ...


class PeopleWakes:
    """One round wakes whoever is to look. A case answers by looking; one that does not is woken again later and later, and at once
    when something else has changed since. Revocations have rounds of their own: they wait behind nobody who was hired.
    """

    def __init__(
        self, people: PeopleToWake, runs: PeopleRuns, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._people, self._runs, self._clock = people, runs, clock
        self._rung: dict[WakeOfPerson, _Rung] = {}  # by what was asked for: asked for anew is another

    async def revoke(self) -> None:
        """Begin the revocations that are to begin, side by side."""
        now = self._clock()
        wakes = await self._people.revocations(now - REPEAT)
        for first in range(0, len(wakes), AT_ONCE):
            answered = await asyncio.gather(*(self._began(wake, now) for wake in wakes[first : first + AT_ONCE]))
            if not any(answered):
                return  # Temporal is away: the rest waits with it

    async def _began(self, wake: WakeOfPerson, now: datetime) -> bool:
        """Let it run; False where Temporal did not answer."""
        try:
            await self._runs.wake(wake, look=True)
            await self._people.revocation_woken(wake.person, now)
        except FasciaError as problem:
            log.warning("a revocation is not begun", problem=problem.message)
            return not isinstance(problem, Unavailable)
        return True

    async def once(self) -> None:
        """Wake whoever else is to look."""
        now = self._clock()
        due = await self._people.due(now - REPEAT)
        self._rung = {wake: self._rung[wake] for wake in due if wake in self._rung}
        turns, away = Counter[str](), 0
        for wake in due:
            before = self._rung.get(wake, _Rung(at=now, times=0))
            if now < before.next_at or turns[wake.process] >= MOST:
                continue
            turns[wake.process] += 1
            self._rung[wake] = _Rung(at=now, times=before.times + 1)
            try:
                await self._runs.wake(wake, look=before.times >= NOT_OURS_AFTER)
                away = 0
            except FasciaError as problem:
                log.warning("a person's case is not woken", process=wake.process, problem=problem.message)
                away = away + 1 if isinstance(problem, Unavailable) else 0
                if away == AWAY_AFTER:
                    return


@dataclass(frozen=True, slots=True)
class _Rung:
    """When somebody was woken last, and how often without having looked."""

    at: datetime
    times: int

    @property
    def next_at(self) -> datetime:
        """When they are woken again."""
        if not self.times:
            return self.at
        return self.at + min(timedelta(seconds=EVERY) * (1 << min(self.times, 12)), AGAIN_WITHIN)
