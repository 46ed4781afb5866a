"""Stopped outside and gone on with: a successor, a reset or a continued run makes no document twice."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from canonical.cases import CaseChange, CaseStatus, LineCorrection
from canonical.parties import Supplier
from canonical.purchasing import PurchaseOrder
from canonical.steps import OrderStart
from tests import build
from tests.workflows.beginnings import keys, requisition_succeeded, succeeded, told_by_the_sweep
from tests.workflows.case import Case
from tests.workflows.conftest import Workers

Stop = Callable[[Case, PurchaseOrder], Awaitable[object]]


async def after_sending(case: Case, order: PurchaseOrder) -> None:
    await case.until("sent to supplier", order.case_id)


async def after_the_answer(case: Case, order: PurchaseOrder) -> None:
    await case.say(order, acknowledgement=build.answer(order))
    await case.until("acknowledged", order.case_id)


async def after_the_goods(case: Case, order: PurchaseOrder) -> None:
    await after_the_answer(case, order)
    await case.say(order, key="receipt-1", receipt=build.receipt(order, "4"))
    await case.until("partly received", order.case_id)


@pytest.mark.parametrize("stop", [after_sending, after_the_answer, after_the_goods])
async def test_a_successor_of_an_order_goes_on_and_the_requisition_hears_its_end(case: Case, stop: Stop) -> None:
    order = await case.approved_order()
    await stop(case, order)
    before = keys(case, order)
    await succeeded(case, order)
    rest = "6" if stop is after_the_goods else "10"
    await case.say(order, key="receipt-1", receipt=build.receipt(order, rest))
    await case.say(order, key="receipt-2", receipt=build.receipt(order, "6"))
    if stop is not after_the_goods:
        await case.parked("match-exception", order.case_id)
        await case.decide("refuse", case=order.case_id)
    await case.until("received", order.case_id)
    bill = build.invoice(order)
    await case.pay(order, bill)
    assert (await case.ended(order)).business_state == "closed"
    made = keys(case, order)
    assert made[: len(before)] == before and len(made) == len(set(made))
    steps = [step for step in case.outside.steps(order.number) if step != "return"]
    assert steps == ["create", "850", "post", "pay", "820"]
    await told_by_the_sweep(case, order)
    assert (await case.result()).business_state == "closed"


async def test_a_requisition_told_of_an_end_it_is_just_looking_up_ends_all_the_same(
    case: Case, workers: Workers, cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await case.approved_order()
    status, record, recorded, asked = case.cases.status, case.cases.record, asyncio.Event(), itertools.count()

    async def ended(change: CaseChange) -> None:
        await record(change)
        if change.closed:
            recorded.set()

    async def twice(name: str) -> CaseStatus | None:
        found = await status(name)
        if name != order.case_id or found is None:
            return found
        if next(asked):
            await recorded.wait()  # who looks second is still looking when the first has told how it ended
        return found.changed(business_state="closed", closed=True)

    monkeypatch.setattr(case.cases, "record", ended)
    monkeypatch.setattr(case.cases, "status", twice)
    await workers.stop()  # so that it hears of both at once
    await case.client.get_workflow_handle(order.case_id).terminate("a test")
    told = {"order": order.number, "case": order.case_id, "business_state": "closed", "lines": []}
    await case.signal("order_ended", told)
    await workers.serve(cached)
    assert (await case.result()).business_state == "closed"


async def test_a_successor_sends_what_was_refused_when_the_first_was_stopped(case: Case) -> None:
    case.outside.refuse["850"] = "the mailbox is closed"
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    (order,) = await case.orders()
    await case.parked("partner-rejected", order.case_id, document="850")
    del case.outside.refuse["850"]
    await succeeded(case, order)
    await case.until("sent to supplier", order.case_id)
    assert case.outside.steps(order.number) == ["create", "850"] and case.change(order.case_id).attention == ()


async def test_a_successor_of_a_held_invoice_is_decided_as_before(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    bill = build.invoice(order, "12")
    await case.say(order, invoice=bill)
    await case.until("invoice blocked", order.case_id)
    await succeeded(case, order)
    await case.generation(order, 2)
    await case.decide("pay_short", by="E-FIN", case=order.case_id)
    await case.until("payment to release", order.case_id)
    await succeeded(case, order)
    await case.generation(order, 3)
    assert (await case.refused("release", "E-FIN", order.case_id))[0] == "NotAllowed", "it knows who let it through"
    await case.decide("release", by="E-FIN2", case=order.case_id)
    await case.until("paid, waiting for bank", order.case_id)
    await succeeded(case, order)
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.ended(order)).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_a_successor_in_the_middle_of_a_cancellation_repeats_nothing(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order, "4"))
    await case.until("partly received", order.case_id)
    await case.decide("cancel", case=order.case_id)
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await succeeded(case, order)
    await case.generation(order, 2)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    assert (await case.ended(order)).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "return", "860", "cancel"]


async def test_a_successor_knows_the_decisions_that_were_answered(case: Case) -> None:
    order = await case.approved_order()
    hold = build.decision("hold", "E-FIN")
    first = await case.give(hold, order.case_id)
    await case.until("on hold", order.case_id)
    await succeeded(case, order)
    await case.generation(order, 2)
    again = await case.give(hold, order.case_id)
    assert again == first


async def test_a_posting_in_flight_when_the_run_was_stopped_is_taken_back_by_its_successor(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    await case.until("received", order.case_id)
    case.outside.unanswered["post"] = asyncio.Event()
    await case.say(order, invoice=build.invoice(order))
    await case.documents(order, "post", 1)
    await case.cases.raise_generation(order.case_id)
    await case.client.get_workflow_handle(order.case_id).terminate("a test")
    await case.decide("cancel")
    start = OrderStart(order=order, parent_case=case.id, carried=case.cases.carried[order.case_id])
    await case.client.start_workflow("PurchaseOrder", start, id=order.case_id, task_queue="fascia")
    assert (await case.ended(order)).business_state == "cancelled"
    case.outside.unanswered["post"].set()
    assert case.outside.steps(order.number) == ["create", "850", "post", "unpost", "return", "cancel"]


async def test_a_posting_in_flight_when_the_run_was_stopped_is_asked_again_under_its_key(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    await case.until("received", order.case_id)
    case.outside.unanswered["post"] = asyncio.Event()
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.documents(order, "post", 1)
    case.outside.unanswered["post"].set()
    await succeeded(case, order)
    await case.until("paid, waiting for bank", order.case_id)
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.ended(order)).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_a_cancellation_an_order_was_told_and_did_not_keep_is_known_to_its_successor(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.until("acknowledged", order.case_id)
    record, told, stopped = case.cases.record, asyncio.Event(), asyncio.Event()

    async def cut_off(change: CaseChange) -> None:
        if change.case == order.case_id and change.generation == 1:
            told.set()
            await stopped.wait()
        await record(change)

    monkeypatch.setattr(case.cases, "record", cut_off)
    await case.decide("cancel", by="E-REQ", reason="the ward is closed")
    async with asyncio.timeout(120):
        await told.wait()
    assert case.state(order.case_id) == "acknowledged", "the order has heard, and nothing of it is kept"
    await succeeded(case, order)
    stopped.set()
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    await case.ended(order)
    await told_by_the_sweep(case, order)
    assert (await case.result()).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "860", "cancel"]


async def test_an_order_that_did_not_run_when_it_was_taken_back_needs_only_be_let_go_on(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.until("acknowledged", order.case_id)
    await case.client.get_workflow_handle(order.case_id).terminate("a test")
    await case.decide("cancel", by="E-REQ", reason="the ward is closed")
    await case.parked("internal", document=order.number)
    await succeeded(case, order)
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    await case.ended(order)
    await told_by_the_sweep(case, order)
    assert (await case.result()).business_state == "cancelled", "nobody had to say retry"


async def test_a_successor_of_an_order_whose_requisition_goes_on_is_not_taken_back(case: Case) -> None:
    order = await case.approved_order()
    await succeeded(case, order)
    await case.generation(order, 2)
    await case.deliver(order)
    assert (await case.ended(order)).business_state == "closed"


async def test_a_successor_goes_on_waiting_for_an_approval_where_the_first_stopped(case: Case) -> None:
    requisition = build.requisition()
    await case.start(requisition)
    await case.until("pending approval")
    await case.skip(timedelta(hours=25))
    await case.overdue("substitute")
    await requisition_succeeded(case, requisition)
    await case.running(2)
    await case.owned_by("manager (substitute)")
    await case.skip(timedelta(hours=9))
    assert (await case.decide("approve", by="E-SUB")).taken, "the substitute may still"
    told = [(e.data["what"], c.generation) for c in case.cases.changes for e in c.events if "what" in e.data]
    assert told == [("remind", 1), ("substitute", 1)], "nobody is reminded again of what they were reminded of"


@pytest.mark.parametrize("state", ["pending approval", "ordered"])
async def test_a_successor_of_a_requisition_goes_on_from_where_it_was(case: Case, state: str) -> None:
    lines = (build.line("1", "ITM-1002", "50 BX"),)
    requisition = build.requisition(*lines)
    await case.start(requisition)
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    await case.owned_by("director")
    if state == "ordered":
        await case.decide("approve", by="E-DIR")
        await case.order()
    await requisition_succeeded(case, requisition)
    if state == "pending approval":
        await case.running(2)
        await case.owned_by("director")
        asked = {change.owner for change in case.cases.changes if (change.case, change.generation) == (case.id, 2)}
        assert "manager" not in asked, "the manager's word still counts"
        assert (await case.refused("approve", "E-MGR"))[0] == "NotAllowed"
        await case.decide("approve", by="E-DIR")
    order = await case.order()
    await case.deliver(order)
    await case.ended(order)
    await told_by_the_sweep(case, order)
    assert (await case.result()).business_state == "closed"
    assert len(case.placed()) == 1 and case.outside.steps(order.number).count("850") == 1


async def test_what_is_corrected_after_an_approval_is_approved_again(case: Case) -> None:
    requisition = build.requisition(build.line("1", "ITM-1002", "50 BX"))
    await case.start(requisition)
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    await case.owned_by("director")
    case.register.put(Supplier(code="ALPINE", name="Alpine", status="blocked"))
    await requisition_succeeded(case, requisition)
    await case.parked("business-rule", line="1")
    case.register.put(Supplier(code="ALPINE", name="Alpine"))
    more = LineCorrection(line="1", quantity=build.each("60", "BX"))
    await case.decide("correct", correction=build.correction(lines=(more,)))
    await case.until("pending approval")
    assert case.change().owner == "manager", "who approved fifty has not approved sixty"


async def test_a_requisition_stopped_while_its_order_ended_finds_how(case: Case) -> None:
    requisition = build.requisition(build.line("1", "ITM-1001", "1 BX"))
    await case.start(requisition)
    order = await case.order()
    await case.client.get_workflow_handle(case.id).terminate("a test")
    await case.deliver(order)
    await case.ended(order)
    await requisition_succeeded(case, requisition)
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_a_successor_of_a_corrected_unreadable_start_keeps_the_correction(case: Case) -> None:
    good = build.requisition(build.line("1", "ITM-9999", "1 BX"))
    await case.start_raw(good.case_id, b"{}")
    await case.parked("data-invalid")
    await case.decide("correct", correction=build.correction(requisition=good))
    await case.parked("unknown-code")
    await case.cases.raise_generation(case.id)
    await case.client.get_workflow_handle(case.id).terminate("a test")
    await case.start_raw(good.case_id, b"{}")
    await case.running(2)
    assert (await case.parked("unknown-code")).line == "1"


async def test_another_start_of_an_order_that_runs_elsewhere_is_a_duplicate(case: Case) -> None:
    order = await case.approved_order()
    await case.client.get_workflow_handle(order.case_id).terminate("a test")
    start = RawValue(
        Payload(metadata={"encoding": b"json/plain"}, data=OrderStart(order=order).model_dump_json().encode())
    )
    await case.client.start_workflow("PurchaseOrder", start, id=order.case_id, task_queue="fascia")
    assert (await case.ended(order)).business_state == "duplicate"
    assert case.outside.steps(order.number) == ["create", "850"]


async def test_a_receipt_counted_before_receipts_had_revisions_is_not_counted_again(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, receipt=build.receipt(order, "4", key="SHIP-1"))
    await case.until("partly received", order.case_id)
    carried = json.loads(case.cases.carried[order.case_id])
    carried |= {"receipts": list(carried.pop("told_receipts")), "seen": []}
    case.cases.carried[order.case_id] = json.dumps(carried)
    await succeeded(case, order)
    await case.generation(order, 2)
    await case.say(order, receipt=build.receipt(order, "4", key="SHIP-1"))
    await case.say(order, receipt=build.receipt(order, "4", key="SHIP-1", revision=1, cancelled=True))
    await case.say(order, receipt=build.receipt(order, "7", key="SHIP-1", revision=2))
    await case.told_of("receipt.posted.v1", lines="ITM-1002:7:BX")
    assert [line.received for line in case.change(order.case_id).lines] == [7]
