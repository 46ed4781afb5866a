"""Wakes the cases about people that are to look: revocations first, then access, then facilities' cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from canonical.errors import FasciaError
from canonical.people_ports import WakeOfPerson

EVERY = 2.0  # seconds until somebody's case has heard of what changed
REPEAT = timedelta(seconds=60)  # a revocation that is not confirmed is begun again where its run was stopped

log = structlog.get_logger(__name__)


class PeopleToWake(Protocol):
    """Whose cases are to look."""

    async def due(self, repeat_before: datetime) -> Sequence[WakeOfPerson]: ...

    async def revocation_woken(self, person: str, at: datetime) -> None: ...


class PeopleRuns(Protocol):
    """Their cases in Temporal."""

    async def wake(self, wake: WakeOfPerson) -> None: ...


class PeopleWakes:
    """One round wakes whoever is to look. A case answers by looking; one that does not is woken in the next round."""

    def __init__(
        self, people: PeopleToWake, runs: PeopleRuns, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._people, self._runs, self._clock = people, runs, clock

    async def once(self) -> None:
        """Wake whoever is to look."""
        now = self._clock()
        for wake in await self._people.due(now - REPEAT):
            try:
                await self._runs.wake(wake)
                if wake.process == "clinician_revocation":
                    await self._people.revocation_woken(wake.person, now)
            except FasciaError as away:
                log.warning("a person's case is not woken", process=wake.process, problem=away.message)
                return  # Temporal is away: the rest waits with it
