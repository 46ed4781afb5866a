"""Counts are reconciled inside their location's rounds: to the unit, also while uses wait, and each difference has a cause."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.scans import CountStanding
from canonical.stock import CountLine, OnHand, RoundRefusal, StockCount
from canonical.stock_moves import Move
from store.count_rounds import StoredCountRounds
from store.counts import StoredCounts
from store.erp_counts import StoredErpCounts
from store.stock_balances import move
from store.usage_tables import stock_movements, usage_locations
from store.usage_wakes import StoredUsagePlaces
from tests.store.usage_house import NOW, House, level, round_, use, void
from tests.store.usage_stored import StoredBook, StoredStock

BEFORE = NOW - timedelta(days=1)


class CountedStock(StoredStock):
    """Whose rounds take counts too; what opens a balance was there the day before."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._book = StoredBook(engine)
        self._book._counts = StoredCountRounds()
        self.counts = StoredCounts(engine, today=NOW.date)
        self.erp_counts = StoredErpCounts(engine)

    async def opening(
        self, location: str, item: str, quantity: int, lot: str = "", serial: str = "", expires: date | None = None
    ) -> None:
        name = f"opening/{location}/{item}/{lot}/{serial}"
        one = Move(name, "NGH", location, item, quantity, "opening", lot, serial, expires)
        async with self.engine.begin() as connection:
            await move(connection, [one], BEFORE)
            row = {"facility": "NGH", "location": location, "counted_at": BEFORE}
            await connection.execute(upsert(usage_locations).values(row).on_conflict_do_nothing())

    async def count(self, number: str, *lines: tuple[str, str, str, str], **fields: Any) -> str:
        about = {"facility": "NGH", "location": "OR-1", "source": "shelves", "number": number, "counted_at": NOW}
        told = [CountLine(item=item, lot=lot, amount=Decimal(amount), unit=unit) for item, lot, amount, unit in lines]
        count = StockCount.model_validate(about | {"lines": told} | fields)
        return (await self.counts.keep(count, "M-1", "SHELVES")).outcome

    async def became(self, number: str) -> CountStanding:
        found = await self.counts.standing("NGH", "shelves", number)
        assert found is not None
        return found

    async def line(self, number: str, place: int = 0) -> tuple[str, str, int | None, int | None, int]:
        """State, cause, what was counted and expected, and what was booked."""
        one = (await self.became(number)).lines[place]
        return one.state, one.cause, one.counted, one.expected, one.adjusted

    async def kinds(self) -> list[tuple[str, str, int]]:
        asked = select(stock_movements.c.kind, stock_movements.c.lot, stock_movements.c.quantity)
        async with self.engine.begin() as connection:
            rows = await connection.execute(asked.order_by(stock_movements.c.at, stock_movements.c.key))
            return [(row.kind, row.lot, row.quantity) for row in rows]


@pytest.fixture
async def stock(engine: AsyncEngine) -> CountedStock:
    return CountedStock(engine)


@pytest.fixture
async def house(stock: CountedStock) -> House:
    house = House(stock)
    await house.open()
    return house


def glove(amount: str, unit: str = "EA", lot: str = "") -> tuple[str, str, str, str]:
    return ("GLOVE", lot, amount, unit)


async def test_a_difference_is_booked_in_the_erp_and_in_our_books_with_its_cause(
    house: House, stock: CountedStock
) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    assert await stock.count("1", glove("8")) == "new"
    key, taken = await house.take()
    assert (taken.counts, taken.lines) == (1, 0)
    (posting,) = await house.post(key)
    assert posting.kind == "adjust" and posting.key.startswith(f"{key.key}/adjust/")
    assert [(line.item, line.quantity, line.back) for line in posting.lines] == [("GLOVE", 2, False)]
    await house.book.record(key)
    assert await house.total("GLOVE") == 8
    assert await stock.kinds() == [("opening", "", 10), ("adjust", "", -2)]
    assert await stock.line("1") == ("adjusted", "unscanned-use", 8, 10, -2)
    assert (await stock.became("1")).state == "reconciled"


async def test_a_count_that_finds_all_as_it_should_be_is_reconciled_and_posts_nothing(
    house: House, stock: CountedStock
) -> None:
    await stock.opening("OR-1", "GLOVE", 200)
    await stock.count("1", glove("2", "BX"))
    _, taken = await house.take()
    assert taken.empty
    assert await stock.line("1") == ("matched", "", 200, 200, 0) and (await stock.became("1")).state == "reconciled"


