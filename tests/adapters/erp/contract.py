"""What every ERP adapter must do, asked of the port alone; the outside world acts through ``people``.

The ERP holds the demonstration hospital (``demo/seed``): suppliers ALPINE and BOREAL, items packed in BX, cost centres.
"""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import pytest

from canonical.base import zero
from canonical.errors import Rejected
from canonical.ports import Erp
from canonical.purchasing import GoodsReturn, ReceivedLine
from tests.adapters.erp.build import DAY, FACILITY, a_change, a_posting, an_order, line_change, posted_line
from tests.adapters.erp.contract_common import LONG_AGO, People, until_answered
from tests.adapters.erp.contract_invoices import InvoiceContract
from tests.build import each, usd


class ErpContract(InvoiceContract):
    """The suite; a subclass gives the fixtures ``erp`` and ``people``."""

    # Orders.

    async def test_an_order_asked_for_twice_is_made_once(self, erp: Erp, people: People) -> None:
        order = an_order()
        first = await erp.create_purchase_order(order)
        again = await erp.create_purchase_order(order)
        assert (first.number, first.already, again.already) == (again.number, False, True)
        assert first.key == f"{order.case_id}/create/{order.number}"
        assert (first.state, first.amount) == ("processing", usd("143.20"))
        assert people.orders()[order.number] == 1

    async def test_an_order_asked_for_by_four_at_once_is_made_once(self, erp: Erp, people: People) -> None:
        order = an_order()
        made = await asyncio.gather(*(until_answered(lambda: erp.create_purchase_order(order)) for _ in range(4)))
        assert len({one.number for one in made}) == 1
        assert people.orders()[order.number] == 1
        people.receive(order.number)  # had the order been confirmed twice, twice the goods would be awaited
        assert (await self.stands(erp, order)).received == {"1.a": 10, "2": 4}

    @pytest.mark.parametrize("wrong", [{"supplier": "NOBODY"}, {"cost_centre": "CC-0000"}])
    async def test_an_order_with_a_code_the_erp_does_not_know_is_refused(self, erp: Erp, wrong: dict[str, str]) -> None:
        with pytest.raises(Rejected, match=next(iter(wrong.values()))):
            await erp.create_purchase_order(an_order(**wrong))

    async def test_an_order_after_use_waits_for_no_goods_and_can_be_billed(self, erp: Erp, people: People) -> None:
        order = an_order(after_use=True)
        await erp.create_purchase_order(order)
        assert (await erp.create_purchase_order(order)).already
        with pytest.raises(LookupError, match="nothing open"):
            people.receive(order.number, {"ITM-1001": 10})
        assert (await erp.post_invoice(a_posting(order))).amount == usd("155.20")

    async def test_an_order_nobody_made_is_not_there(self, erp: Erp) -> None:
        assert (await erp.purchase_order(FACILITY, "PO-NEVER")).document is None

    async def test_a_change_of_price_and_quantity_is_applied_once(self, erp: Erp) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        change = a_change(order, line_change(order, "1.a", "12", "8.60", expected=date(2026, 12, 24)))
        done = await erp.change_purchase_order(change)
        assert (done.amount, done.already) == (usd("162.40"), False)
        assert (await erp.change_purchase_order(change)).already
        back = a_change(order, line_change(order, "1.a", "10", "8.40"), sequence=2)
        assert (await erp.change_purchase_order(back)).amount == usd("143.20")

    async def test_another_change_under_a_number_that_was_used_is_made_too(self, erp: Erp) -> None:
        """A case that was reset counts its changes anew."""
        order = an_order()
        await erp.create_purchase_order(order)
        await erp.change_purchase_order(a_change(order, line_change(order, "1.a", "12", "8.60")))
        again = await erp.change_purchase_order(a_change(order, line_change(order, "1.a", "10", "8.40")))
        assert (again.amount, again.already) == (usd("143.20"), False)

    async def test_an_ended_line_keeps_what_came_and_waits_for_nothing_more(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        people.receive(order.number, {"ITM-1001": 6})
        change = a_change(order, line_change(order, "1.a", "10", "8.40", ended=True))
        assert (await erp.change_purchase_order(change)).amount == usd("109.60")
        people.receive(order.number)
        assert (await self.stands(erp, order)).received == {"1.a": 6, "2": 4}

    async def test_a_line_is_not_cut_below_what_came(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        people.receive(order.number, {"ITM-1001": 6})
        with pytest.raises(Rejected, match="more has come"):
            await erp.change_purchase_order(a_change(order, line_change(order, "1.a", "5", "8.40")))

    async def test_an_order_of_which_nothing_came_is_cancelled(self, erp: Erp) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        change = a_change(order, cancel=True)
        done = await erp.cancel_purchase_order(change)
        assert (done.state, done.amount) == ("cancelled", zero())
        assert (await erp.cancel_purchase_order(change)).already
        assert order.number in (await erp.changes(FACILITY, LONG_AGO)).cancelled_orders

    async def test_an_order_cancelled_before_it_reached_the_erp_cannot_arrive_late(
        self, erp: Erp, people: People
    ) -> None:
        order = an_order()
        assert (await erp.cancel_purchase_order(a_change(order, cancel=True))).state == "cancelled"
        with pytest.raises(Rejected, match="cancelled"):
            await erp.create_purchase_order(order)
        assert people.orders()[order.number] == 1

    async def test_an_order_with_goods_is_cancelled_only_after_they_went_back(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        people.receive(order.number, {"ITM-1001": 6})
        change = a_change(order, cancel=True)
        with pytest.raises(Rejected, match="not returned"):
            await erp.cancel_purchase_order(change)
        goods = GoodsReturn(
            order=order,
            lines=(ReceivedLine(line="1.a", item="ITM-1001", quantity=each("6", "BX")),),
            reason="cancelled",
            returned_on=DAY,
        )
        back = await erp.return_goods(goods)
        assert (back.kind, back.state, back.already) == ("erp_return", "done", False)
        assert (await erp.return_goods(goods)).already
        assert (await erp.cancel_purchase_order(change)).state == "cancelled"
        found = await self.stands(erp, order)
        assert len(found.returns) == 1
        assert order.number not in (await erp.changes(FACILITY, LONG_AGO)).cancelled_orders

    async def test_more_than_came_does_not_go_back(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        people.receive(order.number, {"ITM-1001": 6})
        line = ReceivedLine(line="1.a", item="ITM-1001", quantity=each("7", "BX"))
        with pytest.raises(Rejected, match="so much"):
            await erp.return_goods(GoodsReturn(order=order, lines=(line,), returned_on=DAY))

    async def test_other_goods_under_a_return_that_was_made_are_refused(self, erp: Erp, people: People) -> None:
        """A case that was reset counts its returns anew: what went back then must not pass for what goes back now."""
        order = an_order()
        await erp.create_purchase_order(order)
        people.receive(order.number)

        def back(**counts: str) -> GoodsReturn:
            names = {"gloves": ("1.a", "ITM-1001"), "gowns": ("2", "ITM-1005")}
            lines = tuple(
                ReceivedLine(line=names[name][0], item=names[name][1], quantity=each(count, "BX"))
                for name, count in counts.items()
            )
            return GoodsReturn(order=order, lines=lines, returned_on=DAY)

        await erp.return_goods(back(gloves="2"))
        for other in (back(gloves="3"), back(gowns="2"), back(gloves="2", gowns="1")):
            with pytest.raises(Rejected, match="other goods") as refused:
                await erp.return_goods(other)
            assert refused.value.code == "conflict"
        assert (await erp.return_goods(back(gloves="2").changed(reason="said again"))).already
        assert (await erp.return_goods(back(gloves="3").changed(sequence=2))).state == "done"
        assert len((await self.stands(erp, order)).returns) == 2

    # What happens without us.

    async def test_each_receipt_is_told_with_our_lines(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        people.receive(order.number, {"ITM-1001": 6}, delivery_note="DN-1")
        people.receive(order.number, delivery_note="DN-2")
        told = await self.receipts(erp, order)
        assert [one.delivery_note for one in told] == ["DN-1", "DN-2"]
        assert [[(x.line, x.item, str(x.quantity)) for x in one.lines] for one in told] == [
            [("1.a", "ITM-1001", "6 BX")],
            [("1.a", "ITM-1001", "4 BX"), ("2", "ITM-1005", "4 BX")],
        ]
        assert [one.key for one in await self.receipts(erp, order)] == [one.key for one in told]

    async def test_too_many_and_the_wrong_goods_are_told_as_they_came(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        people.receive(order.number, {"ITM-1001": 12}, unordered={"ITM-1002": 3})
        (told,) = await self.receipts(erp, order)
        came = {(x.line, x.item, str(x.quantity.value)) for x in told.lines}
        assert came == {("1.a", "ITM-1001", "12"), (None, "ITM-1002", "3")}

    async def test_a_receipt_taken_back_is_told_under_its_own_key(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        number = people.receive(order.number)
        (came,) = await self.receipts(erp, order)
        people.cancel_receipt(number)
        (gone,) = await self.receipts(erp, order)
        assert (came.cancelled, gone.cancelled, gone.number) == (False, True, came.number)
        assert (gone.key, gone.lines) == (came.key, came.lines), "the case finds what no longer counts"
        assert (await self.stands(erp, order)).received == {"1.a": 0, "2": 0}

    async def test_an_order_ended_in_the_erp_past_us_is_told(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        people.cancel_order(order.number)
        assert order.number in (await erp.changes(FACILITY, LONG_AGO)).cancelled_orders

    async def test_nothing_is_missed_between_two_questions(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        people.receive(order.number, {"ITM-1001": 1})
        until = (await erp.changes(FACILITY, LONG_AGO)).until
        people.receive(order.number, {"ITM-1001": 2})
        later = await erp.changes(FACILITY, until)
        told = {one.lines[0].quantity.value for one in later.receipts if one.order == order.number}
        assert 2 in told
        assert later.until >= until

    # Money and master data.

    async def test_what_is_booked_shows_on_the_cost_centre(self, erp: Erp) -> None:
        async def booked() -> Decimal:
            rows = await erp.actuals(FACILITY, date(2026, 1, 1), date(2026, 12, 31))
            return {row.cost_centre: row.actual.amount for row in rows}["CC-4300"]

        before = await booked()
        order = an_order(cost_centre="CC-4300")
        await erp.create_purchase_order(order)
        await erp.post_invoice(a_posting(order, posted_line(order, "1.a", "10", "9"), memo="8.40"))
        assert await booked() - before == Decimal("87.60")

    async def test_the_register_learns_items_suppliers_and_places(self, erp: Erp) -> None:
        data = await erp.master_data(FACILITY)
        gloves = next(item for item in data.items if item.code == "ITM-1001")
        assert gloves.base_units("BX") == 100
        assert gloves.base_units("CA") == 1000
        sold = gloves.preferred_supplier(DAY)
        assert sold is not None
        assert (sold.supplier, sold.catalogue_number, sold.order_unit) == ("ALPINE", "ALP-GLV-M", "BX")
        suppliers = {supplier.code: supplier for supplier in data.suppliers}
        assert {code: one.status for code, one in suppliers.items()} == {
            "ALPINE": "active",
            "BOREAL": "active",
            "CORVUS": "blocked",
        }
        terms = suppliers["ALPINE"].terms
        assert (str(terms.discount_percent), terms.discount_days, terms.net_days) == ("2", 10, 30)
        assert suppliers["ALPINE"].bank_fingerprint not in ("", suppliers["BOREAL"].bank_fingerprint)
        assert {centre.code for centre in data.cost_centres} == {"CC-4100", "CC-4200", "CC-4300", "CC-4900"}
        assert "NGH-OR" in {place.code for place in data.locations}
        assert next(item for item in data.items if item.code == "ITM-1025").capital
