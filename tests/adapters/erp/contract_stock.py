"""What every ERP adapter must do with stock: one document per posting and direction, whole lines or none, the same answer again.

The ERP holds the demonstration hospital; ``people`` is who else works in its stock. Each test brings lots of its own.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol

import pytest

from canonical.errors import Rejected
from canonical.ports import Erp
from canonical.stock import OnHand, StockLine, StockPosting
from tests.adapters.erp.build import FACILITY, an_order
from tests.adapters.erp.contract_common import until_answered
from tests.build import unique

HERE, THERE, STORE, USED = "NGH-OR", "NGH-W3", "", "USED"
LATER = datetime(2099, 12, 31, tzinfo=UTC)
RELOAD, STEM, GLOVES, TIPS = (
    "ITM-1011",
    "ITM-1013",
    "ITM-1001",
    "ITM-1021",
)  # by lot, by serial, and two that nobody tracks


class Document(Protocol):
    """A document of the ERP's stock."""

    @property
    def state(self) -> str: ...
    @property
    def moves(self) -> Sequence[Any]: ...


class StockPeople(Protocol):
    """Who works in the ERP's stock beside us."""

    def put_in(self, location: str, item: str, quantity: int, lot: str = "", expires: date | None = None) -> object: ...
    def block_lot(self, item: str, lot: str) -> object: ...
    def stock(self, location: str) -> Mapping[tuple[str, str], int]: ...
    def stock_documents(self, prefix: str = "") -> Sequence[Document]: ...
    def receive(self, order: str) -> str: ...
    def cancel_receipt(self, number: str) -> None: ...


def today() -> date:
    return datetime.now(UTC).date()


def a_line(item: str = RELOAD, quantity: int = 1, **fields: Any) -> StockLine:
    return StockLine(key=fields.pop("key", unique("line/")), item=item, quantity=quantity, **fields)


def a_posting(*lines: StockLine, **fields: Any) -> StockPosting:
    key = unique("consumption_to_replenishment/NGH/NGH-OR/")
    wanted = {"facility": FACILITY, "key": key, "kind": "consume", "location": HERE, "posted_on": today()}
    return StockPosting(**(wanted | fields), lines=lines)


def of_lot(rows: Sequence[OnHand], lot: str) -> list[tuple[str, int]]:
    return [(row.item, row.quantity) for row in rows if row.lot == lot]