async def test_uses_that_wait_when_a_count_arrives_are_not_missed_by_it(house: House, stock: CountedStock) -> None:
    """Three were used before the count and are not booked: seven on the shelf is right, and stays right."""
    await stock.opening("OR-1", "GLOVE", 10)
    await house.keep(use("1", amount=3, used_at=NOW - timedelta(hours=1)))
    await house.keep(use("2", amount=2, used_at=NOW + timedelta(minutes=5)))
    await stock.count("1", glove("7"))
    await house.round()
    assert await stock.line("1") == ("matched", "", 7, 7, 0)
    assert await house.total("GLOVE") == 5


async def test_a_use_booked_before_its_count_came_but_used_after_it_is_left_out(
    house: House, stock: CountedStock
) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await house.keep(use("1", amount=4, used_at=NOW))
    await house.round()
    await stock.count("late", glove("9"), counted_at=NOW - timedelta(hours=2))
    await house.round()
    assert await stock.line("late") == ("adjusted", "unscanned-use", 9, 10, -1)
    assert await house.total("GLOVE") == 5


async def test_uses_that_wait_for_a_person_and_voids_under_way_count_too(house: House, stock: CountedStock) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    early = NOW - timedelta(hours=1)
    await house.keep(use("1", amount=3, used_at=early))
    await house.round()
    await house.keep(use("2", amount=40, used_at=early))
    await house.round()
    assert await house.state("2") == ("review", "beyond-balance")
    await house.keep(void("V", "1"))
    await stock.count("1", ("GLOVE", "", "0", "EA"), ("SUTURE", "", "0", ""))
    await house.round()
    found = await stock.line("1")
    assert (found[2], found[3]) == (0, 10 - 40), "the three never were used, the forty were"
    assert await stock.line("1", 1) == ("matched", "", 0, 0, 0)


async def test_something_counted_though_its_use_waits_is_not_booked_twice(house: House, stock: CountedStock) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await house.keep(use("1", amount=3, used_at=NOW - timedelta(minutes=1)))
    await stock.count("1", glove("10"))
    await house.round()
    assert await stock.line("1") == ("explained", "waiting-uses", 10, 7, 0) and await house.total("GLOVE") == 7


async def test_a_use_reported_late_is_named_by_the_count_after_it(house: House, stock: CountedStock) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await stock.count("1", glove("8"))
    await house.round()
    assert await house.total("GLOVE") == 8
    await house.keep(use("late", amount=2, used_at=NOW - timedelta(hours=1)))
    await house.round()
    assert await house.total("GLOVE") == 6, "booked twice: by the count, and by what it had found missing"
    await stock.count("2", glove("8"), counted_at=datetime.now(UTC) + timedelta(minutes=1))
    await house.round()
    assert (await stock.line("2"))[:2] == ("adjusted", "late-use") and await house.total("GLOVE") == 8


async def test_goods_that_came_and_are_not_put_away_explain_what_is_more(house: House, stock: CountedStock) -> None:
    await stock.put(level("OR-1", "SUTURE", par=24, supplier="ALPINE"))
    await stock.opening("OR-1", "SUTURE", 24)
    await house.keep(use("1", "SUTURE", 24))
    await house.round()
    (need,) = await stock.needs()
    async with stock.engine.begin() as connection:
        await connection.execute(text("UPDATE stock_needs SET received = 24 WHERE id = :id"), {"id": need["id"]})
    await stock.count("1", ("SUTURE", "", "24", "EA"))
    _, taken = await house.take()
    assert (taken.supplies, taken.counts) == (1, 0)
    assert await stock.line("1") == ("explained", "not-put-away", 24, 0, 0)


async def test_lots_are_counted_apart_and_one_taken_for_another_is_seen(house: House, stock: CountedStock) -> None:
    await stock.opening("OR-1", "SCREW", 5, "L-1")
    await stock.opening("OR-1", "SCREW", 5, "L-2")
    await stock.count("1", ("SCREW", "L-1", "4", ""), ("SCREW", "L-2", "6", ""))
    await house.round()
    assert await stock.on_hand("OR-1", "SCREW") == {("L-1", ""): 4, ("L-2", ""): 6}
    assert [one.cause for one in (await stock.became("1")).lines] == ["lot-swapped"] * 2
    await stock.count("2", ("SCREW", "L-1", "4", ""))
    await house.round()
    told = await stock.became("2")
    assert [(one.line, one.lot, one.adjusted) for one in told.lines] == [(1, "L-1", 0), (0, "L-2", -6)]
    assert await house.total("SCREW") == 4


