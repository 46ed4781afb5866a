"""Goods that were here when an invoice was matched and are not any more: it is neither posted nor paid for them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from canonical.parties import PaymentPolicy, Terms
from canonical.purchasing import PurchaseOrder, Receipt
from tests import build
from tests.workflows.case import Case

DAY = timedelta(days=1)
NET_3 = pytest.mark.parametrize("policy", [{"terms": Terms(net_days=3)}])  # of each day of waiting somebody is reminded
RELEASED = pytest.mark.parametrize("policy", [{"payment": PaymentPolicy(auto_release_up_to=Decimal(1))}])


async def received(case: Case, *quantities: str) -> tuple[PurchaseOrder, list[Receipt]]:
    """An order of ten boxes, received in parts of these sizes."""
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    receipts = [build.receipt(order, quantity) for quantity in quantities]
    for receipt in receipts:
        await case.say(order, receipt=receipt)
    await case.until("received", order.case_id)
    return order, receipts


async def take_back(case: Case, order: PurchaseOrder, receipt: Receipt) -> None:
    await case.say(order, receipt=receipt.changed(cancelled=True))


@NET_3
async def test_what_was_taken_back_is_not_paid_until_it_is_here_again(case: Case) -> None:
    order, (receipt,) = await received(case, "10")
    await case.say(order, invoice=build.invoice(order))
    await case.until("payment due", order.case_id)
    await take_back(case, order, receipt)
    parked = await case.parked("match-exception", order.case_id)
    assert "receipt taken back" in parked.reason and "line 1: 0 BX here" in parked.reason
    await case.until("payment blocked", order.case_id)
    assert case.change(order.case_id).owner == "finance"
    await case.skip(4 * DAY, order.case_id)
    await case.decide("retry", by="E-FIN", case=order.case_id, document=parked.document)
    await case.parked("match-exception", order.case_id)
    assert "pay" not in case.outside.steps(order.number)
    await case.say(order, receipt=build.receipt(order))
    await case.until("paid, waiting for bank", order.case_id)
    assert case.change(order.case_id).attention == ()


@NET_3
async def test_only_the_invoice_whose_goods_went_is_not_paid(case: Case) -> None:
    order, (_, second) = await received(case, "4", "6")
    bills = [build.invoice(order, quantity) for quantity in ("4", "6")]
    for count, bill in enumerate(bills, 1):
        await case.say(order, invoice=bill)
        await case.documents(order, "post", count)
    await take_back(case, order, second)
    parked = await case.parked("match-exception", order.case_id)
    assert bills[1].number in parked.reason
    await case.skip(4 * DAY, order.case_id)
    await case.documents(order, "pay", 1)
    assert case.outside.last(order.number, "pay").invoice == bills[0].number
    await case.parked("match-exception", order.case_id, document=parked.document or "")
    assert case.outside.steps(order.number).count("pay") == 1


async def test_a_refused_posting_is_not_tried_again_for_goods_that_went(case: Case) -> None:
    order, (receipt,) = await received(case, "10")
    case.outside.refuse["post"] = "the period is closed"
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.parked("partner-rejected", order.case_id)
    await take_back(case, order, receipt)
    await case.until_received(order, 0)
    del case.outside.refuse["post"]
    await case.decide("retry", by="E-FIN", case=order.case_id)
    parked = await case.parked("match-exception", order.case_id, document=f"ERP invoice {bill.number}")
    assert "is not posted: receipt taken back" in parked.reason
    assert "post" not in case.outside.steps(order.number)
    await case.say(order, receipt=build.receipt(order))
    await case.until_received(order, 10)
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.until("paid, waiting for bank", order.case_id)


@NET_3
async def test_finance_pays_without_the_goods_and_another_person_releases_it(case: Case) -> None:
    order, (receipt,) = await received(case, "10")
    await case.say(order, invoice=build.invoice(order))
    await case.until("payment due", order.case_id)
    await take_back(case, order, receipt)
    await case.until("payment blocked", order.case_id)
    assert (await case.refused("accept", "E-BUY", order.case_id))[0] == "NotAllowed"
    await case.decide("accept", by="E-FIN", case=order.case_id)
    await case.until("payment to release", order.case_id)
    assert (await case.refused("release", "E-FIN", order.case_id))[0] == "NotAllowed"
    await case.decide("release", by="E-FIN2", case=order.case_id)
    await case.skip(4 * DAY, order.case_id)
    await case.documents(order, "pay", 1)


@RELEASED
async def test_a_receipt_taken_back_while_the_erp_is_asked_something_else_stops_the_payment(case: Case) -> None:
    order, (_, second) = await received(case, "4", "6")
    case.outside.refuse["post"] = "the period is closed"
    first_bill, second_bill = build.invoice(order, "4"), build.invoice(order, "6")
    await case.say(order, invoice=first_bill)
    await case.parked("partner-rejected", order.case_id)
    del case.outside.refuse["post"]
    await case.say(order, invoice=second_bill)
    await case.until("payment to release", order.case_id)
    answered = case.outside.unanswered["post"] = asyncio.Event()
    await case.decide("retry", by="E-FIN", case=order.case_id, document=first_bill.number)
    await case.documents(order, "post", 2)
    await case.decide("release", by="E-FIN2", case=order.case_id, document=second_bill.number)
    await take_back(case, order, second)
    answered.set()
    parked = await case.parked("match-exception", order.case_id)
    assert second_bill.number in parked.reason
    assert "pay" not in case.outside.steps(order.number)
