"""Stock in a real Tryton: the suite, and what only a real server can show: lost answers, and others who take what we reserve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import httpx
import pytest

from adapters.erp.tryton.erp import TrytonErp
from canonical.errors import Unavailable
from canonical.purchasing import GoodsReturn, ReceivedLine
from demo.erp import read_secret
from demo.erp_acts import ErpPeople
from demo.erp_rpc import ErpClient
from tests.adapters.erp.build import FACILITY, an_order
from tests.adapters.erp.conftest import RunningErp
from tests.adapters.erp.contract_common import LONG_AGO, until_answered
from tests.adapters.erp.contract_stock import (
    GLOVES,
    HERE,
    LATER,
    RELOAD,
    STEM,
    STORE,
    THERE,
    USED,
    StockContract,
    StockPeople,
    a_line,
    a_posting,
    of_lot,
    today,
)
from tests.adapters.erp.lines import Connect, MeddlingLine, UnreliableLine
from tests.build import each, unique

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]


@pytest.fixture(scope="package")
def books(running_erp: RunningErp) -> Iterator[ErpClient]:
    """The ERP's own administrator."""
    access = running_erp.access
    with ErpClient(access.url, access.database, "admin", read_secret(running_erp.home, "admin")) as client:
        yield client


class TestStockInTryton(StockContract):
    @pytest.fixture
    def erp(self, signed_in: TrytonErp) -> TrytonErp:
        return signed_in

    @pytest.fixture
    def people(self, running_erp: RunningErp) -> ErpPeople:
        return running_erp.people

    @pytest.fixture(autouse=True)
    def _books(self, books: ErpClient) -> None:
        self.books = books

    def close_period(self, people: StockPeople, until: date) -> None:
        self.books.press("stock.period", "close", self.books.create("stock.period", date=until))


@pytest.mark.parametrize("late", [None, 0.1], ids=["answer lost", "committed after our time-out"])
async def test_stock_moves_once_when_every_change_loses_its_answer(
    running_erp: RunningErp, over: Connect, late: float | None
) -> None:
    people, line, lot = running_erp.people, UnreliableLine(late), unique("LOT")
    erp = over(line, running_erp.access)
    people.put_in(HERE, RELOAD, 5, lot)
    ours = a_posting(a_line(STEM, 1, serial=lot, expires=date(2031, 1, 1)), kind="consign")
    await until_answered(lambda: erp.post_stock(ours))
    uses = a_posting(a_line(RELOAD, 2, lot=lot), a_line(STEM, 1, serial=lot), a_line(RELOAD, 4, lot=lot))
    posted = await until_answered(lambda: erp.post_stock(uses))
    back = a_posting(a_line(RELOAD, 1, lot=lot, back=True))
    await until_answered(lambda: erp.post_stock(back))
    await line.quiet()
    assert [one.key for one in posted.refused] == [uses.lines[2].key]
    assert (people.stock(HERE)[RELOAD, lot], people.stock(USED)[RELOAD, lot]) == (4, 1)
    assert (people.stock(HERE).get((STEM, lot)), people.stock(USED)[STEM, lot]) == (None, 1)
    documents = [people.stock_documents(posting.key) for posting in (ours, uses, back)]
    assert [[one.state for one in made] for made in documents] == [["done"]] * 3
    assert {f"model.stock.shipment.internal.{step}" for step in ("create", "wait", "assign_try", "do")} <= set(
        line.lost
    )


async def test_what_the_storekeeper_takes_between_our_look_and_our_reservation_is_refused_and_the_rest_stands(
    running_erp: RunningErp, over: Connect
) -> None:
    people, lot = running_erp.people, unique("LOT")
    people.put_in(STORE, RELOAD, 6, lot)
    people.put_in(THERE, RELOAD, 9, lot)  # a place below the store: Tryton itself would help itself there
    people.put_in(STORE, RELOAD, 2, f"{lot}-B")
    line = MeddlingLine("stock.shipment.internal.assign_try", lambda: people.put_in(STORE, RELOAD, -4, lot))
    stands, taken = a_line(RELOAD, 2, lot=f"{lot}-B"), a_line(RELOAD, 5, lot=lot)
    posting = a_posting(stands, taken, kind="transfer")
    posted = await over(line, running_erp.access).post_stock(posting)
    assert [(one.key, one.code) for one in posted.refused] == [(taken.key, "not-in-stock")]
    assert people.stock(HERE)[RELOAD, f"{lot}-B"] == 2
    assert (people.stock(STORE)[RELOAD, lot], people.stock(THERE)[RELOAD, lot]) == (2, 9)
    (document,) = people.stock_documents(posting.key)
    assert [(move.line, move.quantity) for move in document.moves] == [(stands.key, 2)]


