"""The ERP in memory keeps the same promises as the adapter to the real one, and fails when a test wants it to."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.errors import Rejected, Unavailable
from canonical.parties import CostCentre, Location, Supplier, Terms
from canonical.ports import MasterData
from canonical.supply import Item, Packaging, SupplierItem
from tests.adapters.erp.build import FACILITY, an_order
from tests.adapters.erp.contract import ErpContract
from tests.adapters.erp.contract_stock import RELOAD, StockContract, StockPeople, a_line, a_posting
from tests.fakes.erp import FakeErp

BOXES = (Packaging(unit="BX", base_units=100), Packaging(unit="CA", base_units=1000))


def hospital() -> MasterData:
    """The part of the demonstration hospital that the suite asks for."""
    gloves = SupplierItem(supplier="ALPINE", catalogue_number="ALP-GLV-M", order_unit="BX", preferred=True)
    return MasterData(
        items=(
            Item(code="ITM-1001", packagings=BOXES, suppliers=(gloves,)),
            Item(code="ITM-1002", packagings=BOXES),
            Item(code="ITM-1005", packagings=BOXES),
            *(Item(code=f"ITM-{number}", packagings=BOXES) for number in (1011, 1013, 1021, 1022)),
            Item(code="ITM-1025", capital=True),
        ),
        suppliers=(
            Supplier(code="ALPINE", terms=Terms(discount_percent=2, discount_days=10), bank_fingerprint="a"),
            Supplier(code="BOREAL", bank_fingerprint="b"),
            Supplier(code="CORVUS", status="blocked"),
        ),
        cost_centres=tuple(CostCentre(code=f"CC-4{n}00", facility=FACILITY) for n in (1, 2, 3, 9)),
        locations=tuple(Location(code=code, facility=FACILITY) for code in ("NGH-OR", "NGH-W3", "NGH-LAB")),
    )


class TestFakeErp(ErpContract, StockContract):
    @pytest.fixture
    def erp(self) -> FakeErp:
        return FakeErp(hospital())

    @pytest.fixture
    def people(self, erp: FakeErp) -> FakeErp:
        return erp

    def close_period(self, people: StockPeople, until: date) -> None:
        assert isinstance(people, FakeErp)
        people.closed_until = until


async def test_a_refused_step_does_nothing_and_says_why() -> None:
    erp = FakeErp()
    erp.refuse["create_purchase_order"] = "period closed"
    with pytest.raises(Rejected, match="period closed"):
        await erp.create_purchase_order(an_order())
    assert erp.orders() == {}


async def test_a_silent_erp_does_nothing_and_then_answers_again() -> None:
    erp, order = FakeErp(), an_order()
    erp.silent["create_purchase_order"] = 1
    with pytest.raises(Unavailable):
        await erp.create_purchase_order(order)
    assert erp.orders() == {}
    assert not (await erp.create_purchase_order(order)).already


async def test_a_lost_answer_leaves_the_work_done() -> None:
    erp, order = FakeErp(), an_order()
    erp.lost["create_purchase_order"] = 1
    with pytest.raises(Unavailable):
        await erp.create_purchase_order(order)
    assert (await erp.create_purchase_order(order)).already
    assert erp.orders() == {order.number: 1}


async def test_actuals_of_other_days_are_left_out() -> None:
    erp = FakeErp(hospital())
    assert {one.actual.amount for one in await erp.actuals(FACILITY, date(2020, 1, 1), date(2020, 1, 2))} == {0}


async def test_an_erp_that_is_away_does_nothing_and_goes_on_where_it_was() -> None:
    erp, posting = FakeErp(), a_posting(a_line(RELOAD, 1, lot="L"))
    erp.put_in("NGH-OR", RELOAD, 2, "L")
    erp.down = True
    with pytest.raises(Unavailable):
        await erp.post_stock(posting)
    with pytest.raises(Unavailable):
        await erp.create_purchase_order(an_order())
    erp.down = False
    await erp.post_stock(posting)
    assert erp.stock("NGH-OR") == {(RELOAD, "L"): 1}


@pytest.mark.parametrize("before_we_ask_again", [True, False])
async def test_what_is_booked_after_our_time_out_is_booked_once(before_we_ask_again: bool) -> None:
    erp, posting = FakeErp(), a_posting(a_line(RELOAD, 1, lot="L"))
    erp.put_in("NGH-OR", RELOAD, 2, "L")
    erp.late["post_stock"] = 1
    with pytest.raises(Unavailable):
        await erp.post_stock(posting)
    assert erp.stock("NGH-OR") == {(RELOAD, "L"): 2}
    if before_we_ask_again:
        erp.arrive()
    assert (await erp.post_stock(posting)).receipts[0].already == before_we_ask_again
    erp.arrive()
    assert erp.stock("NGH-OR") == {(RELOAD, "L"): 1}


async def test_a_lost_answer_of_a_posting_leaves_it_booked_and_a_slow_one_comes() -> None:
    erp, posting = FakeErp(), a_posting(a_line(RELOAD, 1, lot="L"))
    erp.put_in("NGH-OR", RELOAD, 2, "L")
    erp.lost["post_stock"] = 1
    erp.slow["post_stock"] = 0.01
    with pytest.raises(Unavailable):
        await erp.post_stock(posting)
    assert (await erp.post_stock(posting)).receipts[0].already
    assert erp.stock("NGH-OR") == {(RELOAD, "L"): 1}
