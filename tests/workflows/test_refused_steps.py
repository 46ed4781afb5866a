"""A posting, payment or remittance the other side refuses, or does not answer, waits by itself; the order's other invoices go on."""

from __future__ import annotations

import asyncio

import pytest

from tests import build
from tests.workflows.beginnings import received
from tests.workflows.case import Case


@pytest.mark.parametrize("step", ["post", "pay", "820"])
async def test_a_step_that_is_refused_waits_for_a_person_and_is_tried_again(case: Case, step: str) -> None:
    order = await received(case)
    case.outside.refuse[step] = "the period is closed"
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    parked = await case.parked("partner-rejected", order.case_id)
    assert "the period is closed" in parked.reason
    del case.outside.refuse[step]
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.until("paid, waiting for bank", order.case_id)
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_a_refused_posting_waits_by_itself_and_the_other_invoice_is_paid(case: Case) -> None:
    order = await received(case)
    case.outside.refuse["post"] = "the period is closed"
    first, second = build.invoice(order, "4"), build.invoice(order, "6")
    await case.say(order, invoice=first)
    parked = await case.parked("partner-rejected", order.case_id, document=f"ERP invoice {first.number}")
    assert parked.verbs == ("retry", "refuse", "cancel") and case.change(order.case_id).owner == "finance"
    del case.outside.refuse["post"]
    await case.say(order, invoice=second)
    await case.documents(order, "820", 1)
    assert case.outside.last(order.number, "pay").invoice == second.number
    await case.parked("partner-rejected", order.case_id, document=f"ERP invoice {first.number}")
    await case.say(order, payment=build.payment(order, second))
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.until("paid, waiting for bank", order.case_id)
    await case.say(order, payment=build.payment(order, first))
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", *["post", "pay", "820"] * 2]


@pytest.mark.parametrize("step", ["pay", "820"])
async def test_a_refused_payment_or_remittance_keeps_no_other_invoice_waiting(case: Case, step: str) -> None:
    order = await received(case)
    case.outside.refuse[step] = "not now"
    first, second = build.invoice(order, "4"), build.invoice(order, "6")
    await case.say(order, invoice=first)
    name = "ERP payment" if step == "pay" else "820"
    parked = await case.parked("partner-rejected", order.case_id, document=f"{name} {first.number}")
    del case.outside.refuse[step]
    await case.say(order, invoice=second)
    await case.documents(order, "820", 1)
    assert case.outside.last(order.number, "820").invoice.number == second.number
    assert parked in case.change(order.case_id).attention, "it waits still"
    if step == "pay":
        assert "is in its books" in parked.reason
        kind, _ = await case.refused("refuse", "E-FIN", order.case_id, document=parked.document)
        assert kind == "NotOpen", "what is in the books is not refused"
    await case.decide("retry", by="E-FIN", case=order.case_id, document=parked.document)
    await case.documents(order, "820", 2)
    for bill in (first, second):
        await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number).count("pay") == 2


async def test_what_a_parked_invoice_bills_no_other_may_bill(case: Case) -> None:
    order = await received(case)
    case.outside.refuse["post"] = "the period is closed"
    first, again = build.invoice(order), build.invoice(order)
    await case.say(order, invoice=first)
    await case.parked("partner-rejected", order.case_id)
    del case.outside.refuse["post"]
    await case.say(order, invoice=again)
    held = await case.parked("match-exception", order.case_id, document=again.number)
    assert "quantity hold" in held.reason
    await case.decide("retry", by="E-FIN", case=order.case_id, document=first.number)
    await case.documents(order, "pay", 1)
    assert case.outside.steps(order.number).count("post") == 1, "the same goods are not paid twice"


async def test_a_posting_is_refused_once_the_erp_has_taken_back_what_it_may_hold(case: Case) -> None:
    order = await received(case)
    case.outside.refuse |= {"post": "the memo's account is closed", "unpost": "somebody works on it"}
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.parked("partner-rejected", order.case_id)
    await case.decide("refuse", by="E-FIN", case=order.case_id)
    parked = await case.parked_for(order, ("retry", "accept"))
    assert "is not refused yet" in parked.reason and "somebody works on it" in parked.reason
    case.outside.refuse.clear()
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.until("received", order.case_id)
    assert case.outside.steps(order.number) == ["create", "850", "unpost"]
    await case.pay(order, build.invoice(order))
    assert (await case.result()).business_state == "closed"
    states = [d.state for c in case.cases.changes for d in c.documents if d.name == f"invoice:{bill.number}"]
    assert states[-1] == "failed"


async def test_a_posting_the_erp_cannot_take_back_is_taken_back_by_hand(case: Case) -> None:
    order = await received(case)
    case.outside.refuse |= {"post": "unknown product", "unpost": "unknown product"}
    await case.say(order, invoice=build.invoice(order))
    await case.parked("partner-rejected", order.case_id)
    await case.decide("refuse", by="E-FIN", case=order.case_id)
    await case.parked_for(order, ("retry", "accept"))
    await case.decide("accept", by="E-FIN", case=order.case_id)
    await case.until("received", order.case_id)
    assert case.change(order.case_id).attention == ()


async def test_an_order_is_cancelled_while_a_posting_is_parked(case: Case) -> None:
    order = await received(case)
    case.outside.refuse["post"] = "the period is closed"
    await case.say(order, invoice=build.invoice(order))
    await case.parked("partner-rejected", order.case_id)
    await case.decide("cancel", by="E-BUY", case=order.case_id)
    assert (await case.ended(order)).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "unpost", "return", "cancel"]


async def test_a_mailbox_that_does_not_answer_keeps_no_other_invoice_and_no_decision_waiting(case: Case) -> None:
    order = await received(case)
    answered = case.outside.unanswered["820"] = asyncio.Event()
    first, second = build.invoice(order, "4"), build.invoice(order, "6")
    await case.say(order, invoice=first)
    await case.documents(order, "820", 1)
    await case.say(order, invoice=second)
    await case.documents(order, "pay", 2)
    await case.decide("hold", by="E-FIN", case=order.case_id)
    await case.until("on hold", order.case_id)
    await case.decide("resume", by="E-FIN", case=order.case_id)
    for bill in (first, second):
        await case.say(order, payment=build.payment(order, bill))
    answered.set()
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", *["post", "pay", "820"] * 2]
