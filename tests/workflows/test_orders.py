"""An order with its supplier: answers, silence, changes, goods, in any order and more than once."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from canonical.parties import Partner
from canonical.purchasing import AcknowledgedLine, LineAcknowledgement, PurchaseOrder, Receipt, ReceivedLine
from tests import build
from tests.workflows.case import PATIENCE, Case

DAY = timedelta(days=1)


def one_line(order: PurchaseOrder, code: str, **fields: Any) -> AcknowledgedLine:
    part = {k: fields.pop(k) for k in ("dated", "quantity", "supplier_item") if k in fields}
    return AcknowledgedLine(number=1, acknowledgements=(LineAcknowledgement(code=code, **part),), **fields)


async def test_a_price_change_accepted_changes_the_order_in_the_erp(case: Case) -> None:
    order = await case.approved_order()
    answer = build.answer(order, lines=(one_line(order, "IP", unit_price=build.usd("125"), price_unit="BX"),))
    await case.say(order, acknowledgement=answer)
    await case.until("change to decide", order.case_id)
    assert (await case.refused("accept", "E-REQ", order.case_id))[0] == "NotAllowed"
    await case.decide("accept", case=order.case_id, line="1")
    await case.until("acknowledged", order.case_id)
    change = case.outside.last(order.number, "change")
    assert (change.lines[0].unit_price, change.lines[0].ended) == (build.usd("125"), False)
    assert case.register.commitments["NGH", order.number][1] == build.usd("1250")
    await case.say(order, receipt=build.receipt(order))
    await case.pay(order, build.invoice(order, price="125"))
    assert (await case.result()).business_state == "closed"
    assert case.register.commitments["NGH", order.number][1] == build.usd("0")


async def test_a_substitution_refused_ends_the_line_here_in_the_erp_and_at_the_supplier(case: Case) -> None:
    order = await case.approved_order()
    answer = build.answer(order, lines=(one_line(order, "IS", supplier_item="ALP-9"),))
    await case.say(order, acknowledgement=answer)
    parked = await case.parked(case=order.case_id, line="1")
    assert "ALP-9 instead of ALP-1002" in parked.reason
    await case.decide("refuse", case=order.case_id, line="1")
    await case.until("waiting for the supplier", order.case_id)
    assert case.outside.steps(order.number) == ["create", "850", "change", "860"]
    assert case.outside.last(order.number, "change").lines[0].ended
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True, change_sequence="2"))
    status = await case.result()
    assert (status.business_state, status.lines[0].state) == ("closed", "ended by the buyer")


async def test_a_change_the_supplier_does_not_answer_is_sent_again_by_a_person(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.decide("short_close", case=order.case_id)
    await case.until("waiting for the supplier", order.case_id)
    await case.skip(DAY + timedelta(minutes=1), order.case_id)
    await case.parked("timeout", order.case_id, document="865")
    await case.decide("retry", case=order.case_id, document="865")
    await case.until("waiting for the supplier", order.case_id)
    assert case.outside.steps(order.number) == ["create", "850", "change", "860", "860"]
    await case.say(order, acknowledgement=build.answer(order, "RJ", to_change=True))
    await case.parked("partner-rejected", order.case_id, document="860")
    await case.decide("accept", case=order.case_id)
    assert (await case.result()).business_state == "closed"


async def test_a_line_the_supplier_rejects_ends_with_an_alternative_named(case: Case) -> None:
    case.register.put(
        build.item("ITM-1002").changed(
            suppliers=(*build.item("ITM-1002").suppliers, *build.item("ITM-1002", "BOREAL").suppliers)
        )
    )
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order, "AC", "IR"))
    status = await case.result()
    assert status.lines[0].state == "rejected by supplier (IR); alternative: BOREAL BOR-1002"
    assert case.outside.steps(order.number) == ["create", "850", "change"], "the supplier said it: no 860"


async def test_a_refused_order_is_cancelled_in_the_erp_and_frees_the_budget(case: Case) -> None:
    order = await case.approved_order()
    assert case.register.commitments["NGH", order.number][1] == order.amount
    await case.say(order, acknowledgement=build.answer(order, "RJ", lines=()))
    status = await case.ended(order)
    assert status.business_state == "rejected by supplier"
    assert case.outside.steps(order.number) == ["create", "850", "cancel"]
    assert case.register.commitments["NGH", order.number][1] == build.usd("0")
    assert (await case.result()).lines[0].state.startswith("rejected by supplier (RJ)")


async def test_a_code_nobody_knows_parks_the_line_and_never_accepts_it(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order, "AC", "Q7"))
    parked = await case.parked("unknown-code", order.case_id)
    assert "'Q7'" in parked.reason and case.lines(order) == ["answer not understood"]
    await case.decide("accept", case=order.case_id, reason="meant IA, by phone")
    await case.until("acknowledged", order.case_id)


async def test_an_order_on_hold_at_the_supplier_becomes_a_persons_when_the_time_is_over(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order, "AH", lines=()))
    await case.until("held by supplier", order.case_id)
    await case.skip(3 * DAY + timedelta(minutes=1), order.case_id)
    await case.parked("timeout", order.case_id, document="hold")
    await case.say(order, acknowledgement=build.answer(order, "AT"))
    await case.until("acknowledged", order.case_id)
    assert case.change(order.case_id).attention == ()


async def test_a_line_on_hold_waits_until_its_date_then_a_person(case: Case) -> None:
    order = await case.approved_order()
    dated = (datetime.now(UTC) + 9 * DAY).date()
    await case.say(order, acknowledgement=build.answer(order, lines=(one_line(order, "IH", dated=dated),)))
    await case.until("acknowledged", order.case_id)
    assert case.lines(order) == ["on hold"]
    await case.skip(7 * DAY, order.case_id)
    assert case.change(order.case_id).attention == ()
    await case.skip(3 * DAY, order.case_id)
    await case.parked("timeout", order.case_id, line="1")
    await case.decide("accept", case=order.case_id, line="1")
    await case.skip(4 * DAY, order.case_id)
    await case.say(order, acknowledgement=build.answer(order))
    await case.until("acknowledged", order.case_id)
    assert case.lines(order) == ["acknowledged"] and case.change(order.case_id).attention == ()


async def test_a_back_order_comes_in_two_parts_with_two_invoices(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, functional=build.functional(order))
    parts = (
        LineAcknowledgement(code="IA", quantity=build.each("6", "BX")),
        LineAcknowledgement(code="IB", quantity=build.each("4", "BX"), dated=date(2027, 1, 5)),
    )
    line = AcknowledgedLine(number=1, acknowledgements=parts)
    await case.say(order, acknowledgement=build.answer(order, lines=(line,)))
    await case.until("back-ordered", order.case_id)
    assert case.change(order.case_id).lines[0].expected == "2027-01-05"
    await case.say(order, ship_notice=build.ship_notice(order, "6"))
    await case.say(order, receipt=build.receipt(order, "6"))
    await case.until("partly received", order.case_id)
    first, second = build.invoice(order, "6"), build.invoice(order, "4")
    await case.say(order, invoice=first)
    await case.documents(order, "post", 1)
    await case.say(order, ship_notice=build.ship_notice(order, "4"))
    await case.say(order, receipt=build.receipt(order, "4"))
    await case.say(order, invoice=second)
    await case.documents(order, "pay", 2)
    for one in (first, second):
        await case.say(order, payment=build.payment(order, one))
    assert (await case.result()).business_state == "closed"
    line_state = case.change(order.case_id).lines[0]
    assert (str(line_state.received), str(line_state.invoiced)) == ("10", "10")


async def test_a_silent_supplier_is_escalated_and_the_order_sent_again_goes_on(case: Case) -> None:
    order = await case.approved_order()
    await case.skip(DAY + timedelta(minutes=1), order.case_id)
    await case.until("supplier silent", order.case_id)
    assert case.change(order.case_id).owner == "buyer"
    await case.decide("resend", case=order.case_id)
    await case.until("sent to supplier", order.case_id)
    assert case.outside.steps(order.number) == ["create", "850", "850"]
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"


@pytest.mark.parametrize("kind", ["997", "TA1"])
async def test_an_order_the_suppliers_system_refuses_is_sent_again(case: Case, kind: str) -> None:
    order = await case.approved_order()
    refused = build.functional(order, "R", kind=kind, note="025", functional_id="PO" if kind == "997" else "")
    await case.say(order, functional=refused)
    parked = await case.parked("partner-rejected", order.case_id, document="997")
    assert kind in parked.reason
    await case.decide("resend", case=order.case_id)
    await case.say(order, functional=build.functional(order))
    await case.until("sent to supplier", order.case_id)
    assert case.outside.steps(order.number) == ["create", "850", "850"]
    assert case.change(order.case_id).attention == ()


async def test_documents_come_in_any_order_and_each_twice(case: Case) -> None:
    order = await case.approved_order()
    bill = build.invoice(order)
    documents: list[dict[str, Any]] = [
        {"invoice": bill},
        {"receipt": build.receipt(order)},
        {"ship_notice": build.ship_notice(order)},
        {"acknowledgement": build.answer(order)},
        {"functional": build.functional(order)},
    ]
    for document in documents:
        key, message = build.unique("K"), build.unique("M")
        for _ in range(2):
            await case.say(order, key=key, message=message, **document)
    await case.until("paid, waiting for bank", order.case_id)
    for _ in range(2):
        await case.say(order, payment=build.payment(order, bill))
    assert (await case.result()).business_state == "closed"
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]
    (line,) = case.change(order.case_id).lines
    assert (str(line.shipped), str(line.received), str(line.invoiced)) == ("10", "10", "10")


async def test_too_much_came_and_a_person_keeps_it_or_sends_it_back(case: Case) -> None:
    order = await case.approved_order(build.line("1"), build.line("2", "ITM-1001", "10 BX"))
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order, "12", "11"))
    await case.until("receipt unmatched", order.case_id)
    await case.decide("refuse", by="E-BUY", case=order.case_id, line="1")
    await case.decide("accept", by="E-BUY", case=order.case_id, line="2")
    await case.until("received", order.case_id)
    returned = case.outside.last(order.number, "return")
    assert [(line.line, str(line.quantity)) for line in returned.lines] == [("1", "2 BX")]
    await case.pay(order, build.invoice(order, "10", "11"))
    assert (await case.result()).business_state == "closed"


async def test_the_wrong_item_came(case: Case) -> None:
    order = await case.approved_order()
    wrong = (ReceivedLine(line="1", item="ITM-1001", quantity=build.each("10", "BX")),)
    await case.say(order, receipt=build.receipt(order, lines=wrong))
    parked = await case.parked("match-exception", order.case_id, document="receipt ")
    assert "ITM-1001 came, which was not ordered" in parked.reason
    assert str(case.change(order.case_id).lines[0].received) == "0"
    await case.decide("refuse", case=order.case_id)
    await case.until("sent to supplier", order.case_id)


async def test_a_receipt_taken_back_in_the_erp_counts_no_more(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    receipt = build.receipt(order)
    await case.say(order, receipt=receipt)
    await case.until("received", order.case_id)
    await case.say(order, receipt=receipt.changed(cancelled=True))
    await case.until("acknowledged", order.case_id)
    assert str(case.change(order.case_id).lines[0].received) == "0"
    never: Receipt = build.receipt(order)
    await case.say(order, receipt=never.changed(cancelled=True))
    await case.say(order, receipt=never)
    await case.say(order, receipt=build.receipt(order, "3"))
    await case.until("partly received", order.case_id)
    assert str(case.change(order.case_id).lines[0].received) == "3"


async def test_goods_shipped_and_not_received_in_time_are_asked_about(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, functional=build.functional(order))
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, ship_notice=build.ship_notice(order))
    await case.until("shipped", order.case_id)
    await case.skip(15 * DAY, order.case_id)
    await case.parked("timeout", order.case_id, document="goods")
    await case.say(order, receipt=build.receipt(order))
    await case.until("received", order.case_id)


async def test_goods_nobody_bills_are_asked_about_and_let_be(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order))
    await case.until("received", order.case_id)
    await case.skip(61 * DAY, order.case_id)
    await case.parked("timeout", order.case_id, document="invoice")
    await case.decide("accept", case=order.case_id)
    assert (await case.result()).business_state == "closed"


async def test_the_erp_refuses_the_order_and_a_person_has_it_tried_again(case: Case) -> None:
    case.outside.refuse["create"] = "the item is locked"
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    await case.until("ordered")
    name = f"purchase_order/{build.FACILITY}/{case.change().lines[0].order}"
    parked = await case.parked("partner-rejected", name, document="ERP order")
    assert "the item is locked" in parked.reason
    del case.outside.refuse["create"]
    await case.decide("retry", case=name)
    order = await case.order()
    assert case.outside.steps(order.number) == ["create", "850"]


async def test_an_erp_that_is_away_is_waited_for_and_asked_once(case: Case) -> None:
    case.outside.fail["create"] = 2
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    order = await case.order()
    assert case.outside.steps(order.number) == ["create", "850"]


async def test_on_hold_nothing_leaves_the_house(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    await case.decide("hold", by="E-FIN", case=order.case_id)
    await case.until("on hold", order.case_id)
    await case.say(order, receipt=build.receipt(order))
    await case.say(order, invoice=build.invoice(order))
    await case.skip(2 * DAY, order.case_id)
    assert case.outside.steps(order.number) == ["create", "850"]
    before = await case.events(order.case_id)
    assert before < 80, "a deadline that passes on hold costs nothing"
    await case.decide("resume", by="E-FIN", case=order.case_id)
    await case.documents(order, "pay", 1)


async def test_an_order_cancelled_in_the_erp_is_for_a_person(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, cancelled_in_erp=True)
    await case.parked("business-rule", order.case_id, document="cancelled in the ERP")
    await case.decide("cancel", case=order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    assert (await case.ended(order)).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "860"], "it is cancelled there already"


async def test_a_document_that_does_not_fit_is_kept(case: Case) -> None:
    order = await case.approved_order()
    for sent in ("nonsense", {"key": 1}, None):
        await case.signal("document", sent, case=order.case_id)
    await case.unreadable("document signal:")
    await case.signal("document", case=order.case_id)
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"
    assert await case.failed_tasks(order.case_id) == 0


async def test_a_partners_times_are_data(case: Case) -> None:
    quick = Partner(
        code="ALPINE", supplier="ALPINE", id="ALPINEMED", our_id="FASCIANGH", acknowledge_within=1, respond_within=1
    )
    case.register.put(quick)
    await case.start(build.requisition())
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    await case.order(now="supplier silent")  # it is with its supplier for a second only


async def test_a_ship_notice_that_comes_again_changed_takes_the_place_of_the_earlier_one(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order))
    notice = build.ship_notice(order, "4")
    await case.say(order, ship_notice=notice)
    changed = notice.changed(carrier="another", lines=build.ship_notice(order, "6").lines)
    await case.say(order, ship_notice=changed)
    await case.say(order, ship_notice=build.ship_notice(order, "3"))
    await case.until("shipped", order.case_id)
    async with asyncio.timeout(PATIENCE):
        while case.change(order.case_id).lines[0].shipped != 9:
            await asyncio.sleep(0.02)


async def test_a_receipt_done_again_after_it_was_taken_back_is_counted_again_once(case: Case) -> None:
    order = await case.approved_order()
    came = build.receipt(order, key="SHIP-1")
    for revision, cancelled in ((0, False), (1, True), (2, False), (2, False), (1, True), (0, False)):
        await case.say(order, receipt=came.changed(revision=revision, cancelled=cancelled))
    await case.say(order, acknowledgement=build.answer(order))
    await case.told_of("order.acknowledged.v1")
    assert [line.received for line in case.change(order.case_id).lines] == [10]
    assert case.told(order.case_id).count("receipt.posted.v1") == 3
    await case.say(order, receipt=came.changed(revision=3, cancelled=True))
    await case.until("acknowledged", order.case_id)
    assert [line.received for line in case.change(order.case_id).lines] == [0]


async def test_a_receipt_that_was_mended_takes_the_place_of_the_earlier_one(case: Case) -> None:
    order = await case.approved_order()
    await case.say(order, receipt=build.receipt(order, "4", key="SHIP-1"))
    await case.say(order, receipt=build.receipt(order, "6", key="SHIP-1", revision=1))
    await case.told_of("receipt.posted.v1", lines="ITM-1002:6:BX")
    assert [line.received for line in case.change(order.case_id).lines] == [6]
