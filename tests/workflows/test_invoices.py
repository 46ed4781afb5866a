"""An order's invoices through the whole case: held, let through, paid at terms, refused; and who may let them."""

from __future__ import annotations

from tests import build
from tests.workflows.beginnings import received
from tests.workflows.case import Case


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
