"""Taking an order back, row by row of the table in ``workflows.order_cancellation``, however it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError

from canonical.base import Money
from canonical.cases import State
from canonical.parties import Terms
from canonical.purchasing import OrderAcknowledgement, PurchaseOrder
from canonical.steps import OrderNumbers, OrdersRequest
from tests import build
from tests.workflows.case import PATIENCE, Case

DAY = timedelta(days=1)


def taken(order: PurchaseOrder, code: str = "AT", sequence: str = "") -> OrderAcknowledgement:
    return build.answer(order, code, to_change=True, change_sequence=sequence)


async def budget_is_free(case: Case, order: PurchaseOrder) -> bool:
    return case.register.commitments["NGH", order.number][1] == build.usd("0")


async def test_an_order_with_the_supplier_is_cancelled_there_then_in_the_erp(case: Case) -> None:
    order = await case.approved_order()
    assert (await case.refused("cancel", "E-FIN", order.case_id))[0] == "NotAllowed"
    await case.decide("cancel", case=order.case_id, reason="not needed")
    await case.until("cancelling, waiting for the supplier", order.case_id)
    assert case.outside.steps(order.number) == ["create", "850", "860"], "the ERP last"
    change = case.outside.last(order.number, "860")
    assert change.cancel and change.reason == "cancelled: reason in the case"
    await case.say(order, acknowledgement=taken(order, sequence="1"))
    status = await case.result()
    assert (status.business_state, status.lines[0].state) == ("cancelled", "cancelled")
    assert case.outside.steps(order.number) == ["create", "850", "860", "cancel"]
    assert await budget_is_free(case, order)
    assert case.told(order.case_id)[-1] == "order.cancelled.v1"


async def test_an_answer_to_an_older_change_does_not_answer_the_cancellation(case: Case) -> None:
    order = await case.approved_order(build.line("1"), build.line("2", "ITM-1001"))
    await case.say(order, acknowledgement=build.answer(order))
    await case.decide("short_close", case=order.case_id, line="1")
    await case.documents(order, "860", 1)
    await case.decide("cancel", case=order.case_id)
    await case.documents(order, "860", 2)
    older, newer = (what.sequence for name, what in case.outside.documents[order.number] if name.startswith("860"))
    await case.say(order, acknowledgement=taken(order, sequence=str(older)))
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=taken(order, sequence=str(newer)))
    assert (await case.ended(order)).business_state == "cancelled"


async def test_a_supplier_who_refuses_is_settled_by_a_person(case: Case) -> None:
    order = await case.approved_order()
    await case.decide("cancel", case=order.case_id)
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=taken(order, "RJ"))
    parked = await case.parked("business-rule", order.case_id, document="865")
    assert "refuses the cancellation (RJ)" in parked.reason
    await case.decide("retry", case=order.case_id)
    await case.documents(order, "860", 2)
    await case.say(order, acknowledgement=taken(order, "RJ"))
    await case.parked("business-rule", order.case_id, document="865 2")
    await case.decide("accept", case=order.case_id)
    assert (await case.ended(order)).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "860", "860", "cancel"]


async def test_a_supplier_who_is_silent_is_settled_by_a_person_or_by_a_late_answer(case: Case) -> None:
    order = await case.approved_order()
    await case.decide("cancel", case=order.case_id)
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.skip(DAY + timedelta(minutes=1), order.case_id)
    parked = await case.parked("business-rule", order.case_id, document="865")
    assert "does not answer" in parked.reason
    await case.say(order, acknowledgement=taken(order))
    assert (await case.ended(order)).business_state == "cancelled"


async def test_an_860_that_cannot_be_sent_is_not_passed_over(case: Case) -> None:
    order = await case.approved_order()
    case.outside.refuse["860"] = "the mailbox is closed"
    await case.decide("cancel", case=order.case_id)
    parked = await case.parked("partner-rejected", order.case_id, document="860")
    assert "the mailbox is closed" in parked.reason
    assert "cancel" not in case.outside.steps(order.number)
    await case.decide("accept", by="E-BUY", case=order.case_id, reason="told by phone")
    assert (await case.ended(order)).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "cancel"]


async def test_goods_received_go_back(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order, "4"))
    await case.until("partly received", order.case_id)
    await case.decide("cancel", case=order.case_id)
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, receipt=build.receipt(order, "2"))
    await case.say(order, acknowledgement=taken(order))
    assert (await case.ended(order)).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "return", "860", "return", "cancel"]
    returns = [what for name, what in case.outside.documents[order.number] if name.startswith("return")]
    assert [str(one.lines[0].quantity) for one in returns] == ["4 BX", "2 BX"]
    assert [one.key.rsplit("/", 1)[1] for one in returns] == ["1", "2"]


async def cancelled_but_in_the_erp(case: Case) -> PurchaseOrder:
    """The supplier has taken the cancellation, the ERP refuses it."""
    order = await case.approved_order()
    await case.decide("cancel", case=order.case_id)
    await case.until("cancelling, waiting for the supplier", order.case_id)
    case.outside.refuse["cancel"] = "goods have come and were not returned"
    await case.say(order, acknowledgement=taken(order))
    parked = await case.parked("partner-rejected", order.case_id, document="ERP cancellation")
    assert "goods have come" in parked.reason
    return order


async def shown_returned(case: Case, order: PurchaseOrder, times: int) -> None:
    """Wait until so many returns are shown, and that the ERP refuses its cancellation again."""
    async with asyncio.timeout(PATIENCE):
        while sum(d.kind == "goods_return" for c in case.cases.changes for d in c.documents) < times:
            await asyncio.sleep(0.02)
    await case.parked("partner-rejected", order.case_id, document="ERP cancellation")


async def test_goods_the_erp_had_before_us_go_back_and_the_order_is_cancelled_without_a_word(case: Case) -> None:
    order = await cancelled_but_in_the_erp(case)
    del case.outside.refuse["cancel"]
    await case.say(order, receipt=build.receipt(order, "4"))
    status = await case.ended(order)
    assert case.outside.steps(order.number) == ["create", "850", "860", "return", "cancel"]
    assert status.business_state == "cancelled" and status.lines[0].received == 0


async def test_an_invoice_that_comes_while_the_erp_does_not_cancel_is_refused(case: Case) -> None:
    order = await cancelled_but_in_the_erp(case)
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.parked("partner-rejected", order.case_id, document="ERP cancellation")
    del case.outside.refuse["cancel"]
    with contextlib.suppress(WorkflowUpdateFailedError):  # the bill alone may have let it go on already
        await case.decide("retry", case=order.case_id)
    assert (await case.ended(order)).business_state == "cancelled"
    recorded = [d for change in case.cases.changes for d in change.documents if d.number == bill.number]
    assert recorded[-1].state == State.FAILED


async def test_a_cancellation_done_by_hand_in_the_erp_leaves_no_goods_behind(case: Case) -> None:
    order = await cancelled_but_in_the_erp(case)
    await case.say(order, receipt=build.receipt(order, "4"))
    await shown_returned(case, order, 1)
    await case.say(order, receipt=build.receipt(order, "3"))
    await shown_returned(case, order, 2)
    await case.decide("accept", case=order.case_id)
    status = await case.ended(order)
    assert status.business_state == "cancelled" and status.lines[0].received == 0
    returns = [what for name, what in case.outside.documents[order.number] if name.startswith("return")]
    assert [str(one.lines[0].quantity) for one in returns] == ["4 BX", "3 BX"]


async def test_all_received_is_returned_without_asking_the_supplier(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, receipt=build.receipt(order))
    await case.until("received", order.case_id)
    await case.decide("cancel", case=order.case_id)
    assert (await case.ended(order)).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "return", "cancel"]


@pytest.mark.parametrize("policy", [{"terms": Terms(net_days=30)}])
async def test_a_posted_invoice_is_taken_back_and_an_open_one_refused(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    await case.say(order, invoice=build.invoice(order, "4"))
    await case.documents(order, "post", 1)
    held = build.invoice(order, "9")
    await case.say(order, invoice=held)
    await case.parked(case=order.case_id, document=held.number)
    await case.decide("cancel", case=order.case_id)
    assert (await case.ended(order)).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "post", "unpost", "return", "cancel"]


async def test_what_is_paid_is_claimed_back_by_a_person_first(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.until("paid, waiting for bank", order.case_id)
    await case.decide("cancel", case=order.case_id)
    parked = await case.parked("business-rule", order.case_id, document=f"paid {bill.number}")
    assert "claim the money back" in parked.reason
    assert (await case.refused("accept", "E-BUY", order.case_id))[0] == "NotAllowed"
    await case.decide("accept", by="E-FIN", case=order.case_id)
    assert (await case.ended(order)).business_state == "cancelled"
    assert "unpost" not in case.outside.steps(order.number)


@pytest.mark.parametrize("step", ["unpost", "return", "cancel"])
@pytest.mark.parametrize("policy", [{"terms": Terms(net_days=30)}])
async def test_a_step_back_that_is_refused_is_tried_again_or_done_by_hand(case: Case, step: str) -> None:
    order = await case.approved_order()
    await case.say(order, receipt=build.receipt(order))
    await case.say(order, invoice=build.invoice(order))
    await case.documents(order, "post", 1)
    case.outside.refuse[step] = "the period is closed"
    await case.decide("cancel", case=order.case_id)
    parked = await case.parked("partner-rejected", order.case_id)
    assert case.state(order.case_id) == "cancelling, needs attention"
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.parked("partner-rejected", order.case_id, document=parked.document or "")
    await case.decide("accept", by="E-FIN", case=order.case_id)
    assert (await case.ended(order)).business_state == "cancelled"
    assert step not in case.outside.steps(order.number)


async def test_an_order_the_erp_refused_is_cancelled_without_a_trace_outside(case: Case) -> None:
    case.outside.refuse["create"] = "no"
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    await case.until("ordered")
    name = f"purchase_order/{build.FACILITY}/{case.change().lines[0].order}"
    await case.parked("partner-rejected", name)
    await case.decide("cancel", case=name)
    assert (await case.result()).business_state == "cancelled"
    assert (case.placed() == [] and case.outside.documents == {}) or case.placed() == []


async def test_a_requisition_taken_back_takes_back_every_order(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX"), build.line("2", "ITM-1003", "1 BX")))
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    orders = await case.orders()
    for order in orders:
        await case.until("sent to supplier", order.case_id)
    await case.decide("cancel", by="E-REQ", reason="the ward is closed")
    for order in orders:
        await case.until("cancelling, waiting for the supplier", order.case_id)
        assert case.outside.last(order.number, "860").reason == "cancelled with its requisition"
        await case.say(order, acknowledgement=taken(order))
    status = await case.result()
    assert (status.business_state, {line.state for line in status.lines}) == ("cancelled", {"cancelled"})


async def test_a_requisition_half_delivered_is_cancelled_for_the_rest(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX"), build.line("2", "ITM-1003", "1 BX")))
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    first, second = await case.orders()
    for order in (first, second):
        await case.until("sent to supplier", order.case_id)
    await case.deliver(first)
    await case.ended(first)
    await case.decide("cancel", by="E-BUY")
    await case.until("cancelling, waiting for the supplier", second.case_id)
    await case.say(second, acknowledgement=taken(second))
    status = await case.result()
    assert status.business_state == "cancelled"
    assert sorted(line.state for line in status.lines) == ["cancelled", "received"]


async def test_cancelled_in_the_temporal_ui_an_order_is_undone_and_then_shown_as_cancelled(case: Case) -> None:
    order = await case.approved_order()
    handle = case.client.get_workflow_handle(order.case_id)
    await handle.cancel()
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=taken(order))
    with pytest.raises(WorkflowFailureError) as ended:
        await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert case.state(order.case_id) == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "860", "cancel"]
    assert (await case.result()).business_state == "cancelled", "the requisition hears of it"


async def test_cancelled_in_the_temporal_ui_a_requisition_takes_back_its_orders(case: Case) -> None:
    order = await case.approved_order()
    assert case.handle is not None
    await case.handle.cancel()
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=taken(order))
    with pytest.raises(WorkflowFailureError):
        await case.handle.result()
    assert (await case.handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert (case.state(), case.change().closed) == ("cancelled", True)


async def test_a_requisition_cancelled_after_its_orders_were_numbered_leaves_its_budget_free(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered = case.cases.order_numbers

    async def numbered_but_not_heard_of(
        request: OrdersRequest, groups: Mapping[str, Money], contents: Mapping[str, str]
    ) -> OrderNumbers:
        await numbered(request, groups, contents)
        return OrderNumbers(budget_left=build.usd("1"))

    monkeypatch.setattr(case.cases, "order_numbers", numbered_but_not_heard_of)
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    await case.until("needs attention")
    assert [amount != build.usd("0") for _, amount in case.register.commitments.values()] == [True]
    await case.decide("cancel")
    assert (await case.result()).business_state == "cancelled"
    assert [amount for _, amount in case.register.commitments.values()] == [build.usd("0")]


@pytest.mark.parametrize("state", ["needs attention", "pending approval"])
async def test_cancelled_in_the_temporal_ui_before_it_is_ordered(case: Case, state: str) -> None:
    item = "ITM-9999" if state == "needs attention" else "ITM-1002"
    await case.start(build.requisition(build.line("1", item, "1 BX")))
    await case.until(state)
    assert case.handle is not None
    await case.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await case.handle.result()
    assert case.state() == "cancelled" and case.placed() == []


async def test_cancelled_in_the_temporal_ui_while_the_erp_is_away_leaves_no_order_behind(case: Case) -> None:
    case.outside.fail["create"] = sys.maxsize  # it stays away until the cancellation is there
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    await case.until("ordered")
    name = f"purchase_order/{build.FACILITY}/{case.change().lines[0].order}"
    await case.until("placing order", name)
    await case.client.get_workflow_handle(name).cancel()
    case.outside.fail["create"] = 1
    assert (await case.result()).business_state == "cancelled"
    number = case.change().lines[0].order
    steps = case.outside.steps(number)
    assert steps == ["create", "cancel"], "what the ERP made in the end is cancelled there, and nothing was sent"
