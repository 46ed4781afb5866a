"""A mistake in our own code stops a case where everybody sees it and ends none; and every step can be replayed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus

from canonical.errors import Rejected
from tests import build
from tests.workflows import stories
from tests.workflows.case import PATIENCE, Case
from tests.workflows.conftest import REPLAYED


async def failing(case: Case, name: str) -> None:
    """Wait until its workflow task has failed more than once, and see that the case still runs."""
    handle = case.client.get_workflow_handle(name)
    async with asyncio.timeout(PATIENCE):
        while (await handle.describe()).raw_description.pending_workflow_task.attempt < 2:
            await asyncio.sleep(0.1)
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_a_bug_in_a_process_is_a_failing_task_and_the_case_goes_on_when_it_is_mended(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.until("acknowledged", order.case_id)

    def broken(_: Any) -> bool:
        raise KeyError("a mistake of ours")

    with monkeypatch.context() as patched:
        patched.setattr(workflow.Info, "is_continue_as_new_suggested", broken)
        await case.say(order, receipt=build.receipt(order))
        await failing(case, order.case_id)
        bill = build.invoice(order)
        await case.say(order, invoice=bill)  # under the revision it has shown already it will have more to say
    await case.until("paid, waiting for bank", order.case_id)
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_our_own_store_saying_no_ends_no_case(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    order = await case.approved_order()

    async def no(_: Any) -> None:
        raise Rejected("a constraint of the table", system="store")

    with monkeypatch.context() as patched:
        patched.setattr(case.cases, "move_budget", no)
        await case.say(order, acknowledgement=build.answer(order, "AC", "IR"))
        await failing(case, order.case_id)
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", "change"]


# Every third; all by `make prove`. What each of them recorded once is replayed by test_histories.py at every build.
STORIES = [
    pytest.param(story, id=story.__name__, marks=[pytest.mark.prove] if at % 3 else [])
    for at, story in enumerate(stories.STORIES)
]


@pytest.mark.parametrize("cached", [REPLAYED])
@pytest.mark.parametrize("story", STORIES)
async def test_every_ending_is_reached_when_each_step_is_replayed(case: Case, story: stories.Story) -> None:
    await story(case)
    assert await case.failed_tasks(case.id) == 0


async def test_a_mistake_while_an_orders_end_is_looked_up_is_a_failing_task_and_not_unheard(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await case.approved_order()

    async def no(_: str) -> None:
        raise Rejected("a constraint of the table", system="store")

    monkeypatch.setattr(case.cases, "status", no)
    await case.client.get_workflow_handle(order.case_id).terminate("a test")
    await failing(case, case.id)
