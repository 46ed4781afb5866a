"""A case hands its trace on, in the strict sandbox: to steps of both kinds, and to its orders' cases and theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from stack.supervisor import Stack
    from workers import telemetry, temporal

SHORT = timedelta(seconds=5)


@activity.defn
async def trace_here(_: str) -> str:
    return telemetry.trace_id()


@workflow.defn(name="TracedOrder")
class TracedOrder:
    @workflow.run
    async def run(self, what: str) -> list[str]:
        return [await workflow.execute_local_activity(trace_here, what, start_to_close_timeout=SHORT)]


@workflow.defn(name="TracedRequisition")
class TracedRequisition:
    @workflow.run
    async def run(self, what: str) -> list[str]:
        local = await workflow.execute_local_activity(trace_here, what, start_to_close_timeout=SHORT)
        far = await workflow.execute_activity(trace_here, what, start_to_close_timeout=SHORT)
        return [local, far, *await workflow.execute_child_workflow(TracedOrder.run, what)]


async def test_every_step_of_a_case_and_of_its_orders_is_in_the_trace_of_who_started_it(stack: Stack) -> None:
    client = await temporal.connect(stack.settings, interceptors=[telemetry.through_temporal()])
    steps: dict[str, Sequence[Callable[..., Any]]] = {temporal.PROCESSES: [trace_here]}
    async with temporal.serving(client, stack.settings, workflows=[TracedRequisition, TracedOrder], steps=steps):
        with telemetry.span("door") as trace:
            found = await client.execute_workflow(
                TracedRequisition.run, "", id=f"traced/{uuid4()}", task_queue=temporal.PROCESSES
            )
    assert found == [trace, trace, trace]
