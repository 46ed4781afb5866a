"""An HR system is asked within its rate, and not at all for a while after it did not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from canonical.errors import Throttled, Unavailable
from canonical.hr_ports import HrChanges, HrSystem
from store.standing import Standing
from workers.loops.breaker import Breaker

OPEN_AFTER, OPEN_FOR = 5, timedelta(seconds=60)  # rounds in a row without an answer; then nothing is asked for so long
SYSTEM: Final = "hr"


class Paced:
    """Lets calls go ``per_second`` at the most, evenly; before each, whoever makes it waits for its turn. One loop asks alone."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._apart, self._clock, self._sleep = 1 / per_second, clock, sleep
        self._next = 0.0

    async def __call__(self, _: object) -> None:
        """Wait for the turn."""
        now = self._clock() if self._clock is not None else asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._apart
        if turn > now:
            await self._sleep(turn - now)


class GuardedHr:
    """The port :class:`canonical.hr_ports.HrSystem` behind its breaker."""

    def __init__(self, hr: HrSystem, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._hr, self._clock = hr, clock
        self._breaker, self._standing = Breaker(OPEN_AFTER, OPEN_FOR), Standing(channel=SYSTEM)

    async def changes_since(self, since: datetime) -> HrChanges:
        """As the HR system says.

        Raises:
            Unavailable: also where it did not answer lately: it is not asked.
            Throttled, Rejected: as it says; that is an answer.
        """
        due, now = self._breaker.due(self._standing), self._clock()
        if due is not None and due > now:
            raise Unavailable("the HR system did not answer lately: not asked", system=SYSTEM)
        self._standing = self._breaker.calling(self._standing, now)
        try:
            changes = await self._hr.changes_since(since)
        except Throttled:
            self._standing = self._breaker.answered(self._standing)
            raise
        except Unavailable:
            self._standing = self._breaker.failed(self._standing, self._clock(), "no answer")
            raise
        except Exception:
            self._standing = self._breaker.answered(self._standing)
            raise
        self._standing = self._breaker.answered(self._standing)
        return changes

    async def close(self) -> None:
        """Give back what it holds."""
        if close := getattr(self._hr, "close", None):
            await close()
