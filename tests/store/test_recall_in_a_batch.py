"""A recall in the middle of a location's work: what is taken from its commit on is stopped, and every use is found, whenever taken."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.recall import RecallScope
from store.usage_tables import usage_events
from tests.store.recall_house import NOON, RecallHouse, notice
from tests.store.usage_house import FACILITY, ITEMS, LOCATIONS, POLICY, round_, use
from tests.store.usage_stored import StoredStock

LOT = RecallScope(device="09506000000017", lot_from="L-1")


@pytest.fixture
async def stock(engine: AsyncEngine) -> StoredStock:
    stock = StoredStock(engine)
    await stock.put(FACILITY, POLICY, *LOCATIONS, *ITEMS)
    await stock.opening("OR-1", "SCREW", 1000, lot="L-1")
    await stock.opening("OR-1", "SCREW", 1000, lot="L-2")
    return stock


@pytest.fixture
def house(engine: AsyncEngine) -> RecallHouse:
    return RecallHouse(engine)


async def used(stock: StoredStock, first: int, many: int, lot: str = "L-1") -> None:
    uses = [use(f"U-{n:04}", "SCREW", lot=lot, procedure=f"p-{n}") for n in range(first, first + many)]
    await stock.book.keep(uses, "m-1", "orsys")


async def states(stock: StoredStock) -> dict[str, int]:
    async with stock.engine.begin() as connection:
        rows = list(await connection.execute(usage_events.select()))
    found = [f"{row.state} {row.finding}".strip() for row in rows]
    return {one: found.count(one) for one in found}


async def test_of_a_batch_what_was_taken_before_goes_on_and_the_rest_is_stopped(
    stock: StoredStock, house: RecallHouse
) -> None:
    await used(stock, 0, 300)
    first = await stock.book.take(round_(1), 200)
    await house.load(notice(LOT))
    second = await stock.book.take(round_(2), 200)
    assert (first.lines, second.parked) == (200, 100)
    assert await states(stock) == {"taken": 200, "parked recalled": 100}
    standing = await house.recalls.match("Z-1234-2026", NOON)
    assert standing.open == 301  # each procedure, and the location that holds it
    stopped = await stock.event("U-0250")
    assert "Z-1234-2026" in stopped.reason


async def test_another_lot_goes_on_and_a_lot_in_small_letters_is_the_same(
    stock: StoredStock, house: RecallHouse
) -> None:
    await house.load(notice(LOT))
    await used(stock, 0, 2, "L-2")
    await used(stock, 2, 1, "l-1")
    await stock.book.take(round_(1))
    assert await states(stock) == {"taken": 2, "parked recalled": 1}
    await house.recalls.match("Z-1234-2026", NOON)
    assert ("procedure", "p-2") in await house.places("Z-1234-2026")


async def test_a_range_is_stopped_as_it_is_found(stock: StoredStock, house: RecallHouse) -> None:
    lots = ("A098", "A099", "A100", "A120", "A121", "A1100", "A11")
    for n, lot in enumerate(lots):
        await stock.opening("OR-1", "SCREW", 5, lot=lot)
        await used(stock, n, 1, lot)
    await house.load(notice(RecallScope(item="SCREW", lot_from="A099", lot_to="A120")))
    await stock.book.take(round_(1))
    stopped = [(await stock.event(f"U-{n:04}")).state == "parked" for n in range(len(lots))]
    assert stopped == [False, True, True, True, False, False, False]
    await house.recalls.match("Z-1234-2026", NOON)
    places = {place for kind, place in await house.places("Z-1234-2026") if kind == "procedure"}
    assert places == {f"p-{n}" for n, held in enumerate(stopped) if held}


async def test_once_a_person_lifts_it_the_lot_goes_on(stock: StoredStock, house: RecallHouse) -> None:
    await house.load(notice(LOT))
    await house.says("Z-1234-2026", "lift", reason="the FDA has terminated it")
    await used(stock, 0, 3)
    assert (await stock.book.take(round_(1))).lines == 3


async def test_with_rounds_and_a_recall_at_once_every_use_is_found_and_none_is_taken_after_it(
    stock: StoredStock, house: RecallHouse
) -> None:
    await used(stock, 0, 200)

    async def rounds() -> None:
        for number in range(1, 11):
            await stock.book.take(round_(number), 20)

    async def recall() -> None:
        await asyncio.sleep(0.05)
        await house.load(notice(LOT))
        await house.recalls.match("Z-1234-2026", NOON)

    await asyncio.gather(rounds(), recall())
    await used(stock, 200, 20)
    after = await stock.book.take(round_(11), 50)
    assert (after.lines, after.parked) == (0, 20)
    await house.recalls.match("Z-1234-2026", NOON)
    places = await house.places("Z-1234-2026")
    assert {place for kind, place in places if kind == "procedure"} == {f"p-{n}" for n in range(220)}
