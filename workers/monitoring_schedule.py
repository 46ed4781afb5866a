"""The Schedule of the monthly monitoring in Temporal: made where there is none; one that is there is left as its keeper set it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError, RPCStatusCode

from canonical.errors import Rejected, Unavailable
from canonical.monitoring import MONITORING, MonitoringStart

ON: Final = "0 6 11 * *"  # UTC: OIG publishes a month's list by the 10th
ASKED: Final = timedelta(seconds=10)
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

    async def free(self) -> None:
        """See that a run could begin now.

        Raises:
            Rejected: (not-found) there is no such Schedule; (conflict) a run is under way.
            Unavailable: Temporal does not answer.
        """
        try:
            described = await self._client.get_schedule_handle(MONITORING).describe(rpc_timeout=ASKED)
        except RPCError as refused:
            raise _failure(refused) from refused
        except RuntimeError as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away
        for one in described.info.running_actions:  # it hears of an ending late: the run itself is asked
            if isinstance(one, ScheduleActionExecutionStartWorkflow) and await self._runs(one.workflow_id):
                raise Rejected(f"a run is under way: {one.workflow_id}", code="conflict", system="temporal")

    async def trigger(self) -> None:
        """Have a run begin now; beside one that is under way none begins.

        Raises:
            Rejected: (not-found) there is no such Schedule.
            Unavailable: Temporal does not answer.
        """
        try:
            await self._client.get_schedule_handle(MONITORING).trigger(rpc_timeout=ASKED)
        except RPCError as refused:
            raise _failure(refused) from refused
        except RuntimeError as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away

    async def _runs(self, run: str) -> bool:
        try:
            found = await self._client.get_workflow_handle(run).describe(rpc_timeout=ASKED)
        except RPCError as refused:
            if refused.status is RPCStatusCode.NOT_FOUND:
                return False
            raise _failure(refused) from refused
        return found.status is WorkflowExecutionStatus.RUNNING


def _failure(refused: RPCError) -> Rejected | Unavailable:
    if refused.status is RPCStatusCode.NOT_FOUND:
        missing = f"Temporal has no Schedule {MONITORING}: the loops make it (`python -m workers loops`, `fascia up`)"
        return Rejected(missing, code="not-found", system="temporal")
    return Unavailable("Temporal does not answer", system="temporal")
