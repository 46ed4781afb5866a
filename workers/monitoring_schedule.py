"""The Schedule of the monthly monitoring in Temporal: made where there is none; one that is there is left as its keeper set it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.service import RPCError

from canonical.errors import Unavailable
from canonical.monitoring import MONITORING, MonitoringStart

ON: Final = "0 6 11 * *"  # UTC: OIG publishes a month's list by the 10th
MISSED: Final = timedelta(days=20)  # a month whose day passed while we were down is made up for


class MonitoringSchedule:
    """Sees to it that everybody is looked at once a month, on a day of the platform's operator."""

    def __init__(self, client: Client, task_queue: str, on: str = ON) -> None:
        self._client, self._task_queue, self._on = client, task_queue, on
        self._there = False

    async def once(self) -> None:
        """Make the Schedule, unless it is there.

        Raises:
            Unavailable: Temporal does not answer.
        """
        if self._there:
            return
        action = ScheduleActionStartWorkflow(
            "ClinicianMonitoring", MonitoringStart(), id=MONITORING, task_queue=self._task_queue
        )
        policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=MISSED)
        spec = ScheduleSpec(cron_expressions=[self._on])
        try:
            await self._client.create_schedule(MONITORING, Schedule(action=action, spec=spec, policy=policy))
        except ScheduleAlreadyRunningError:
            pass
        except (RPCError, RuntimeError) as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away
        self._there = True
