"""What becomes of a case when its run is started twice, deleted, terminated, cancelled, reset, or falls over a bug of ours.

The tests of this module wait for suppliers, sweeps and banks most of their time; so their cases go on side by side, and each
test waits for its own. The bug comes last and alone: it needs the worker for itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from demo.story_doors import Case
from demo.story_scene import LABORATORY, PHARMACY, SURGERY, Ask, Order, Requisition
from tests.journeys.conftest import SHORT, Hospital
from tests.journeys.sheets import AT_PAR, TO_APPROVE, case_of, sheet
from tests.journeys.terminal import fascia
from tests.journeys.together import side_by_side, under_way
from tests.journeys.uses import until

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital

__all__ = ["under_way"]  # a fixture: it is asked for by name

SHOWN = 400.0  # what stands still is shown within a minute; a busy machine has more
PRICE_ASKED = Ask("ITM-1006", 3, "BX")  # the supplier asks more than agreed, and ships late: time to change one's mind
WORKER = "worker"


async def posted(hospital: Hospital, sender: str, body: dict[str, Any], key: str = "") -> tuple[int, dict[str, Any]]:
    """A requisition over REST, each time as a new request."""
    answer = await hospital.doors.ask(sender, "POST", "/v1/requisitions", body, key=key or uuid.uuid4().hex)
    return answer.status_code, answer.json()


async def asked_for(hospital: Hospital, who: Any, *asks: Ask) -> Requisition:
    """A requisition of a department, under way."""
    number = f"F-{uuid.uuid4().hex[:10]}"
    asked = case_of(hospital, who, number)
    status, answer = await posted(hospital, who.sender, sheet(number, who, *asks))
    assert status == 202, answer
    return asked


async def ended_well(hospital: Hospital, asked: Requisition, order: Order) -> None:
    """Both closed; one of each document outside, and what was paid is what was billed."""
    await asyncio.gather(order.until("closed"), asked.until("closed"))
    await hospital.everything_once(asked.scene)
    ending = await hospital.counts(asked.scene)
    assert (ending.times, ending.receipts, ending.invoices, ending.returns) == (1, 1, 1, 0), ending.text()
    assert ending.paid == ending.remitted > 0, ending.text()


async def comes_to(case: Case, what: str) -> None:
    """The case is shown to stand still within a minute, with its owner and what to do."""
    view = await case.until(what, within=SHOWN)
    assert view["stopped"] == what and view["status"]["owner"] == "support"
    assert f"fascia case resume {case.name}" in view["status"]["next_action"]


async def resumed(hospital: Hospital, case: Case) -> None:
    """Support lets it go on."""
    said = await fascia(hospital, "case", "resume", case.name, "--reason", "terminated by mistake", "--json")
    assert said.code == 0, said.out + said.err
    assert said.json["generation"] == 2
    view = await case.until(when=lambda view: not view["stopped"])
    assert view["status"]["owner"] != "support"


# -- the same requisition again -----------------------------------------------------------------------------------------


async def started_in_temporal(temporal: Client, case: str, body: dict[str, Any]) -> dict[str, Any]:
    """A system starts the case with Temporal's client; what its run says at the end."""
    handle = await temporal.start_workflow(
        "ProcureToPay",
        body,
        id=case,
        task_queue="fascia",
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return dict(await handle.result())


async def forgotten(temporal: Client, case: str) -> None:
    """Temporal's record of a case is deleted, as its retention does in time."""
    execution = WorkflowExecution(workflow_id=case)
    request = DeleteWorkflowExecutionRequest(namespace=temporal.namespace, workflow_execution=execution)
    await temporal.workflow_service.delete_workflow_execution(request)
    async with asyncio.timeout(300):
        while True:
            try:
                await temporal.get_workflow_handle(case).describe()
            except RPCError as gone:
                assert gone.status is RPCStatusCode.NOT_FOUND
                return
            await asyncio.sleep(0.3)


@side_by_side
async def test_one_requisition_at_once_over_two_doors_is_one_purchase_also_when_temporal_forgot_it(
    hospital: Hospital,
) -> None:
    number = f"F-{uuid.uuid4().hex[:10]}"
    asked, body = case_of(hospital, PHARMACY, number), sheet(number, PHARMACY, AT_PAR)
    temporal = hospital.doors.temporal
    by_temporal = [asyncio.create_task(started_in_temporal(temporal, asked.name, body)) for _ in range(3)]
    answers = await asyncio.gather(*(posted(hospital, PHARMACY.sender, body) for _ in range(5)))
    assert {(status, answer["case"]) for status, answer in answers} == {(202, asked.name)}
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await ended_well(hospital, asked, order)
    assert {result["business_state"] for result in await asyncio.gather(*by_temporal)} == {"closed"}

    await forgotten(temporal, asked.name)
    status, answer = await posted(hospital, PHARMACY.sender, body)
    assert (status, answer["case"]) == (202, asked.name)
    again = await started_in_temporal(temporal, asked.name, body)
    assert again["business_state"] == "duplicate" and again["next_action"] == f"see {asked.name}"

    other = sheet(number, PHARMACY, Ask("ITM-1018", 6, "BX"))
    status, answer = await posted(hospital, PHARMACY.sender, other)
    assert (status, answer["code"], answer["case"]) == (409, "conflict", asked.name)
    conflict = await started_in_temporal(temporal, asked.name, other)
    assert conflict["business_state"] == "conflict" and conflict["next_action"] == f"see {asked.name}"
    listed = await hospital.doors.look("E-7001", "/v1/unmatched?limit=500")
    assert listed is not None
    ours = [row for row in listed["documents"] if row["kind"] == "requisition" and row["number"] == number]
    assert len(ours) == 2 and all("other content" in row["reason"] for row in ours)
    assert {row["id"].partition("-")[0] for row in ours} == {"requisition", "conflict"}

    assert (await asked.view() or {})["status"]["business_state"] == "closed"
    await ended_well(hospital, asked, order)


# -- terminated ---------------------------------------------------------------------------------------------------------


@side_by_side
async def test_an_order_terminated_in_the_middle_is_shown_within_a_minute_and_goes_on_by_case_resume(
    hospital: Hospital,
) -> None:
    asked = await asked_for(hospital, PHARMACY, AT_PAR)
    (order,) = await asked.ordered()
    await order.shipped()
    await hospital.doors.temporal.get_workflow_handle(order.name).terminate("by mistake")
    await order.receive()  # what comes meanwhile waits for the successor
    await comes_to(order, "stopped outside")
    await resumed(hospital, order)
    await order.paid()
    await ended_well(hospital, asked, order)


@side_by_side
async def test_a_requisition_terminated_before_its_approval_is_approved_and_ordered_once_after_case_resume(
    hospital: Hospital,
) -> None:
    asked = await asked_for(hospital, LABORATORY, TO_APPROVE)
    await asked.until("pending approval")
    await hospital.doors.temporal.get_workflow_handle(asked.name).terminate("by mistake")
    await comes_to(asked, "stopped outside")
    refused = await hospital.doors.decide(LABORATORY.manager, asked.name, {"verb": "approve"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not-open")
    await resumed(hospital, asked)
    await asked.approved()
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await ended_well(hospital, asked, order)


@side_by_side
async def test_a_requisition_terminated_after_it_was_ordered_orders_nothing_again(hospital: Hospital) -> None:
    asked = await asked_for(hospital, PHARMACY, AT_PAR)
    (order,) = await asked.ordered()
    await hospital.doors.temporal.get_workflow_handle(asked.name).terminate("by mistake")
    await order.delivered_and_paid()
    await comes_to(asked, "stopped outside")
    await resumed(hospital, asked)
    await ended_well(hospital, asked, order)


# -- cancelled through Temporal -----------------------------------------------------------------------------------------


async def taken_back(hospital: Hospital, asked: Requisition, order: Order) -> None:
    """Ended in the ERP and at the supplier, and nothing is left due."""
    await asyncio.gather(order.until("cancelled"), asked.until("cancelled"))
    held = await order.at_supplier("our cancellation", lambda held: held.cancelled)
    assert len(held.changes) == 1 and not held.shipments and not held.invoices
    documents = await hospital.outside.documents(order.number)
    assert len(documents.purchases) == 1
    with pytest.raises(LookupError, match="nothing open"):  # the ERP waits for none of it any more
        await asyncio.to_thread(hospital.stage.erp.receive, order.number, {PRICE_ASKED.item: 1})
    assert documents.counts() | {"purchases": 0} == dict.fromkeys(documents.counts(), 0)
    view = await order.view()
    assert view is not None
    kinds = [document["kind"] for document in view["documents"]]
    assert kinds.count("order_change") == 1 and kinds.count("order_change_acknowledgement") == 1, kinds
    ending = await hospital.counts(asked.scene)
    assert (ending.sent, ending.paid) == (1, Decimal("0.00"))


async def _with_a_supplier(hospital: Hospital) -> tuple[Requisition, Order]:
    asked = await asked_for(hospital, SURGERY, PRICE_ASKED)
    (order,) = await asked.ordered()
    await order.until_offered("accept")
    return asked, order


@side_by_side
async def test_an_order_cancelled_in_temporal_is_taken_back_in_the_erp_and_at_the_supplier(hospital: Hospital) -> None:
    asked, order = await _with_a_supplier(hospital)
    handle = hospital.doors.temporal.get_workflow_handle(order.name)
    await handle.cancel()
    await taken_back(hospital, asked, order)

    async def ended() -> bool:  # what its case shows last is recorded a moment before
        return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

    await until(ended, lambda: f"the end of {order.name}")
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


@side_by_side
async def test_a_requisition_cancelled_in_temporal_takes_its_order_back_too(hospital: Hospital) -> None:
    asked, order = await _with_a_supplier(hospital)
    await hospital.doors.temporal.get_workflow_handle(asked.name).cancel()
    await taken_back(hospital, asked, order)


@side_by_side
async def test_a_requisition_cancelled_in_temporal_before_it_is_ordered_leaves_nothing_outside(
    hospital: Hospital,
) -> None:
    asked = await asked_for(hospital, LABORATORY, TO_APPROVE)
    await asked.until("pending approval")
    await hospital.doors.temporal.get_workflow_handle(asked.name).cancel()
    await asked.until("cancelled")
    assert await asked.orders() == []


# -- reset --------------------------------------------------------------------------------------------------------------


async def reset(temporal: Client, case: str) -> None:
    """Somebody resets a run to its first workflow task, as the Temporal UI offers it."""
    handle = temporal.get_workflow_handle(case)
    run = (await handle.describe()).run_id
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            break
    else:
        raise AssertionError("no workflow task yet")
    await temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=case, run_id=run),
            reason="somebody tried it",
            workflow_task_finish_event_id=event.event_id,
            request_id=uuid.uuid4().hex,
        )
    )
    assert (await handle.describe()).run_id != run


