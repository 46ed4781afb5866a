"""What somebody might send, or register, to move stock twice or for ever, to stop a location, or to be paid for what was not used."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import Location
from canonical.purchasing import Requisition
from canonical.stock import OnHand
from store.erp_counts import StoredErpCounts
from store.ids import now
from store.replenishment import used_for
from store.usage_tables import usage_locations
from tests.store.usage_house import NOW, House, level, round_, use, void
from tests.store.usage_stored import StoredStock


@pytest.fixture
async def stock(engine: AsyncEngine) -> StoredStock:
    return StoredStock(engine)


@pytest.fixture
async def house(stock: StoredStock) -> House:
    house = House(stock)
    await house.open()
    return house


def moved(location: str, to: str) -> Location:
    return Location(code=location, facility="NGH", cost_centre="CC-4100", moved_to=to)


@pytest.mark.parametrize("words", ["a \\u0000 b", "\\\\u0000", "\x00", "\\\x00", "\\\\\x00\x00"])
async def test_words_that_look_like_a_nul_or_are_one_are_kept(house: House, words: str) -> None:
    """A description as a department wrote it; what our database cannot hold is marked, and nothing else is touched."""
    assert await house.keep(use("T-1", description=words)) == ["new"]
    assert (await house.stock.event("T-1")).event.description == words.replace("\x00", "\ufffd")
    assert await house.keep(use("T-1", description=words)) == ["same"]


@pytest.mark.parametrize("circle", [("OR-1",), ("OR-1", "OR-2"), ("OR-1", "OR-2", "STORE")])
async def test_a_location_that_moved_in_a_circle_keeps_what_it_has_and_posts_what_is_used(
    house: House, stock: StoredStock, circle: tuple[str, ...]
) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await stock.put(*(moved(one, circle[(place + 1) % len(circle)]) for place, one in enumerate(circle)))
    await house.keep(use("T-1", amount=3))
    for location in (*circle, *circle):
        await house.round(location)
    assert [posting.kind for posting in house.erp.booked.values()] == ["consume"]
    assert (await house.state("T-1"), await house.total("GLOVE")) == (("posted", ""), 7)


async def test_a_location_that_moved_into_a_circle_of_others_hands_over_all_the_same(
    house: House, stock: StoredStock
) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await stock.put(moved("OR-1", "OR-2"), moved("OR-2", "STORE"), moved("STORE", "OR-2"))
    for location in ("OR-1", "OR-2", "STORE"):
        await house.round(location)
    assert (await house.total("GLOVE"), await house.total("GLOVE", "OR-2"), len(house.erp.booked)) == (0, 10, 1)


async def test_a_use_is_taken_back_once_though_a_person_sends_its_second_void_to_another_location_meanwhile(
    house: House, stock: StoredStock
) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await house.keep(use("T-1", amount=5))
    await house.round()
    await house.keep(void("V-2", "T-9"))
    await house.keep(void("V-1", "T-1"))
    under_way, _ = await house.take()
    await house.decide("V-2", "correct", voids_number="T-1", location="OR-2")
    await house.round("OR-2")
    await house.post(under_way)
    await house.book.record(under_way)
    assert await house.state("V-2") == ("parked", "voided-before")
    assert (await house.total("GLOVE"), await house.total("GLOVE", "OR-2")) == (10, 0)


async def test_what_a_warehouse_gave_while_the_erp_was_asked_is_no_drift(house: House, stock: StoredStock) -> None:
    """Its answer is of before the transfer; our books are of after it."""
    counts = StoredErpCounts(stock.engine)
    await stock.opening("STORE", "GLOVE", 100)
    await stock.opening("STORE", "SUTURE", 8)
    await stock.opening("OR-1", "GLOVE", 20)
    await stock.put(level("OR-1", "GLOVE", method="par", par=50, supply="warehouse", warehouse="STORE"))
    asked = now()
    async with stock.engine.begin() as connection:
        row = {"facility": "NGH", "location": "STORE", "count_due": asked, "counted_at": NOW - timedelta(days=1)}
        await connection.execute(insert(usage_locations).values(row))
    answer = [OnHand(item="GLOVE", quantity=100), OnHand(item="SUTURE", quantity=9)]
    await house.keep(use("T-1", amount=5))
    await house.round()
    await house.round()
    assert await house.total("GLOVE", "STORE") == 65
    await counts.compared(round_(1, "STORE").model_copy(update={"as_of": asked}), answer)
    assert await house.total("GLOVE", "STORE") == 65, "as the ERP has it by now"
    assert await house.total("SUTURE", "STORE") == 9, "what stood still is repaired as ever"


async def test_a_lot_or_serial_with_blanks_around_it_is_the_same_lot_or_serial(
    house: House, stock: StoredStock
) -> None:
    await stock.opening("OR-1", "SCREW", 5, lot="LOT7")
    await stock.opening("OR-1", "VALVE", 2, lot="L")
    await stock.block("SCREW", "LOT7")
    await house.keep(use("T-1", "SCREW", lot=" LOT7 "), use("T-2", "VALVE", lot="L", serial="SN9"))
    await house.keep(use("T-3", "VALVE", lot="L", serial="SN9\u00a0"))
    await house.round()
    assert await house.state("T-1") == ("parked", "recalled")
    assert [(await house.state(one))[0] for one in ("T-2", "T-3")] == ["posted", "parked"]


async def test_a_use_taken_back_before_it_is_ordered_is_no_longer_believed(house: House, stock: StoredStock) -> None:
    """Its requisition may wait days for an approval; nothing is received that would stop the bill."""
    await stock.put(level("OR-1", "VALVE", supply="bill-only"))
    await house.keep(use("T-1", "VALVE", lot="L", serial="SN9"))
    recorded = await house.round()
    asked = Requisition.model_validate_json(recorded.needs[0].requisition)
    assert await used_for(stock.engine, asked)
    assert not await used_for(stock.engine, asked.changed(note="something else"))
    await house.keep(void("V-1", "T-1"))
    assert not await used_for(stock.engine, asked), "as soon as we know, the ERP may be away"
    await house.round()
    assert await house.state("T-1") == ("voided", "")
    assert not await used_for(stock.engine, asked)