class StockContract(ABC):
    """The suite; a subclass gives the fixtures ``erp`` and ``people`` and closes periods."""

    @pytest.fixture
    def lot(self) -> str:
        return unique("LOT")

    @abstractmethod
    def close_period(self, people: StockPeople, until: date) -> None:
        """The books are closed up to that day."""

    # Uses.

    async def test_the_uses_of_a_round_are_one_document_and_stock_moves(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(HERE, RELOAD, 12, lot)
        people.put_in(HERE, STEM, 1, f"S{lot}")
        gloves = people.stock(HERE).get((GLOVES, ""), 0)
        people.put_in(HERE, GLOVES, 7)
        reload = a_line(RELOAD, 2, lot=lot, cost_centre="CC-4100")
        stem = a_line(STEM, 1, serial=f"S{lot}", lot=lot, cost_centre="CC-4100", procedure="p-4711")
        posting = a_posting(reload, a_line(RELOAD, 1, lot=lot), stem, a_line(GLOVES, 3))
        posted = await erp.post_stock(posting)
        assert posted.refused == ()
        assert [(one.key, one.state, one.already) for one in posted.receipts] == [(f"{posting.key}/out", "done", False)]
        left = people.stock(HERE)
        assert (left[RELOAD, lot], left.get((STEM, f"S{lot}")), left[GLOVES, ""]) == (9, None, gloves + 4)
        assert (people.stock(USED)[RELOAD, lot], people.stock(USED)[STEM, f"S{lot}"]) == (3, 1)
        (document,) = people.stock_documents(posting.key)
        moves = {one.line: one for one in document.moves}
        assert set(moves) == {line.key for line in posting.lines}
        assert (moves[stem.key].cost_centre, moves[stem.key].reference) == ("CC-4100", "p-4711")
        assert (moves[reload.key].quantity, moves[reload.key].reference) == (2, "")

    async def test_a_posting_asked_for_twice_is_booked_once(self, erp: Erp, people: StockPeople, lot: str) -> None:
        people.put_in(HERE, RELOAD, 5, lot)
        posting = a_posting(a_line(RELOAD, 2, lot=lot))
        first, again = await erp.post_stock(posting), await erp.post_stock(posting)
        assert first.receipts[0].number == again.receipts[0].number
        assert (first.receipts[0].already, again.receipts[0].already) == (False, True)
        assert people.stock(HERE)[RELOAD, lot] == 3

    async def test_a_posting_asked_for_by_four_at_once_is_booked_once(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(HERE, RELOAD, 5, lot)
        posting = a_posting(a_line(RELOAD, 2, lot=lot), a_line(RELOAD, 9, lot=lot))
        made = await asyncio.gather(*(until_answered(lambda: erp.post_stock(posting)) for _ in range(4)))
        assert len({one.receipts[0].number for one in made}) == 1
        assert {tuple(line.key for line in one.refused) for one in made} == {(posting.lines[1].key,)}
        assert people.stock(HERE)[RELOAD, lot] == 3

    async def test_what_goes_back_is_a_counter_movement_beside_what_goes_out(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(HERE, RELOAD, 2, lot)
        await erp.post_stock(a_posting(a_line(RELOAD, 2, lot=lot)))
        back = a_posting(a_line(RELOAD, 2, lot=lot, back=True), a_line(RELOAD, 1, lot=lot))
        posted = await erp.post_stock(back)  # what came back can go out by the same posting
        assert posted.refused == ()
        assert {one.key for one in posted.receipts} == {f"{back.key}/back", f"{back.key}/out"}
        assert (people.stock(HERE)[RELOAD, lot], people.stock(USED)[RELOAD, lot]) == (1, 1)

    # Lines the ERP refuses.

    async def test_a_line_for_what_is_not_there_is_left_out_and_named_and_the_others_stand(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(HERE, RELOAD, 3, lot)
        lines = {
            "fits": a_line(RELOAD, 2, lot=lot),
            "the rest is too little": a_line(RELOAD, 2, lot=lot),
            "fits the rest": a_line(RELOAD, 1, lot=lot),
            "nobody knows this lot": a_line(RELOAD, 1, lot=f"{lot}-X"),
            "nobody knows this item": a_line("ITM-0000", 1),
        }
        posting = a_posting(*lines.values())
        posted = await erp.post_stock(posting)
        refused = {one.key: (one.code, one.reason) for one in posted.refused}
        assert {name: refused.get(line.key, ("", ""))[0] for name, line in lines.items()} == {
            "fits": "",
            "the rest is too little": "not-in-stock",
            "fits the rest": "",
            "nobody knows this lot": "not-in-stock",
            "nobody knows this item": "unknown-code",
        }
        assert "ITM-0000" in refused[lines["nobody knows this item"].key][1]
        assert (RELOAD, lot) not in people.stock(HERE)
        people.put_in(HERE, RELOAD, 2, lot)  # goods that come later change nothing of what was answered
        assert (await erp.post_stock(posting)).refused == posted.refused
        assert people.stock(HERE)[RELOAD, lot] == 2

    async def test_where_every_line_is_refused_nothing_moves_however_often_it_is_asked(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        posting = a_posting(a_line(RELOAD, 1, lot=lot))
        posted = await erp.post_stock(posting)
        assert ([one.key for one in posted.refused], posted.receipts) == ([posting.lines[0].key], ())
        people.put_in(HERE, RELOAD, 1, lot)
        assert await erp.post_stock(posting) == posted
        assert people.stock(HERE)[RELOAD, lot] == 1

    async def test_a_blocked_lot_is_not_moved(self, erp: Erp, people: StockPeople, lot: str) -> None:
        people.put_in(HERE, RELOAD, 1, lot)
        people.block_lot(RELOAD, lot)
        (refused,) = (await erp.post_stock(a_posting(a_line(RELOAD, 1, lot=lot)))).refused
        assert (refused.code, lot in refused.reason) == ("blocked", True)

    async def test_a_location_the_erp_does_not_know_is_a_refusal_of_the_whole(self, erp: Erp) -> None:
        with pytest.raises(Rejected, match="NGH-NOWHERE"):
            await erp.post_stock(a_posting(a_line(), location="NGH-NOWHERE"))
        with pytest.raises(Rejected, match="NGH-NOWHERE"):
            await erp.on_hand(FACILITY, "NGH-NOWHERE", LATER)

    async def test_a_closed_period_is_a_refusal_of_the_whole_and_holds_no_stock_back(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(HERE, RELOAD, 1, lot)
        self.close_period(people, date(2001, 12, 31))
        late = a_posting(a_line(RELOAD, 1, lot=lot), posted_on=date(2001, 6, 1))
        for _ in range(2):
            with pytest.raises(Rejected):
                await erp.post_stock(late)
        assert (await erp.post_stock(a_posting(a_line(RELOAD, 1, lot=lot)))).refused == ()

    async def test_other_lines_under_a_key_that_was_used_are_a_conflict(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(HERE, RELOAD, 2, lot)
        posting = a_posting(a_line(RELOAD, 1, lot=lot))
        await erp.post_stock(posting)
        with pytest.raises(Rejected, match="key"):
            await erp.post_stock(posting.changed(lines=(a_line(RELOAD, 1, lot=lot),)))
        assert people.stock(HERE)[RELOAD, lot] == 1

    # Transfers, counts, consignment.

    async def test_goods_go_from_the_store_to_a_location_and_from_one_location_to_another(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(STORE, RELOAD, 12, lot)
        put_away = a_posting(a_line(RELOAD, 12, lot=lot), kind="transfer")
        assert (await erp.post_stock(put_away)).refused == ()
        onward = a_posting(a_line(RELOAD, 5, lot=lot), kind="transfer", from_location=HERE, location=THERE)
        assert (await erp.post_stock(onward)).refused == ()
        assert (people.stock(HERE)[RELOAD, lot], people.stock(THERE)[RELOAD, lot]) == (7, 5)
        assert (RELOAD, lot) not in people.stock(STORE)

    async def test_what_lies_at_a_location_does_not_serve_what_is_asked_of_the_store(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(STORE, RELOAD, 1, lot)
        people.put_in(THERE, RELOAD, 9, lot)
        posted = await erp.post_stock(a_posting(a_line(RELOAD, 2, lot=lot), kind="transfer"))
        assert [one.code for one in posted.refused] == ["not-in-stock"]
        assert (people.stock(STORE)[RELOAD, lot], people.stock(THERE)[RELOAD, lot]) == (1, 9)

    async def test_a_count_makes_good_what_is_missing_and_what_is_over(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(HERE, RELOAD, 5, lot)
        found = a_line(RELOAD, 4, lot=f"{lot}-N", expires=date(2031, 5, 31), back=True)
        posting = a_posting(a_line(RELOAD, 2, lot=lot), found, kind="adjust", reason="counted")
        assert (await erp.post_stock(posting)).refused == ()
        rows = await erp.on_hand(FACILITY, HERE, LATER)
        assert (of_lot(rows, lot), of_lot(rows, f"{lot}-N")) == ([(RELOAD, 3)], [(RELOAD, 4)])
        assert [row.expires for row in rows if row.lot == f"{lot}-N"] == [date(2031, 5, 31)]

    async def test_consigned_goods_become_ours_where_they_are_used(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        serial = f"S{lot}"
        ours = a_posting(a_line(STEM, 1, serial=serial, expires=date(2030, 1, 31)), kind="consign")
        for _ in range(2):
            assert (await erp.post_stock(ours)).refused == ()
        assert people.stock(HERE)[STEM, serial] == 1
        assert (await erp.post_stock(a_posting(a_line(STEM, 1, serial=serial)))).refused == ()
        assert people.stock(USED)[STEM, serial] == 1

    async def test_a_line_without_a_lot_takes_what_expires_first_and_says_which(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        item, place = "ITM-1022", "NGH-LAB"
        there = [row for row in await erp.on_hand(FACILITY, place, LATER) if row.item == item]
        if there:
            away = [a_line(item, row.quantity, lot=row.lot) for row in there]
            await erp.post_stock(a_posting(*away, kind="adjust", location=place))
        people.put_in(place, item, 4, f"{lot}-2", date(2032, 1, 1))
        people.put_in(place, item, 4, f"{lot}-1", date(2031, 1, 1))
        posted = await erp.post_stock(a_posting(a_line(item, 6), location=place))
        assert [(one.lot, one.quantity, one.expires) for one in posted.picked] == [
            (f"{lot}-1", 4, date(2031, 1, 1)),
            (f"{lot}-2", 2, date(2032, 1, 1)),
        ]
        assert people.stock(place)[item, f"{lot}-2"] == 2
        too_many = await erp.post_stock(a_posting(a_line(item, 3), location=place))
        assert [one.code for one in too_many.refused] == ["not-in-stock"]

    # What is there.

    async def test_on_hand_says_item_lot_date_and_base_units_and_leaves_out_what_is_gone(
        self, erp: Erp, people: StockPeople, lot: str
    ) -> None:
        people.put_in(THERE, RELOAD, 12, lot, date(2030, 6, 30))
        people.put_in(THERE, RELOAD, 1, f"{lot}-0")
        await erp.post_stock(a_posting(a_line(RELOAD, 1, lot=f"{lot}-0"), location=THERE))
        rows = await erp.on_hand(FACILITY, THERE, LATER)
        assert [row for row in rows if row.lot.startswith(lot)] == [
            OnHand(item=RELOAD, lot=lot, quantity=12, expires=date(2030, 6, 30))
        ]
        assert not of_lot(await erp.on_hand(FACILITY, THERE, datetime(1999, 1, 1, tzinfo=UTC)), lot)

    async def test_goods_received_lie_in_the_store_and_what_was_taken_back_after_leaving_it_is_below_zero(
        self, erp: Erp, people: StockPeople
    ) -> None:
        async def tips(location: str) -> int:
            rows = await erp.on_hand(FACILITY, location, LATER)
            return sum(row.quantity for row in rows if row.item == TIPS)

        order = an_order()
        line = order.lines[0].changed(item=TIPS, base_units=96)
        await erp.create_purchase_order(order.changed(lines=(line,)))
        before, at_lab = await tips(STORE), await tips("NGH-LAB")
        receipt = people.receive(order.number)
        assert await tips(STORE) == before + 960
        away = a_posting(a_line(TIPS, before + 960), kind="transfer", location="NGH-LAB")
        assert (await erp.post_stock(away)).refused == ()
        people.cancel_receipt(receipt)
        assert (await tips(STORE), await tips("NGH-LAB")) == (-960, at_lab + before + 960)
        put_right = a_posting(a_line(TIPS, 960, back=True), kind="transfer", location="NGH-LAB")
        assert (await erp.post_stock(put_right)).refused == ()
        assert await tips(STORE) == 0

    async def test_quantities_are_counted_in_base_units_to_the_unit(self, erp: Erp, people: StockPeople) -> None:
        before = people.stock(HERE).get((GLOVES, ""), 0)
        people.put_in(HERE, GLOVES, 251)
        await erp.post_stock(a_posting(a_line(GLOVES, 1), a_line(GLOVES, 99)))
        assert people.stock(HERE)[GLOVES, ""] == before + 151
        assert Decimal(sum(row.quantity for row in await erp.on_hand(FACILITY, HERE, LATER) if row.item == GLOVES)) == (
            before + 151
        )