@side_by_side
async def test_a_requisition_reset_to_its_start_after_it_was_ordered_doubles_nothing_and_closes(
    hospital: Hospital,
) -> None:
    asked = await asked_for(hospital, LABORATORY, TO_APPROVE)
    await asked.approved()
    (order,) = await asked.ordered()
    await order.shipped()
    await reset(hospital.doors.temporal, asked.name)
    await order.receive()
    await order.paid()
    await ended_well(hospital, asked, order)


@side_by_side
async def test_an_order_reset_to_its_start_in_the_middle_doubles_nothing_and_closes(hospital: Hospital) -> None:
    asked = await asked_for(hospital, PHARMACY, AT_PAR)
    (order,) = await asked.ordered()
    await order.shipped()
    await order.until("shipped", "receipt missing")
    await reset(hospital.doors.temporal, order.name)
    await order.receive()
    await order.paid()
    await ended_well(hospital, asked, order)


# -- a bug of ours ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def broken_worker(hospital: Hospital) -> AsyncIterator[None]:
    """In place of the stack's worker serves one with a bug; afterwards ours serves again."""
    stack = hospital.stage.stack
    await stack.stop(WORKER)
    erp = f"http://127.0.0.1:{hospital.erp_line.port}"
    env = {**os.environ, **SHORT, "FASCIA_HOME": str(hospital.stage.home), "FASCIA_ERP_URL": erp}
    log = (hospital.stage.home / "logs" / "broken_worker.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.journeys.broken_worker"), stdout=log, stderr=log, env=env
    )
    try:
        yield
        assert process.returncode is None, "the broken worker ended by itself"
    finally:
        log.close()
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 120)
            except TimeoutError:
                process.kill()
                await process.wait()
        await stack.start(WORKER)


async def test_a_bug_in_the_process_is_shown_within_a_minute_and_the_case_goes_on_when_it_is_mended(
    hospital: Hospital,
) -> None:
    asked = await asked_for(hospital, PHARMACY, AT_PAR)
    (order,) = await asked.ordered()
    await order.shipped()
    async with broken_worker(hospital):
        await order.receive()
        await comes_to(order, "engine fault")
        assert (await asked.view() or {})["stopped"] == ""
    view = await order.until(when=lambda view: not view["stopped"])
    assert view["status"]["owner"] != "support"
    await order.paid()
    await ended_well(hospital, asked, order)
    said = await fascia(hospital, "case", "show", order.name, "--json")
    assert said.json["stopped"] == "" and said.json["generation"] == 1
    faults = [change["owner"] for change in said.json["changes"] if change["business_state"] == "engine fault"]
    assert set(faults) == {"support"}, "a task that is late on a busy machine may be taken for one more"