async def test_where_the_storekeeper_takes_all_of_it_nothing_is_booked(running_erp: RunningErp, over: Connect) -> None:
    people, lot = running_erp.people, unique("LOT")
    people.put_in(HERE, RELOAD, 3, lot)
    line = MeddlingLine("stock.shipment.internal.assign_try", lambda: people.put_in(HERE, RELOAD, -3, lot))
    posting = a_posting(a_line(RELOAD, 3, lot=lot))
    posted = await over(line, running_erp.access).post_stock(posting)
    assert ([one.key for one in posted.refused], posted.receipts) == ([posting.lines[0].key], ())
    assert [one.state for one in people.stock_documents(posting.key)] == ["cancelled"]


async def test_a_day_the_erp_has_not_reached_is_booked_on_its_own(
    running_erp: RunningErp, signed_in: TrytonErp
) -> None:
    people, lot = running_erp.people, unique("LOT")
    people.put_in(HERE, RELOAD, 3, lot)
    ahead = a_posting(a_line(RELOAD, 1, lot=lot), posted_on=today() + timedelta(days=3))
    assert (await signed_in.post_stock(ahead)).refused == ()
    assert of_lot(await signed_in.on_hand(FACILITY, HERE, LATER), lot) == [(RELOAD, 2)]


async def test_a_line_without_a_lot_is_refused_alone_where_the_erp_wants_one(
    running_erp: RunningErp, signed_in: TrytonErp, books: ErpClient
) -> None:
    template = books.one("product.template", ["products.code", "=", "ITM-1010"])["id"]
    people, lot = running_erp.people, unique("LOT")
    people.put_in(HERE, "ITM-1010", 1, lot)
    books.write("product.template", [template], lot_required=["storage", "lost_found"])
    try:
        found, missed = a_line("ITM-1010", 1, back=True), a_line("ITM-1010", 1, lot=lot, back=True)
        posted = await signed_in.post_stock(a_posting(found, missed, kind="adjust"))
    finally:
        books.write("product.template", [template], lot_required=[])
    assert [one.key for one in posted.refused] == [found.key]
    assert people.stock(HERE)["ITM-1010", lot] == 2


async def test_many_lines_cost_no_more_calls_than_few(running_erp: RunningErp, over: Connect) -> None:
    people, line, lot = running_erp.people, MeddlingLine(), unique("LOT")
    erp = over(line, running_erp.access)
    people.put_in(HERE, RELOAD, 80, lot)
    people.put_in(HERE, GLOVES, 80)
    counts = []
    for size in (1, 1, 40):
        before = len(line.calls)
        lines = [one for _ in range(size) for one in (a_line(RELOAD, 1, lot=lot), a_line(GLOVES, 1))]
        assert (await erp.post_stock(a_posting(*lines))).refused == ()
        counts.append(len(line.calls) - before)
    assert counts[1] == counts[2] <= 12


async def test_what_is_tracked_comes_in_with_lots_and_serials_that_its_receipt_tells(
    running_erp: RunningErp, signed_in: TrytonErp
) -> None:
    erp, order, expires = signed_in, an_order(supplier="BOREAL"), date(2032, 3, 31)
    stems = order.lines[0].changed(item=STEM, quantity=each("3"), base_units=1)
    reloads = order.lines[1].changed(item=RELOAD, quantity=each("2", "BX"), base_units=12)
    order = order.changed(lines=(stems, reloads))
    await erp.create_purchase_order(order)
    running_erp.people.receive(order.number, lots={RELOAD: (order.number, expires)})
    (receipt,) = [one for one in (await erp.changes(FACILITY, LONG_AGO)).receipts if one.order == order.number]
    told = {(line.item, line.lot): (int(line.quantity.value), line.expires) for line in receipt.lines}
    assert told.pop((RELOAD, order.number)) == (2, expires)
    assert [(item, quantity) for (item, _), (quantity, _) in told.items()] == [(STEM, 1)] * 3
    store = {row.lot: row.quantity for row in await erp.on_hand(FACILITY, STORE, LATER)}
    assert store[order.number] == 24
    put_away = [a_line(STEM, 1, serial=serial) for _, serial in told]
    assert (await erp.post_stock(a_posting(*put_away, kind="transfer"))).refused == ()
    assert (await erp.purchase_order(FACILITY, order.number)).received == {stems.id: 3, reloads.id: 2}
    one_box = (ReceivedLine(line=reloads.id, item=RELOAD, quantity=each("1", "BX")),)
    await erp.return_goods(GoodsReturn(order=order, lines=one_box, returned_on=today()))
    left = {(row.item, row.lot): row.quantity for row in await erp.on_hand(FACILITY, STORE, LATER)}
    assert (left[RELOAD, order.number], left.get((RELOAD, ""))) == (12, None)


async def test_an_erp_that_is_down_is_unavailable_for_stock_too(running_erp: RunningErp, over: Connect) -> None:
    erp = over(httpx.AsyncHTTPTransport(), replace(running_erp.access, url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        await erp.post_stock(a_posting(a_line()))
    with pytest.raises(Unavailable):
        await erp.on_hand(FACILITY, HERE, LATER)
