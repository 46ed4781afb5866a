"""Finds cases that were stopped from outside or whose process fails, and shows it on the case: owner, and what to do.

A case is ended by its own process or it is open. An open one whose run was terminated, cancelled at once, deleted or reset
away is "stopped outside"; one whose workflow task fails again and again is an "engine fault". Both go away by themselves when
the case runs again. It also tells a requisition's case of orders that ended while nobody could.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from canonical.errors import Unavailable
from canonical.steps import OrderEnded
from store.cases import EndedChild, OpenCase

Stopped = Literal["stopped outside", "engine fault"]

OWNER = "support"
GRACE = timedelta(seconds=10)  # a run just started is not in the list of running ones yet
ANNOUNCED_GRACE = timedelta(minutes=2)  # announced by a door, not started: the routing sweep does that
TOLD_LATE = timedelta(seconds=30)
FAILING = 'TemporalReportedProblems IN ("category=WorkflowTaskFailed", "category=WorkflowTaskTimedOut")'
RPC = timedelta(seconds=10)

log = structlog.get_logger(__name__)


class CaseBook(Protocol):
    """The read model's side of the sweep."""

    async def open_cases(self) -> Sequence[OpenCase]: ...
    async def mark_stopped(self, case: str, kind: Stopped, *, owner: str, next_action: str) -> bool: ...
    async def mark_running(self, case: str) -> None: ...
    async def ended_children_not_told(self, older_than: datetime) -> Sequence[EndedChild]: ...
    async def child_told(self, case: str) -> None: ...


class Runs(Protocol):
    """Temporal's side of the sweep."""

    async def running(self) -> set[str]:
        """The cases that run, as Temporal's list has them (a moment old)."""
        ...

    async def failing(self) -> set[str]:
        """The cases whose workflow task fails again and again."""
        ...

    async def status(self, case: str) -> str:
        """How the latest run of a case stands, as of now: running, terminated, ..., or missing."""
        ...

    async def tell_ended(self, parent: str, ended: OrderEnded) -> bool:
        """Tell a requisition's case that an order has ended; False when it does not run."""
        ...


class TemporalRuns:
    """Runs, asked of Temporal."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def running(self) -> set[str]:
        return {name async for name in self._ids('ExecutionStatus = "Running"')}

    async def failing(self) -> set[str]:
        return {name async for name in self._ids(f'ExecutionStatus = "Running" AND {FAILING}')}

    async def _ids(self, query: str) -> AsyncIterator[str]:
        try:
            async for found in self._client.list_workflows(query, page_size=1000, rpc_timeout=RPC):
                yield found.id
        except (RPCError, RuntimeError) as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away

    async def status(self, case: str) -> str:
        try:
            found = await self._client.get_workflow_handle(case).describe(rpc_timeout=RPC)
        except RPCError as refused:
            if refused.status == RPCStatusCode.NOT_FOUND:
                return "missing"
            raise Unavailable("Temporal does not answer", system="temporal") from refused
        except RuntimeError as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away
        status = found.status or WorkflowExecutionStatus.RUNNING
        return status.name.lower().replace("_", " ")

    async def tell_ended(self, parent: str, ended: OrderEnded) -> bool:
        try:
            await self._client.get_workflow_handle(parent).signal("order_ended", ended, rpc_timeout=RPC)
        except RPCError as refused:
            if refused.status == RPCStatusCode.NOT_FOUND:
                return False
            raise Unavailable("Temporal does not answer", system="temporal") from refused
        return True


class EngineSweep:
    """One round compares what should run with what runs."""

    def __init__(self, cases: CaseBook, runs: Runs, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._cases = cases
        self._runs = runs
        self._clock = clock

    async def once(self) -> None:
        """Compare, show what stands still, and tell parents what they missed."""
        # The list of open cases first: what ends in between is then not missed among the running ones.
        should_run = await self._cases.open_cases()
        failing = await self._runs.failing()
        running = await self._runs.running()
        for case in should_run:
            if case.case in failing:
                await self._show(case, "engine fault", "its process fails: see it in the Temporal UI")
            elif case.case in running:
                await self._goes_on(case)
            elif self._clock() - case.changed_at > GRACE:
                await self._look_closer(case)
        await self._tell_parents()

    async def _look_closer(self, case: OpenCase) -> None:
        """The list is a moment old; the run itself is asked before anybody is alarmed, and so is the read model."""
        status = await self._runs.status(case.case)
        if status == "running":
            await self._goes_on(case)
            return
        if status == "missing" and not case.run and self._clock() - case.changed_at < ANNOUNCED_GRACE:
            return
        still_open = {one.case: one for one in await self._cases.open_cases()}
        if case.case in still_open and still_open[case.case].changed_at == case.changed_at:
            await self._show(case, "stopped outside", f"its run is {status}")

    async def _show(self, case: OpenCase, kind: Stopped, why: str) -> None:
        if case.stopped == kind:
            return
        next_action = f"{why}; then: fascia case resume {case.case}"
        if await self._cases.mark_stopped(case.case, kind, owner=OWNER, next_action=next_action):
            log.error("case stands still", alert=True, workflow=case.case, kind=kind, problem=why)

    async def _goes_on(self, case: OpenCase) -> None:
        if case.stopped:
            await self._cases.mark_running(case.case)
            log.info("case runs again", workflow=case.case)

    async def _tell_parents(self) -> None:
        for child in await self._cases.ended_children_not_told(self._clock() - TOLD_LATE):
            if await self._runs.tell_ended(child.parent, child.ended):
                await self._cases.child_told(child.ended.case)
