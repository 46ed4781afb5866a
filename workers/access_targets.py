"""What speaks to each target, and when it does not: a circuit breaker for each, in each process of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from adapters.registry import TARGETS, TargetWays
from canonical.access import AccessTarget, TargetSeen, Wanted
from canonical.errors import Rejected, Throttled, Unavailable
from canonical.people_ports import ClinicianTarget
from store.standing import CLOSED, Standing
from workers.loops.breaker import Breaker
from workers.one_per_row import OnePerRow

OPEN_AFTER, OPEN_FOR = 5, timedelta(seconds=10)  # calls in a row without an answer; then nothing is sent for so long


Build = Callable[[AccessTarget, TargetWays], ClinicianTarget]


class Guarded:
    """A target behind its breaker. What takes access away goes through an open one: it is asked again and again in any case."""

    def __init__(
        self, target: ClinicianTarget, row: AccessTarget, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._target, self._row, self._clock = target, row, clock
        self._breaker = Breaker(OPEN_AFTER, OPEN_FOR)
        self._standing = Standing(channel=row.code)

    async def look(self, wanted: Wanted) -> TargetSeen:
        """As the target does."""
        return await self._call(lambda: self._target.look(wanted), must=not wanted.active)

    async def write(self, wanted: Wanted) -> TargetSeen:
        """As the target does."""
        return await self._call(lambda: self._target.write(wanted), must=not wanted.active)

    async def close(self) -> None:
        """Give back what it holds."""
        if close := getattr(self._target, "close", None):
            await close()

    async def _call(self, call: Callable[[], Awaitable[TargetSeen]], *, must: bool) -> TargetSeen:
        """One call.

        Raises:
            Unavailable: also where the breaker is open, at once.
        """
        due, now = self._breaker.due(self._standing), self._clock()
        if due is not None and due > now and not must:
            raise Unavailable(f"{self._row.code} did not answer lately: not asked", system=self._row.code)
        self._standing = self._breaker.calling(self._standing, now)
        answered = True
        try:
            return await call()
        except Throttled:
            raise
        except Unavailable:
            answered = False
            raise
        except BaseException as other:
            answered = isinstance(other, Exception)  # cut off by its time-out, it did not answer
            raise
        finally:
            if answered:
                self._standing = self._breaker.answered(self._standing)
            else:
                self._standing = self._breaker.failed(self._standing, self._clock(), "no answer")

    @property
    def open(self) -> bool:
        """Whether it is not asked now."""
        return self._standing.breaker != CLOSED


class TargetsByRow:
    """One for each row of the register as it is now."""

    def __init__(self, ways: TargetWays, targets: Mapping[str, Build] = TARGETS) -> None:
        self._ways, self._targets = ways, targets
        self._made: OnePerRow[Guarded] = OnePerRow()

    def __call__(self, row: AccessTarget) -> ClinicianTarget:
        """What speaks to it.

        Raises:
            Rejected: nobody speaks its adapter.
        """
        build = self._targets.get(row.adapter)
        if build is None:
            raise Rejected(f"nobody speaks {row.adapter} to {row.code}", code="configuration", system=row.code)
        return self._made.get(row.code, row.model_dump_json(), lambda: Guarded(build(row, self._ways), row))

    async def close(self) -> None:
        """Give all connections back."""
        await self._made.close()