async def test_a_slip_of_the_unit_waits_and_is_booked_when_it_is_counted_so_again(
    house: House, stock: CountedStock
) -> None:
    await stock.opening("OR-1", "GLOVE", 300)
    await stock.count("1", glove("3"))
    await house.round()
    assert await stock.line("1") == ("parked", "unit-slip", 3, 300, 0) and await house.total("GLOVE") == 300
    assert (await stock.became("1")).state == "parked"
    await stock.count("2", glove("3"), counted_at=NOW + timedelta(hours=1))
    await house.round()
    assert await house.total("GLOVE") == 3 and (await stock.line("2"))[0] == "adjusted"


async def test_what_cannot_be_counted_is_parked_line_by_line_and_the_others_are_booked(
    house: House, stock: CountedStock
) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    lines = (("NOBODY", "", "1", "EA"), glove("1", "CA"), ("SUTURE", "", "0.5", "EA"), ("VALVE", "", "2", ""))
    await stock.count("1", *lines)
    await house.round()
    told = await stock.became("1")
    assert [one.cause for one in told.lines] == ["unknown-item", "unknown-unit", "not-integral", "found"]
    assert [one.state for one in told.lines] == ["parked", "parked", "parked", "adjusted"]
    assert told.state == "parked" and told.lines[0].reason.endswith("NOBODY")
    assert await house.total("VALVE") == 2 and await house.total("GLOVE") == 10


async def test_a_count_is_kept_once_and_other_content_under_its_number_is_a_conflict(
    house: House, stock: CountedStock
) -> None:
    assert [await stock.count("1", glove("8")) for _ in range(2)] == ["new", "same"]
    assert await stock.count("1", glove("8.000")) == "same"
    assert await stock.count("1", glove("9")) == "conflict"
    assert await stock.count("2", glove("8"), location="ATTIC") == "new"
    told = await stock.became("2")
    assert told.state == "parked" and told.reason.endswith("ATTIC")


async def test_what_the_erp_refuses_of_a_count_is_not_booked_here_either(house: House, stock: CountedStock) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await stock.opening("OR-1", "SUTURE", 10)
    house.erp.refuses.add("SUTURE")
    await stock.count("1", glove("8"), ("SUTURE", "", "7", ""))
    await house.round()
    assert (await house.total("GLOVE"), await house.total("SUTURE")) == (8, 10)
    told = await stock.became("1")
    assert [(one.state, one.adjusted) for one in told.lines] == [("adjusted", -2), ("parked", 0)]
    assert "the product is locked" in told.lines[1].reason and told.state == "parked"


async def test_a_round_the_erp_refuses_whole_leaves_its_counts_to_a_person(house: House, stock: CountedStock) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await stock.count("1", glove("8"))
    key, _ = await house.take()
    await house.book.refuse(RoundRefusal(key=key, reason="the period is closed"))
    told = await stock.became("1")
    assert told.state == "parked" and told.lines[0].reason == "the ERP refused it: the period is closed"
    assert await house.total("GLOVE") == 10 and await stock.reserved() == 0


async def test_a_round_taken_again_is_the_same_and_a_count_is_booked_once(house: House, stock: CountedStock) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await stock.count("1", glove("8"))
    key, taken = await house.take()
    assert await house.book.take(key) == taken
    await house.post(key)
    await house.book.record(key)
    await house.book.record(key)
    assert await house.total("GLOVE") == 8


async def test_a_count_that_waits_wakes_its_location(house: House, stock: CountedStock) -> None:
    places = StoredUsagePlaces(stock.engine)
    await stock.opening("OR-1", "GLOVE", 10)
    assert await places.due(NOW, BEFORE) == []
    await stock.count("1", glove("8"))
    assert [one.location for one in await places.due(NOW, BEFORE)] == ["OR-1"]
    await house.round()
    assert await places.due(NOW, BEFORE) == []


# ---- against the ERP ------------------------------------------------------------------------------------------------------


async def due(stock: CountedStock, at: datetime = NOW, before: datetime = BEFORE) -> Sequence[str]:
    return await stock.counts.mark_due("NGH", at, before)


async def test_at_first_sight_the_erps_books_are_the_opening_before_anything_is_judged(
    house: House, stock: CountedStock
) -> None:
    await stock.put(level("OR-1", "SCREW", par=5))
    assert await due(stock) == ["OR-1"] and await due(stock) == []
    await house.keep(use("1", "SCREW", lot="L-1"))
    key, taken = await house.take()
    assert taken.count_due and taken.empty and await house.state("1") == ("waiting", "")
    there = [OnHand(item="SCREW", lot="L-1", quantity=5, expires=date(2027, 1, 1)), OnHand(item="NEW", quantity=1)]
    await stock.erp_counts.compared(key, there)
    assert await stock.kinds() == [("opening", "L-1", 5)]
    await house.round()
    assert await house.state("1") == ("posted", "") and await house.total("SCREW") == 4
    event = await stock.event("1")
    assert event.expires == date(2027, 1, 1), "the lot's date came with the opening"


