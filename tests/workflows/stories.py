"""One case for each ending of the story: played by tests, and once more to record the histories that are replayed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import workflow
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from canonical.cases import CaseStatus, LineCorrection
from canonical.parties import Partner, Policy
from canonical.purchasing import AcknowledgedLine, LineAcknowledgement
from canonical.steps import SupplierDocument
from tests import build
from tests.workflows.case import PATIENCE, Case

Story = Callable[[Case], Awaitable[None]]

SOON = 20  # events: what the server says at thousands, a story cannot wait for


def _line(code: str, **part: object) -> AcknowledgedLine:
    price = build.usd("125") if code == "IP" else None
    return AcknowledgedLine(
        number=1, unit_price=price, acknowledgements=(LineAcknowledgement.model_validate({"code": code} | part),)
    )


async def three_lines_for_two_suppliers(case: Case) -> None:
    lines = (build.line("1", "ITM-1001", "30 EA"), build.line("2", "ITM-1003", "1 CA"), build.line("3"))
    await case.start(build.requisition(*lines))
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    for order in await case.orders():
        await case.until("sent to supplier", order.case_id)
        await case.deliver(order)
    assert (await case.result()).business_state == "closed"


async def approved_by_the_rules(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1001", "3 BX")))
    await case.deliver(await case.order())
    assert (await case.result()).business_state == "closed"


async def refused_by_the_director(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1002", "50 BX")))
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    await case.owned_by("director")
    await case.decide("reject", by="E-DIR", reason="not this year")
    assert (await case.result()).business_state == "refused"


async def approved_by_a_substitute(case: Case) -> None:
    since = datetime.now(UTC).date() - timedelta(days=1)
    case.register.put(build.employee("E-MGR", "manager", substitute="E-SUB", away_from=since))
    await case.start(build.requisition())
    await case.until("pending approval")
    await case.decide("approve", by="E-SUB")
    await case.deliver(await case.order())
    assert (await case.result()).business_state == "closed"


async def an_unknown_item_corrected(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-9999", "3 BX")))
    await case.parked("unknown-code")
    await case.decide("correct", correction=build.correction(lines=(LineCorrection(line="1", item="ITM-1001"),)))
    await case.deliver(await case.order())
    assert (await case.result()).business_state == "closed"


async def a_blocked_supplier_cancelled(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1004", "1 BX")))
    await case.parked("business-rule")
    await case.decide("cancel", reason="bought elsewhere")
    assert (await case.result()).business_state == "cancelled"


async def an_unreadable_start_cancelled(case: Case) -> None:
    await case.start_raw(f"procure_to_pay/{build.FACILITY}/surgery-app/{build.unique('W')}", b"{}")
    await case.parked("data-invalid")
    await case.decide("cancel", reason="nonsense")
    assert (await case.result()).business_state == "cancelled"


async def a_duplicate(case: Case) -> None:
    requisition = build.requisition(build.line("1", "ITM-1004", "1 BX"))
    await case.start(requisition)
    await case.parked("business-rule")
    await case.decide("cancel", reason="bought elsewhere")
    await case.result()
    await case.start(requisition)
    assert (await case.result()).business_state == "duplicate"


async def a_back_order_with_two_invoices(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order, lines=(_line("IB", dated="2027-01-05"),)))
    bills = []
    for quantity in ("6", "4"):
        await case.say(order, receipt=build.receipt(order, quantity))
        bills.append(build.invoice(order, quantity))
        await case.say(order, invoice=bills[-1])
        await case.documents(order, "pay", len(bills))
    for bill in bills:
        await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"


async def a_price_change_accepted(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order, lines=(_line("IP"),)))
    await case.until("change to decide", order.case_id)
    await case.decide("accept", case=order.case_id)
    await case.until("acknowledged", order.case_id)
    await case.say(order, receipt=build.receipt(order))
    await case.pay(order, build.invoice(order, price="125"))
    assert (await case.result()).business_state == "closed"


async def a_substitution_refused(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order, lines=(_line("IS", supplier_item="ALP-9"),)))
    await case.until("change to decide", order.case_id)
    await case.decide("refuse", case=order.case_id)
    await case.until("waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    assert (await case.result()).business_state == "closed"


async def an_order_the_supplier_refuses(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order, "RJ", lines=()))
    assert (await case.ended(order)).business_state == "rejected by supplier"
    assert (await case.result()).business_state == "closed"


async def an_over_invoice_paid_short(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    bill = build.invoice(order, "12")
    await case.say(order, invoice=bill)
    await case.until("invoice blocked", order.case_id)
    await case.decide("pay_short", by="E-FIN", case=order.case_id)
    await case.until("payment to release", order.case_id)
    await case.decide("release", by="E-FIN2", case=order.case_id)
    await case.until("paid, waiting for bank", order.case_id)
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"


async def a_posting_the_erp_refuses(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    case.outside.refuse["post"] = "the period is closed"
    wrong, other = build.invoice(order, "4"), build.invoice(order, "6")
    await case.say(order, invoice=wrong)
    await case.parked("partner-rejected", order.case_id)
    del case.outside.refuse["post"]
    await case.say(order, invoice=other)
    await case.documents(order, "820", 1)
    await case.decide("refuse", by="E-FIN", case=order.case_id)
    await case.documents(order, "unpost", 1)
    right = build.invoice(order, "4")
    await case.say(order, invoice=right)
    await case.documents(order, "820", 2)
    for bill in (other, right):
        await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"


async def a_duplicate_invoice_refused(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.until("paid, waiting for bank", order.case_id)
    await case.say(order, invoice=bill)
    await case.told_of("invoice.held.v1", outcome="duplicate")
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"


async def a_silent_supplier(case: Case) -> None:
    times = {"acknowledge_within": 1, "respond_within": 1}
    partner = {"code": "ALPINE", "supplier": "ALPINE", "id": "ALPINEMED", "our_id": "FASCIANGH"}
    case.register.put(Partner.model_validate(partner | times))
    await case.start(build.requisition(build.line("1", "ITM-1001", "3 BX")))
    (order,) = await case.orders()
    await case.until("supplier silent", order.case_id)
    await case.decide("resend", case=order.case_id)
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"


async def cancelled_after_its_receipt(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order, "4"))
    await case.until("partly received", order.case_id)
    await case.decide("cancel", reason="the ward is closed")
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    assert (await case.result()).business_state == "cancelled"
    assert "return" in case.outside.steps(order.number)


async def a_forged_receipt_refused(case: Case) -> None:
    order = await case.approved_order()
    forged = SupplierDocument(message="M-0", key="K-0", receipt=build.receipt(order))
    await case.client.get_workflow_handle(order.case_id).signal("document", forged)
    parked = await case.parked("unproven", order.case_id)
    await case.decide("refuse", case=order.case_id, document=parked.document)
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"


async def cancelled_with_its_requisition(case: Case) -> None:
    order = await case.approved_order()
    await case.decide("cancel", reason="not needed")
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    assert (await case.result()).business_state == "cancelled"


async def an_emergency(case: Case) -> None:
    await case.start(build.requisition(emergency=True))
    order = await case.order("ordered, approval pending")
    await case.decide("approve", by="E-MGR")
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"


async def refused_before_it_was_approved(case: Case) -> None:
    """Recorded by the version that gave a refusal a revision of its own, which the approval then named."""
    await case.start(build.requisition())
    await case.until("pending approval")
    await case.refused("approve", "E-REQ")
    await case.signal("decide", {"verb": "approve", "reason": "from the UI"})
    await case.unreadable("approve needs a verified identity")
    await case.owned_by("manager")
    await case.decide("hold", by="E-FIN")
    await case.until("on hold")
    await case.decide("resume", by="E-FIN", revision=case.change().revision)
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR", revision=case.change().revision)
    await case.deliver(await case.order())
    assert (await case.result()).business_state == "closed"


async def goods_that_did_not_ship(case: Case) -> None:
    case.register.put(Policy(facility=build.FACILITY, step_timeout=5, receipt_within=2))
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.parked("timeout", order.case_id, document="goods")
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"


async def goods_taken_back_before_the_posting(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    receipt = build.receipt(order)
    await case.say(order, receipt=receipt)
    await case.until("received", order.case_id)
    case.outside.refuse["post"] = "the period is closed"
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.parked("partner-rejected", order.case_id)
    await case.say(order, receipt=receipt.changed(cancelled=True))
    await case.until_received(order, 0)
    del case.outside.refuse["post"]
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.parked("match-exception", order.case_id, document=f"ERP invoice {bill.number}")
    await case.say(order, receipt=build.receipt(order))
    await case.until_received(order, 10)
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.documents(order, "820", 1)
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"


async def goods_taken_back_before_the_payment(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    receipt = build.receipt(order)
    await case.say(order, receipt=receipt)
    bill = build.invoice(order, "12")
    await case.say(order, invoice=bill)
    await case.until("invoice blocked", order.case_id)
    await case.decide("pay_short", by="E-FIN", case=order.case_id)
    await case.until("payment to release", order.case_id)
    await case.say(order, receipt=receipt.changed(cancelled=True))
    await case.parked("match-exception", order.case_id)
    await case.say(order, receipt=build.receipt(order))
    await case.until("payment to release", order.case_id)
    await case.decide("release", by="E-FIN2", case=order.case_id)
    await case.documents(order, "820", 1)
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"


async def cancelled_again_for_goods_that_came(case: Case) -> None:
    order = await case.approved_order()
    await case.decide("cancel", case=order.case_id, reason="not needed")
    await case.until("cancelling, waiting for the supplier", order.case_id)
    case.outside.refuse["cancel"] = "goods have come and were not returned"
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    await case.parked("partner-rejected", order.case_id, document="ERP cancellation")
    for count, quantity in enumerate(("4", "3"), 1):
        await case.say(order, receipt=build.receipt(order, quantity))
        await case.documents(order, "return", count)
        await case.parked("partner-rejected", order.case_id, document="ERP cancellation")
    del case.outside.refuse["cancel"]
    async with asyncio.timeout(PATIENCE):
        while not case.change(order.case_id).closed:
            with contextlib.suppress(WorkflowUpdateFailedError, RPCError):  # it may ask once more, and end, by itself
                await case.decide("retry", case=order.case_id)
            await asyncio.sleep(0.05)
    assert (await case.result()).business_state == "cancelled"


async def a_run_that_became_too_long(case: Case) -> None:
    order = await case.approved_order()
    with pytest.MonkeyPatch.context() as patched:
        too_long = "is_continue_as_new_suggested"
        patched.setattr(workflow.Info, too_long, lambda info: info.get_current_history_length() > SOON)
        await case.say(order, acknowledgement=build.answer(order))
        await case.say(order, receipt=build.receipt(order, "4"))
        await case.runs(order, 2)
    await case.say(order, receipt=build.receipt(order, "6"))
    await case.until("received", order.case_id)
    await case.pay(order, build.invoice(order))
    assert (await case.result()).business_state == "closed"


async def an_order_that_cannot_be_read(case: Case) -> None:
    case.id = f"purchase_order/{build.FACILITY}/{build.unique('PO')}"
    handle = await case.client.start_workflow("PurchaseOrder", {"order": {}}, id=case.id, task_queue="fascia")
    ended = CaseStatus.model_validate(await handle.result())
    assert ended.business_state == "unreadable" and case.cases.unmatched


STORIES: tuple[Story, ...] = (
    three_lines_for_two_suppliers,
    approved_by_the_rules,
    refused_by_the_director,
    approved_by_a_substitute,
    an_unknown_item_corrected,
    a_blocked_supplier_cancelled,
    an_unreadable_start_cancelled,
    a_duplicate,
    a_back_order_with_two_invoices,
    a_price_change_accepted,
    a_substitution_refused,
    an_order_the_supplier_refuses,
    an_over_invoice_paid_short,
    a_posting_the_erp_refuses,
    a_duplicate_invoice_refused,
    a_silent_supplier,
    cancelled_after_its_receipt,
    a_forged_receipt_refused,
    cancelled_with_its_requisition,
    an_emergency,
    refused_before_it_was_approved,
    goods_that_did_not_ship,
    goods_taken_back_before_the_posting,
    goods_taken_back_before_the_payment,
    cancelled_again_for_goods_that_came,
    a_run_that_became_too_long,
    an_order_that_cannot_be_read,
)
