"""An order's invoices through the whole case: held, let through, paid at terms, refused; and who may let them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from canonical.parties import PaymentPolicy, Supplier, Terms
from canonical.purchasing import PurchaseOrder
from tests import build
from tests.workflows.conftest import Case

DAY = timedelta(days=1)


async def received(case: Case, *quantities: str) -> PurchaseOrder:
    order = await case.approved_order()
    await case.say(order, functional=build.functional(order))
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order, *quantities))
    await case.until("partly received" if quantities else "received", order.case_id)
    return order


async def test_an_invoice_before_its_goods_waits_and_then_pays_by_itself(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.until("receipt missing", order.case_id)
    assert case.change(order.case_id).owner == "receiving"
    assert case.outside.steps(order.number) == ["create", "850"]
    await case.say(order, receipt=build.receipt(order))
    await case.until("paid, waiting for bank", order.case_id)
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"


async def test_an_over_invoice_is_paid_short_and_released_by_another_person(case: Case) -> None:
    order = await received(case)
    bill = build.invoice(order, "12")
    await case.say(order, invoice=bill)
    parked = await case.parked("match-exception", order.case_id, document=bill.number)
    assert "quantity hold" in parked.reason
    await case.decide("pay_short", by="E-FIN", case=order.case_id, document=bill.number)
    await case.until("payment to release", order.case_id)
    posting = case.outside.last(order.number, "post")
    assert (posting.debit_memo, posting.payable) == (build.usd("240"), build.usd("1200"))
    assert posting.lines[0].accepted == build.each("10", "BX")
    assert "pay" not in case.outside.steps(order.number)
    kind, why = await case.refused("release", "E-FIN", order.case_id)
    assert (kind, why) == ("NotAllowed", "who let the invoice through may not release its payment")
    await case.decide("release", by="E-FIN2", case=order.case_id, document=bill.number)
    await case.until("paid, waiting for bank", order.case_id)
    assert case.outside.last(order.number, "pay").amount == build.usd("1200")
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"
    kinds = {document.kind for change in case.cases.changes for document in change.documents}
    assert {"debit_memo", "erp_invoice", "payment", "remittance"} <= kinds


async def test_a_price_hold_is_paid_as_billed_by_a_persons_word(case: Case) -> None:
    order = await received(case)
    bill = build.invoice(order, price="130")
    await case.say(order, invoice=bill)
    await case.until("invoice blocked", order.case_id)
    assert case.change(order.case_id).owner == "buyer"
    case.register.put(build.employee("E-DESK", "support"))
    assert (await case.refused("accept", "E-DESK", order.case_id))[0] == "NotAllowed", "not the support desk's word"
    await case.decide("accept", by="E-BUY", case=order.case_id)
    await case.until("payment to release", order.case_id)
    await case.decide("release", by="E-FIN", case=order.case_id)
    await case.until("paid, waiting for bank", order.case_id)
    assert case.outside.last(order.number, "pay").amount == build.usd("1300")


async def test_a_refused_invoice_is_not_posted_and_the_right_one_is_paid(case: Case) -> None:
    order = await received(case)
    await case.say(order, invoice=build.invoice(order, price="130"))
    await case.until("invoice blocked", order.case_id)
    await case.decide("refuse", by="E-FIN", case=order.case_id)
    await case.until("received", order.case_id)
    await case.pay(order, build.invoice(order))
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number).count("post") == 1


async def test_nothing_is_paid_short_where_nothing_came(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, invoice=build.invoice(order))
    await case.until("receipt missing", order.case_id)
    assert (await case.refused("pay_short", "E-FIN", order.case_id))[0] == "NotOpen"
    assert case.change(order.case_id).business_state == "receipt missing"


async def test_the_same_invoice_in_another_message_is_refused_as_a_duplicate(case: Case) -> None:
    order = await received(case)
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.until("paid, waiting for bank", order.case_id)
    await case.say(order, invoice=bill)
    await case.told_of("invoice.held.v1", outcome="duplicate")
    await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]
    states = [d.state for c in case.cases.changes for d in c.documents if d.name == f"invoice:{bill.number}"]
    assert states[-1] == "reconciled" and "failed" not in states, "the first invoice's state is its own"


async def test_the_same_number_with_another_total_is_for_finance(case: Case) -> None:
    order = await received(case)
    bill = build.invoice(order, "4")
    await case.say(order, invoice=bill)
    await case.documents(order, "pay", 1)
    again = build.invoice(order, "6", number=bill.number)
    await case.say(order, invoice=again)
    parked = await case.parked("duplicate", order.case_id)
    assert (await case.refused("accept", "E-BUY", order.case_id))[0] == "NotAllowed", "finance decides about it"
    assert parked.document == f"{bill.number}-2" and case.change(order.case_id).owner == "finance"
    await case.decide("accept", by="E-FIN", case=order.case_id)
    await case.parked("business-rule", order.case_id)
    keys = [name for name, _ in case.outside.documents[order.number] if name.startswith("post")]
    assert len(set(keys)) == 2
    assert (await case.refused("release", "E-FIN", order.case_id))[0] == "NotAllowed"
    await case.decide("release", by="E-FIN2", case=order.case_id)
    await case.documents(order, "pay", 2)


async def test_a_bill_numbered_as_we_named_a_repeat_is_a_bill_of_its_own(case: Case) -> None:
    order = await received(case)
    bill = build.invoice(order, "4")
    own = build.invoice(order, "6", number=f"{bill.number}-2")
    for one in (bill, bill, own):
        await case.say(order, invoice=one)
    await case.documents(order, "pay", 2)
    paid = {what.invoice: what.amount for step, what in case.outside.documents[order.number] if step.startswith("pay")}
    assert paid == {bill.number: bill.total, f"{own.number}-2": own.total}, "each under a name of its own"


async def test_a_second_bill_does_not_hide_the_first_that_is_held(case: Case) -> None:
    order = await received(case)
    first, second = build.invoice(order, "4", price="130"), build.invoice(order, "6", price="130")
    await case.say(order, invoice=first)
    await case.say(order, invoice=second)
    await case.parked(case=order.case_id, document=second.number)
    assert (await case.refused("accept", "E-FIN", order.case_id))[0] == "Malformed", "which of the two?"
    await case.decide("accept", by="E-FIN", case=order.case_id, document=first.number)
    await case.decide("accept", by="E-FIN", case=order.case_id, document=second.number)
    await case.parked("business-rule", order.case_id, document=f"{order.case_id}/payment/{second.number}")
    assert (await case.refused("release", "E-FIN2", order.case_id))[0] == "Malformed"
    for one in (first, second):
        kind, _ = await case.refused("release", "E-FIN", order.case_id, document=one.number)
        assert kind == "NotAllowed"
        await case.decide("release", by="E-FIN2", case=order.case_id, document=one.number)
    await case.documents(order, "pay", 2)


async def test_a_credit_note_is_a_persons(case: Case) -> None:
    order = await received(case)
    await case.say(order, invoice=build.invoice(order, credit=True))
    parked = await case.parked("match-exception", order.case_id)
    assert "credit note" in parked.reason
    await case.decide("accept", by="E-FIN", case=order.case_id)
    await case.until("received", order.case_id)
    assert "post" not in case.outside.steps(order.number)


async def test_one_invoice_for_several_orders_is_a_persons(case: Case) -> None:
    order = await received(case)
    await case.say(order, invoice=build.invoice(order, orders=(order.number, "PO-OTHER")))
    parked = await case.parked("match-exception", order.case_id)
    assert "several orders" in parked.reason
    await case.decide("refuse", by="E-FIN", case=order.case_id)
    await case.until("received", order.case_id)


async def test_bank_details_that_changed_unseen_are_confirmed_first(case: Case) -> None:
    order = await received(case)
    supplier = Supplier(code="ALPINE", terms=Terms(net_seconds=0), bank_fingerprint="new")
    case.register.put(supplier)
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.until("payment blocked", order.case_id)
    assert "pay" not in case.outside.steps(order.number)
    assert (await case.refused("confirm_bank", "E-BUY", order.case_id))[0] == "NotAllowed"
    case.register.put(supplier.changed(bank_fingerprint="newer"))
    await case.decide("confirm_bank", by="E-FIN", case=order.case_id)
    await case.parked("business-rule", order.case_id)
    assert "pay" not in case.outside.steps(order.number), "what was confirmed is not what is there now"
    await case.decide("confirm_bank", by="E-FIN", case=order.case_id, document=bill.number)
    await case.documents(order, "pay", 1)


async def test_to_a_supplier_whose_bank_details_were_removed_nothing_is_paid_until_there_are_some_again(
    case: Case,
) -> None:
    order = await received(case)
    details = {"bank_fingerprint": "one", "bank_confirmed_fingerprint": "one"}
    supplier = Supplier.model_validate({"code": "ALPINE", "terms": Terms(net_seconds=0), **details})
    case.register.put(supplier.changed(bank_fingerprint=""))
    await case.say(order, invoice=build.invoice(order))
    parked = await case.parked("business-rule", order.case_id)
    assert "were removed" in parked.reason and parked.verbs == ("retry",), "there is nothing to confirm"
    assert (await case.refused("confirm_bank", "E-FIN", order.case_id))[0] == "NotOpen"
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.parked("business-rule", order.case_id)
    assert "pay" not in case.outside.steps(order.number)
    case.register.put(supplier.changed(bank_fingerprint="two"))
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.parked_for(order, ("confirm_bank", "retry"))
    await case.decide("confirm_bank", by="E-FIN", case=order.case_id)
    await case.documents(order, "pay", 1)


@pytest.mark.parametrize("changed_by", ["E-FIN", "fin-login"], ids=["by employee", "by login"])
async def test_who_changed_the_bank_details_may_not_confirm_them(case: Case, changed_by: str) -> None:
    order = await received(case)
    case.register.put(build.employee("E-FIN", "finance", os_user="fin-login"))
    details = {"bank_fingerprint": "new", "bank_changed_by": changed_by}
    case.register.put(Supplier(code="ALPINE", terms=Terms(net_seconds=0), **details))
    await case.say(order, invoice=build.invoice(order))
    await case.until("payment blocked", order.case_id)
    kind, why = await case.refused("confirm_bank", "E-FIN", order.case_id)
    assert (kind, why) == ("NotAllowed", "who changed the bank details may not confirm them")
    assert "pay" not in case.outside.steps(order.number)
    await case.decide("confirm_bank", by="E-FIN2", case=order.case_id)
    await case.documents(order, "pay", 1)


async def test_of_two_changes_of_bank_details_only_the_one_shown_is_confirmed(case: Case) -> None:
    order = await received(case)
    supplier = Supplier(code="ALPINE", terms=Terms(net_seconds=0), bank_fingerprint="one")
    first, second = build.invoice(order, "4"), build.invoice(order, "6")
    parked_as = {bill.number: f"{order.case_id}/payment/{bill.number}/bank" for bill in (first, second)}
    case.register.put(supplier)
    await case.say(order, invoice=first)
    assert "now one" in (await case.parked("business-rule", order.case_id, document=parked_as[first.number])).reason
    case.register.put(supplier.changed(bank_fingerprint="two"))
    await case.say(order, invoice=second)
    assert "now two" in (await case.parked("business-rule", order.case_id, document=parked_as[second.number])).reason
    said = await case.decide("confirm_bank", by="E-FIN", case=order.case_id, document=parked_as[first.number])
    assert said.message == "the supplier's bank details one are confirmed"
    assert "now two" in (await case.parked("business-rule", order.case_id, document=parked_as[first.number])).reason
    assert "pay" not in case.outside.steps(order.number)
    for name in parked_as.values():
        await case.decide("confirm_bank", by="E-FIN", case=order.case_id, document=name)
    await case.documents(order, "pay", 2)


async def test_bank_details_confirmed_in_the_register_let_the_waiting_payment_go_on(case: Case) -> None:
    order = await received(case)
    supplier = Supplier(code="ALPINE", terms=Terms(net_seconds=0), bank_fingerprint="new")
    case.register.put(supplier)
    await case.say(order, invoice=build.invoice(order))
    await case.until("payment blocked", order.case_id)
    await case.signal("look_again", {}, case=order.case_id)  # nobody has confirmed anything: it waits again
    await case.parked("business-rule", order.case_id)
    assert "pay" not in case.outside.steps(order.number)
    finance = build.employee("E-FIN", "finance")
    await case.register.confirm_bank("ALPINE", "new", finance, build.NOW)
    await case.signal("look_again", {}, case=order.case_id)
    await case.documents(order, "pay", 1)


async def test_a_supplier_blocked_since_is_not_paid(case: Case) -> None:
    order = await received(case)
    case.register.put(Supplier(code="ALPINE", status="blocked", terms=Terms(net_seconds=0)))
    await case.say(order, invoice=build.invoice(order))
    parked = await case.parked("business-rule", order.case_id)
    assert "ALPINE is blocked" in parked.reason
    case.register.put(Supplier(code="ALPINE", terms=Terms(net_seconds=0)))
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.documents(order, "pay", 1)


def terms(**fields: Any) -> dict[str, Any]:
    return {"terms": Terms(**fields)}


@pytest.mark.parametrize("policy", [terms(net_days=30)])
async def test_net_thirty_pays_thirty_days_after_the_invoice(case: Case) -> None:
    order = await received(case)
    await case.say(order, invoice=build.invoice(order))
    await case.until("payment due", order.case_id)
    due = case.change(order.case_id).due
    assert due is not None and due.date() == order.ordered_on + 30 * DAY
    await case.skip(due - datetime.now(UTC) - timedelta(hours=1), order.case_id)
    assert "pay" not in case.outside.steps(order.number)
    await case.skip(timedelta(hours=2), order.case_id)
    await case.documents(order, "pay", 1)


@pytest.mark.parametrize("policy", [terms(net_days=30, discount_days=10, discount_percent=Decimal(2))])
async def test_two_ten_takes_the_discount_on_its_last_day(case: Case) -> None:
    order = await received(case)
    await case.say(order, invoice=build.invoice(order))
    await case.until("payment due", order.case_id)
    due = case.change(order.case_id).due
    assert due is not None and due.date() == order.ordered_on + 10 * DAY
    await case.skip(due - datetime.now(UTC) + timedelta(minutes=1), order.case_id)
    await case.documents(order, "pay", 1)
    payment = case.outside.last(order.number, "pay")
    assert (payment.amount, payment.discount) == (build.usd("1176"), build.usd("24"))


@pytest.mark.parametrize("policy", [terms(net_days=30, discount_days=10, discount_percent=Decimal(2))])
async def test_a_discount_that_was_missed_is_not_taken(case: Case) -> None:
    order = await received(case)
    bill = build.invoice(order, price="130")
    await case.say(order, invoice=bill)
    await case.until("invoice blocked", order.case_id)
    await case.decide("pay_short", by="E-FIN", case=order.case_id)
    await case.until("payment to release", order.case_id)
    await case.skip(12 * DAY, order.case_id)
    await case.decide("release", by="E-FIN2", case=order.case_id)
    await case.until("payment due", order.case_id)
    assert "pay" not in case.outside.steps(order.number)
    await case.skip(19 * DAY, order.case_id)
    await case.documents(order, "pay", 1)
    payment = case.outside.last(order.number, "pay")
    assert (payment.amount, payment.discount) == (build.usd("1200"), build.usd("0"))


async def test_a_second_attempt_never_shares_its_key_with_another_invoice(case: Case) -> None:
    order = await received(case)
    plain = build.invoice(order, "4")
    slashed = build.invoice(order, "6", number=f"{plain.number}/2")
    await case.say(order, invoice=plain)
    await case.documents(order, "820", 1)
    await case.say(order, payment=build.payment(order, plain, "failed"))
    await case.parked("partner-rejected", order.case_id)
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.documents(order, "pay", 2)
    await case.say(order, invoice=slashed)
    await case.documents(order, "pay", 3)
    paid = [payment for name, payment in case.outside.documents[order.number] if name.startswith("pay ")]
    base = f"{order.case_id}/payment/{plain.number}"
    assert [payment.key for payment in paid] == [base, f"{base}/2", f"{base}%2F2"]
    for payment in paid[1:]:
        said = build.payment(order, plain).changed(key=payment.key, amount=payment.amount)
        await case.say(order, payment=said)
    assert (await case.result()).business_state == "closed"


async def test_a_payment_the_bank_refuses_is_tried_again_under_another_key(case: Case) -> None:
    order = await received(case)
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.until("paid, waiting for bank", order.case_id)
    for _ in range(2):
        await case.say(order, payment=build.payment(order, bill, "failed"))
    await case.until("payment blocked", order.case_id)
    await case.decide("retry", by="E-FIN", case=order.case_id)
    await case.documents(order, "pay", 2)
    keys = [name for name, _ in case.outside.documents[order.number] if name.startswith("pay")]
    assert keys[1] == f"{keys[0]}/2"
    await case.say(order, payment=build.payment(order, bill, attempt=2))
    assert (await case.result()).business_state == "closed"


async def test_a_bank_that_says_nothing_is_asked_about(case: Case) -> None:
    order = await received(case)
    await case.say(order, invoice=build.invoice(order))
    await case.until("paid, waiting for bank", order.case_id)
    await case.skip(6 * DAY, order.case_id)
    await case.parked("timeout", order.case_id, document="bank ")
    assert (await case.refused("accept", "E-BUY", order.case_id))[0] == "NotAllowed"
    await case.decide("accept", by="E-FIN", case=order.case_id)
    assert (await case.result()).business_state == "closed"


@pytest.mark.parametrize("policy", [{"payment": PaymentPolicy(auto_release_up_to=Decimal(1000))}])
async def test_a_large_payment_is_released_by_a_person(case: Case) -> None:
    order = await received(case)
    await case.say(order, invoice=build.invoice(order))
    parked = await case.parked("business-rule", order.case_id)
    assert "above 1000" in parked.reason
    await case.decide("release", by="E-FIN", case=order.case_id)
    await case.documents(order, "pay", 1)


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


async def test_the_supplier_of_an_unverified_release_is_not_paid(case: Case) -> None:
    case.register.put(build.hospital(unverified_verbs=("release", "accept"))[-1])
    order = await received(case)
    await case.say(order, invoice=build.invoice(order, price="130"))
    await case.until("invoice blocked", order.case_id)
    await case.signal("decide", {"verb": "accept"}, case=order.case_id)
    await case.until("payment to release", order.case_id)
    await case.signal("decide", {"verb": "release"}, case=order.case_id)
    await case.unreadable("who let the invoice through may not release its payment")


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
