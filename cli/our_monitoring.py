"""The monthly monitoring as the commands reach it: how far runs came in our own store, its Schedule in Temporal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from canonical.cases import Actor
from canonical.monitoring import MAY_RUN, MONITORING
from cli.monitoring_views import MonitoringBegun, MonitoringRow
from store.acts import Act, note_in
from store.database import transaction
from store.monitoring import StoredMonitoring
from workers.wiring import Wiring


class OurMonitoring:
    """:class:`cli.monitoring_views.MonthlyDesk`; ``decider`` says who asks: a login, or the person behind a key with the one
    facility that they are somebody at."""

    def __init__(self, wiring: Wiring, decider: Callable[[], Awaitable[tuple[Actor, str]]]) -> None:
        self._wiring, self._decider = wiring, decider

    async def rows(self, limit: int) -> Sequence[MonitoringRow]:
        found = await StoredMonitoring(self._wiring.database).runs(limit)
        return [MonitoringRow.model_validate(one.model_dump()) for one in found]

    async def run(self, why: str) -> MonitoringBegun:
        actor, facility = await self._decider()
        by = await self._wiring.people.access_desk.allowed(actor, facility, MAY_RUN, "monitoring run")
        schedule = self._wiring.people.verification.schedule()
        await schedule.free()
        act = Act(verb="monitoring run", about=MONITORING, actor=actor, reason=why)
        async with transaction(self._wiring.database) as connection:  # what was not begun is no deed
            await note_in(connection, act)
            await schedule.trigger()
        return MonitoringBegun(schedule=MONITORING, by=by)
