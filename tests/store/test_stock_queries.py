"""What lies where: each item once with its lots, what comes, what should be there; and every movement of it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import Location
from canonical.stock import StockLevel
from canonical.stock_reports import MovementFilter
from store.count_tables import stock_count_lines, stock_counts
from store.stock_queries import StoredStock
from tests.store.usage_rows_house import AT, DAY, GLOVE, STEM, held, known, moved, need, put


def level(item: str, par: int = 0, **more: object) -> StockLevel:
    given = {"facility": "NGH", "location": "NGH-OR", "item": item, "par": par}
    return StockLevel.model_validate(given | more)


@pytest.fixture
def stock(engine: AsyncEngine) -> StoredStock:
    return StoredStock(engine)


async def test_a_location_is_shown_item_by_item_with_lots_first_to_expire_first(
    engine: AsyncEngine, stock: StoredStock
) -> None:
    await known(engine, GLOVE, STEM, level("ITM-1001", 60), level("IMP-310", 2, supply="consignment"))
    await held(engine, "ITM-1001", 30, lot="L2", expires=date(2027, 6, 30))
    await held(engine, "ITM-1001", 20, lot="L1", expires=date(2026, 12, 20))
    await held(engine, "ITM-1001", 0, lot="L0", expires=date(2026, 1, 1))
    await held(engine, "ITM-7", 4, location="NGH-W3")
    stem, glove = await stock.held("NGH", "NGH-OR", DAY)
    assert (glove.item, glove.description, glove.unit, glove.on_hand) == ("ITM-1001", "Glove", "EA", 50)
    assert [(one.lot, one.on_hand, one.days) for one in glove.lots] == [("L1", 20, 30), ("L2", 30, 222)]
    assert (glove.expires, glove.days, glove.par, glove.below) == (date(2026, 12, 20), 30, 60, True)
    assert (stem.on_hand, stem.par, stem.supply, stem.lots) == (0, 2, "consignment", ())


async def test_what_is_on_order_and_what_came_are_counted_apart_and_lift_it_above_the_point(
    engine: AsyncEngine, stock: StoredStock
) -> None:
    await known(engine, level("ITM-1001", 60), level("ITM-2", 60, method="reorder", reorder_point=10))
    await held(engine, "ITM-1001", 10)
    await need(engine, "ITM-1001", 50, "ordered", received=20, put_away=5)
    await need(engine, "ITM-1001", 40, "received", received=40, put_away=40)
    await need(engine, "ITM-1001", 40, "cancelled", received=10, put_away=5)
    await need(engine, "ITM-1001", 40, "refused")
    await need(engine, "ITM-1001", 1, event="after-use")
    glove, other = await stock.held("NGH", "NGH-OR", DAY)
    assert (glove.on_hand, glove.on_order, glove.arrived, glove.below) == (10, 30, 20, False)
    assert (other.point, other.below) == (10, True)
    assert [one.item for one in await stock.levels("NGH", DAY, below=True)] == ["ITM-2"]
    assert [one.item for one in await stock.levels("NGH", DAY, item="ITM-1001")] == ["ITM-1001"]
    assert await stock.levels("NGH", DAY, location="NGH-W3") == []


async def test_needs_are_those_that_have_not_come_and_all_on_demand(engine: AsyncEngine, stock: StoredStock) -> None:
    states = ("open", "refused", "received", "cancelled")
    ids = [await need(engine, f"ITM-{at}", 5, state, at=AT + timedelta(minutes=at)) for at, state in enumerate(states)]
    assert [row.state for row in await stock.needs()] == ["refused", "open"]
    assert [row.id for row in await stock.needs(everything=True)] == ids[::-1]
    assert [row.id for row in await stock.needs(everything=True, before=ids[2], limit=1)] == [ids[1]]
    assert [row.id for row in await stock.needs(state="received", facility="NGH")] == [ids[2]]
    assert await stock.needs(location="NGH-W3") == []


async def test_movements_are_listed_newest_first_page_by_page(engine: AsyncEngine, stock: StoredStock) -> None:
    for number in range(3):
        await moved(engine, f"k{number}", -number - 1, lot=f"L{number}", at=AT + timedelta(minutes=number))
    await moved(engine, "k9", -9, item="ITM-2", event="E1")
    here = MovementFilter(facility="NGH", location="NGH-OR", item="ITM-1001")
    first = await stock.movements(here, 2)
    rest = await stock.movements(here.model_copy(update={"before": first[-1].key}), 2)
    assert [row.key for row in (*first, *rest)] == ["k2", "k1", "k0"]
    since = here.model_copy(update={"since": AT + timedelta(minutes=2)})
    assert [row.quantity for row in await stock.movements(since)] == [-3]
    assert [row.key for row in await stock.movements(here.model_copy(update={"lot": "L1"}))] == ["k1"]
    assert [row.key for row in await stock.movements_of("E1")] == ["k9"] and await stock.movements_of("") == []


async def test_a_location_is_found_in_its_facility_wherever_it_is_known(
    engine: AsyncEngine, stock: StoredStock
) -> None:
    await known(engine, Location(code="NGH-LAB", facility="NGH", name="Laboratory"))
    await held(engine, "ITM-1001", 1, location="NGH-OR")
    await held(engine, "ITM-1001", 1, location="NGH-OR", facility="WGH")
    assert await stock.facilities("NGH-LAB") == ["NGH"]
    assert await stock.facilities("NGH-OR") == ["NGH", "WGH"]
    assert await stock.facilities("NOWHERE") == []


async def test_counts_are_listed_with_their_parked_lines_until_their_location_is_counted_again(
    engine: AsyncEngine, stock: StoredStock
) -> None:
    about = {"location": "NGH-OR", "source": "shelves", "kind": "par"}
    first = await put(engine, stock_counts, number="C-1", state="parked", counted_at=AT, **about)
    for number, state in ((1, "adjusted"), (2, "parked")):
        line = {"line": number, "item": f"X-{number}", "cause": "unknown-item", "reason": "no such item"}
        await put(engine, stock_count_lines, count=first, state=state, **line)
    (row,) = await stock.counts(location="NGH-OR")
    assert (row.id, row.lines, [(one.item, one.reason) for one in row.parked]) == (first, 2, [("X-2", "no such item")])
    assert await stock.counts(location="NGH-W3") == []
    later = AT + timedelta(hours=1)
    again = await put(engine, stock_counts, number="C-2", state="reconciled", counted_at=later, **about)
    assert await stock.counts() == []
    assert [one.id for one in await stock.counts(everything=True)] == [again, first]
    assert [one.id for one in await stock.counts(everything=True, before=again)] == [first]
