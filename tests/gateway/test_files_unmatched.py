"""Documents without an open case, and what is away while a mailbox is read."""

from __future__ import annotations

import pytest

from canonical.errors import Rejected, Unavailable
from tests.formats.x12_files import sample
from tests.gateway.fakes import ORDER, ORDER_CASE, stands
from tests.gateway.files_house import ALPINE, ANSWER, House


async def test_a_document_for_an_unknown_order_goes_to_the_list_with_all_a_person_needs_to_attach_it() -> None:
    house = House()
    house.cases.orders.clear()
    await house.leave(sample("810_freight_and_tax"))
    (row,) = house.cases.unmatched.values()
    assert (row.kind, row.order, row.reason) == ("invoice", ORDER, "no order of this number to this supplier")
    assert row.message == house.received()[0].id
    await house.intake.attach(row, ORDER_CASE, "E-BUY")
    ((case, document),) = house.engine.delivered
    assert (case, document.attached_by) == (ORDER_CASE, "E-BUY")
    assert document.invoice is not None


@pytest.mark.parametrize("facility", ["NGH", None])
async def test_what_is_listed_from_a_mailbox_of_one_facility_stands_in_that_facilitys_list(
    facility: str | None,
) -> None:
    house = House(partner=ALPINE.changed(facility=facility))
    house.cases.orders.clear()
    await house.leave(sample("810_freight_and_tax"), "bill")
    await house.leave(sample("997_order_rejected"), "answer")
    await house.leave(b"not an interchange", "garbage")
    wrong = sample("855_partly_backordered").replace(b"FASCIANGH", b"FASCIAXXX")
    await house.leave(wrong, "not for us")
    await house.door.left(house.partner, "huge", 9, "a file of 9 bytes, more than 8")
    rows = house.cases.unmatched.values()
    kinds = ["functional_acknowledgement", "interchange", "invoice", "mailbox_file", "unreadable"]
    assert sorted(row.kind for row in rows) == kinds
    assert {row.facility for row in rows} == {facility or ""}


async def test_a_document_for_a_closed_case_stands_in_the_list_of_its_orders_facility() -> None:
    house = House(partner=ALPINE.changed(facility="WEST"))
    house.engine.open.clear()
    await house.cases.record(stands(ORDER_CASE, closed=True))
    await house.leave(sample(ANSWER))
    (row,) = house.cases.unmatched.values()
    assert (row.case, row.facility) == (ORDER_CASE, "NGH")


async def test_a_bill_of_one_supplier_is_attached_to_no_order_of_another() -> None:
    house = House()
    house.cases.orders = {case: (written, "BOREAL") for case, (written, _) in house.cases.orders.items()}
    await house.leave(sample("810_freight_and_tax"))
    (row,) = house.cases.unmatched.values()
    with pytest.raises(Rejected, match="is no order to ALPINE"):
        await house.intake.attach(row, ORDER_CASE, "E-BUY")
    assert not house.engine.delivered


async def test_a_document_for_a_closed_case_goes_to_the_list_naming_the_case() -> None:
    house = House()
    house.engine.open.clear()
    await house.cases.record(stands(ORDER_CASE, closed=True))
    await house.leave(sample(ANSWER))
    (row,) = house.cases.unmatched.values()
    assert (row.case, row.reason) == (ORDER_CASE, "its case is closed")
    with pytest.raises(Rejected, match="not open"):
        await house.intake.attach(row, ORDER_CASE, "E-BUY")


async def test_a_document_for_an_order_stopped_before_its_first_word_waits_until_it_is_resumed() -> None:
    house = House()
    house.engine.open.clear()
    await house.leave(sample(ANSWER))
    assert not house.cases.unmatched
    (message,) = house.received()
    assert message.state == "validated"
    house.engine.open.add(ORDER_CASE)
    await house.intake.route(message)
    assert [case for case, _ in house.engine.delivered] == [ORDER_CASE]


async def test_a_document_for_a_case_stopped_from_outside_waits_until_it_is_resumed() -> None:
    house = House()
    await house.cases.record(stands(ORDER_CASE))
    house.engine.open.clear()
    await house.leave(sample(ANSWER))
    (message,) = house.received()
    assert message.state == "validated"
    assert not house.cases.unmatched
    house.engine.open.add(ORDER_CASE)
    assert await house.intake.route(message)
    assert [case for case, _ in house.engine.delivered] == [ORDER_CASE]


async def test_what_no_feed_can_read_is_listed_and_the_documents_beside_it_go_on() -> None:
    house = House()
    one = sample(ANSWER)
    document = one[one.index(b"ST*") : one.index(b"GE*")]
    unreadable = document.replace(b"*0001~", b"*0002~").replace(b"BAK*00*", b"BAK*01*")
    await house.leave(one.replace(document, document + unreadable).replace(b"GE*1*", b"GE*2*"))
    assert len(house.engine.delivered) == 1
    assert [one.kind for one in house.cases.unmatched.values()] == ["unreadable"]
    assert house.received()[0].state == "routed"


async def test_while_temporal_is_away_the_partner_is_answered_and_the_sweep_routes_later() -> None:
    house = House()
    house.engine.away = True
    await house.leave(sample(ANSWER))
    (message,) = house.received()
    assert message.state == "validated"
    assert len(house.mailbox.puts) == 1
    house.engine.away = False
    assert await house.intake.route(message)
    assert house.received()[0].state == "routed"
    assert len(house.mailbox.puts) == 1, "answered once"
    assert len(house.engine.delivered) == 1


async def test_while_our_journal_is_away_nothing_is_answered_and_the_file_stays() -> None:
    house = House()
    house.journal.away = True
    with pytest.raises(Unavailable):
        await house.leave(sample(ANSWER))
    assert not house.mailbox.puts


async def test_a_mailbox_lost_before_the_answer_gets_the_same_answer_later() -> None:
    house = House()
    house.mailbox.away = True
    await house.leave(sample(ANSWER))
    (message,) = house.received()
    assert message.state == "received"
    house.mailbox.away = False
    assert await house.intake.route(message)
    (message,) = house.received()
    assert (message.state, len(house.mailbox.puts)) == ("routed", 1)
    assert len([one for one in house.journal.messages.values() if one.direction == "out"]) == 1


async def test_a_mistake_of_ours_makes_a_dead_letter_not_a_stuck_mailbox() -> None:
    house = House()
    house.engine.breaks = KeyError("x")
    await house.leave(sample(ANSWER))
    (message,) = house.received()
    assert (message.state, message.reason) == ("dead", "unexpected KeyError while routing")
    assert [one.kind for one in house.cases.unmatched.values()] == ["unreadable"]


async def test_an_invoice_that_names_several_orders_waits_for_a_person() -> None:
    house = House()
    await house.leave(sample("810_freight_and_tax"))
    ((_, document),) = house.engine.delivered
    assert document.invoice is not None
    many = document.model_copy(update={"invoice": document.invoice.changed(orders=(ORDER, "PO-30000")), "key": "many"})
    assert await house.intake.document(house.received()[0], many) == ""
    (row,) = house.cases.unmatched.values()
    assert row.reason == "it names 2 orders: a person decides"
