"""Paying what an order's invoices ask for: at terms, to bank details we know, released by another person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from canonical.parties import PaymentPolicy, Supplier, Terms
from tests import build
from tests.workflows.beginnings import received
from tests.workflows.case import Case

DAY = timedelta(days=1)


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


@pytest.mark.parametrize("policy", [terms(net_days=6, discount_days=2, discount_percent=Decimal(2))])
async def test_a_discount_that_was_missed_is_not_taken(case: Case) -> None:
    order = await received(case)
    bill = build.invoice(order, price="130")
    await case.say(order, invoice=bill)
    await case.until("invoice blocked", order.case_id)
    await case.decide("pay_short", by="E-FIN", case=order.case_id)
    await case.until("payment to release", order.case_id)
    await case.skip(3 * DAY, order.case_id)
    await case.decide("release", by="E-FIN2", case=order.case_id)
    await case.until("payment due", order.case_id)
    assert "pay" not in case.outside.steps(order.number)
    await case.skip(4 * DAY, order.case_id)
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


async def test_the_supplier_of_an_unverified_release_is_not_paid(case: Case) -> None:
    case.register.put(build.hospital(unverified_verbs=("release", "accept"))[-1])
    order = await received(case)
    await case.say(order, invoice=build.invoice(order, price="130"))
    await case.until("invoice blocked", order.case_id)
    await case.signal("decide", {"verb": "accept"}, case=order.case_id)
    await case.until("payment to release", order.case_id)
    await case.signal("decide", {"verb": "release"}, case=order.case_id)
    await case.unreadable("who let the invoice through may not release its payment")
