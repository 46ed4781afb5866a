"""Reset, or gone on with in another run because it became too long: a case makes no document twice."""

from __future__ import annotations

import asyncio

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from tests import build
from tests.workflows.beginnings import keys, told_by_the_sweep
from tests.workflows.case import PATIENCE, Case


async def reset(case: Case, name: str) -> None:
    """To before anything was done."""
    history = await case.client.get_workflow_handle(name).fetch_history()
    first = next(e.event_id for e in history.events if e.HasField("workflow_task_completed_event_attributes"))
    request = ResetWorkflowExecutionRequest(
        namespace=case.client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=name, run_id=history.run_id),
        reason="a test",
        workflow_task_finish_event_id=first,
        request_id=build.unique("reset"),
    )
    await case.client.workflow_service.reset_workflow_execution(request)


async def test_a_reset_order_keeps_its_claim_and_makes_nothing_twice(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    await case.until("received", order.case_id)
    before = keys(case, order)
    await reset(case, order.case_id)
    bill = build.invoice(order)
    await case.pay(order, bill)
    await asyncio.sleep(0)
    handle = case.client.get_workflow_handle(order.case_id)
    async with asyncio.timeout(PATIENCE):
        while not case.change(order.case_id).closed:
            await asyncio.sleep(0.05)
    assert (await handle.describe()).run_id != "" and case.state(order.case_id) == "closed"
    made = keys(case, order)
    assert made[:2] == before and len(made) == len(set(made)) == 5
    await told_by_the_sweep(case, order)
    assert (await case.result()).business_state == "closed"


async def test_a_reset_requisition_keeps_its_claim_its_numbers_and_its_orders(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    order = await case.order()
    await reset(case, case.id)
    await case.deliver(order)
    async with asyncio.timeout(PATIENCE):
        while not case.change(order.case_id).closed:
            await asyncio.sleep(0.05)
    await told_by_the_sweep(case, order)
    async with asyncio.timeout(PATIENCE):
        while not case.change().closed:
            await asyncio.sleep(0.05)
    assert case.state() == "closed" and len(case.placed()) == 1
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_a_requisition_reset_after_it_was_ordered_asks_nobody_again(case: Case) -> None:
    order = await case.approved_order()
    await reset(case, case.id)
    await case.deliver(order)
    async with asyncio.timeout(PATIENCE):
        while not case.change(order.case_id).closed:
            await asyncio.sleep(0.05)
    await told_by_the_sweep(case, order)
    async with asyncio.timeout(PATIENCE):
        while not case.change().closed:
            await asyncio.sleep(0.05)
    states = [change.business_state for change in case.cases.changes if change.case == case.id]
    assert "pending approval" not in states[states.index("ordered") :] and case.state() == "closed"
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_a_run_that_became_too_long_continues_in_another_with_all_it_knows(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        workflow.Info, "is_continue_as_new_suggested", lambda info: info.get_current_history_length() > 30
    )
    order = await case.approved_order()
    hold = build.decision("hold", "E-FIN")
    first = await case.give(hold, order.case_id)
    seen = await case.on_hold(order)
    await case.decide("resume", by="E-FIN", case=order.case_id)
    await case.say(order, functional=build.functional(order))
    await case.say(order, key="answer", acknowledgement=build.answer(order))
    await case.say(order, key="receipt", receipt=build.receipt(order, "4"))
    await case.until("partly received", order.case_id)
    await case.say(order, key="receipt", receipt=build.receipt(order, "4"))
    await case.say(order, receipt=build.receipt(order, "6"))
    await case.until("received", order.case_id)
    runs = {change.run for change in case.cases.changes if change.case == order.case_id}
    assert len(runs) > 1, "it did continue"
    assert case.change(order.case_id).revision > seen
    assert await case.give(hold, order.case_id) == first, "a decision answered before is not taken again"
    await case.pay(order, build.invoice(order))
    assert (await case.result()).business_state == "closed", "the requisition follows through"
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]