async def test_the_first_uses_of_a_new_location_wait_for_the_erps_opening_and_are_judged_by_it(
    house: House, stock: CountedStock
) -> None:
    """Nobody has let it be counted yet: the loop that does looks now and then, and a use comes before that."""
    await house.keep(use("1", amount=3), use("2", amount=3))
    key, taken = await house.take()
    assert taken.count_due and (await house.book.take(key)).count_due and await due(stock) == []
    await stock.erp_counts.compared(key, [OnHand(item="GLOVE", quantity=5)])
    await house.round()
    assert await house.state("1") == ("posted", "") and await house.state("2") == ("review", "beyond-balance")
    assert await stock.kinds() == [("opening", "", 5), ("use", "", -3)]


async def test_a_nightly_count_finds_drift_and_repairs_it_by_a_named_movement(
    house: House, stock: CountedStock
) -> None:
    await due(stock, BEFORE, BEFORE)
    await stock.put(level("OR-1", "GLOVE", par=5))
    await due(stock, BEFORE, BEFORE)
    first = round_(1).model_copy(update={"as_of": BEFORE})
    await stock.erp_counts.compared(first, [OnHand(item="GLOVE", quantity=10)])
    assert await due(stock, NOW, BEFORE) == [], "compared since that night"
    assert await due(stock, NOW, NOW) == ["OR-1"]
    await stock.erp_counts.compared(round_(1), [OnHand(item="GLOVE", quantity=8)])
    assert await house.total("GLOVE") == 8
    assert await stock.kinds() == [("opening", "", 10), ("drift", "", -2)]
    async with stock.engine.begin() as connection:
        drift = (await connection.execute(select(stock_movements).where(stock_movements.c.kind == "drift"))).one()
        stands = (await connection.execute(select(usage_locations))).one()
    assert drift.reason == "changed in the ERP by somebody else"
    assert stands.count_due is None and stands.counted_at == round_(1).as_of


async def test_the_step_run_twice_repairs_once_and_still_says_what_is_to_be_brought(
    house: House, stock: CountedStock
) -> None:
    await stock.put(level("OR-1", "SUTURE", par=24, supplier="ALPINE"))
    await due(stock)
    key = round_(1)
    recorded = await stock.erp_counts.compared(key, [OnHand(item="SUTURE", quantity=5)])
    (need,) = recorded.needs
    assert (need.item, need.supply) == ("SUTURE", "purchase") and need.requisition
    again = await stock.erp_counts.compared(key, [OnHand(item="SUTURE", quantity=500)])
    assert again.needs == recorded.needs and await house.total("SUTURE") == 5


async def test_goods_under_way_between_two_locations_are_no_drift(house: House, stock: CountedStock) -> None:
    await stock.put(level("OR-1", "GLOVE", par=300, supply="warehouse", warehouse="STORE"))
    await stock.opening("STORE", "GLOVE", 1000)
    await stock.opening("OR-1", "GLOVE", 300)
    await house.keep(use("1", amount=300))
    await house.round()
    key, taken = await house.take()
    assert taken.supplies == 1
    await house.post(key)  # the ERP has moved it, we have not written it down
    async with stock.engine.begin() as connection:
        await connection.execute(update(usage_locations).values(count_due=None, counted_at=None))
    assert "STORE" in await due(stock)
    store = round_(1, "STORE")
    await stock.erp_counts.compared(store, [OnHand(item="GLOVE", quantity=700)])
    assert await house.total("GLOVE", "STORE") == 1000
    await house.book.record(key)
    assert await house.total("GLOVE", "STORE") == 700 and await house.total("GLOVE") == 300


async def test_where_the_erp_says_no_the_location_goes_on_and_is_asked_again_the_next_day(
    house: House, stock: CountedStock
) -> None:
    await stock.put(level("OR-1", "GLOVE", par=5))
    await due(stock)
    await stock.erp_counts.skipped(round_(1), "the ERP has no location OR-1")
    assert await due(stock) == []
    _, taken = await house.take()
    assert not taken.count_due
    later = round_(1).model_copy(update={"as_of": NOW + timedelta(days=2)})
    assert (await house.book.take(later)).count_due
