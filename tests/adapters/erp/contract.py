"""What every ERP adapter must do, asked of the port alone; the outside world acts through ``people``.

The ERP holds the demonstration hospital (``demo/seed``): suppliers ALPINE and BOREAL, items packed in BX, cost centres.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

import pytest

from canonical.base import zero
from canonical.errors import Rejected, Unavailable
from canonical.ports import Erp
from canonical.purchasing import (
    GoodsReturn,
    PurchaseOrder,
    Receipt,
    ReceivedLine,
)
from canonical.steps import ErpOrder
from tests.adapters.erp.build import (
    DAY,
    FACILITY,
    a_change,
    a_payment,
    a_posting,
    an_order,
    line_change,
    posted_line,
)
from tests.build import each, unique, usd

Answer = TypeVar("Answer")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class People(Protocol):
    """Who works in the ERP beside us."""

    def receive(
        self,
        order: str,
        lines: Mapping[str, Decimal | int] | None = None,
        *,
        delivery_note: str = "",
        unordered: Mapping[str, Decimal | int] | None = None,
    ) -> str: ...
    def cancel_receipt(self, number: str) -> None: ...
    def redo_receipt(self, number: str) -> None: ...
    def cancel_order(self, order: str) -> None: ...
    def bank_confirms(self, order: str | None = None) -> int: ...
    def bank_refuses(self, order: str | None = None) -> int: ...
    def orders(self) -> dict[str, int]: ...


def states(documents: Any) -> list[tuple[str, str]]:
    return sorted((one.kind, one.state) for one in documents)


async def until_answered(step: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again under the same key until there is an answer, as the engine does."""
    for _ in range(60):
        try:
            return await step()
        except Unavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("never answered")


class ErpContract:
    """The suite; a subclass gives the fixtures ``erp`` and ``people``."""

    @pytest.fixture
    def erp(self) -> Erp:
        raise NotImplementedError

    @pytest.fixture
    def people(self) -> People:
        raise NotImplementedError

    async def receipts(self, erp: Erp, order: PurchaseOrder) -> list[Receipt]:
        changes = await erp.changes(FACILITY, LONG_AGO)
        return [one for one in changes.receipts if one.order == order.number]

    async def stands(self, erp: Erp, order: PurchaseOrder) -> ErpOrder:
        return await erp.purchase_order(FACILITY, order.number)

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

    async def test_a_receipt_done_again_is_told_as_it_came_at_first(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        number = people.receive(order.number)
        (came,) = await self.receipts(erp, order)
        people.cancel_receipt(number)
        people.redo_receipt(number)
        (again,) = await self.receipts(erp, order)
        assert (again.key, again.cancelled, again.lines) == (came.key, False, came.lines), "counted once, not twice"
        assert (await self.stands(erp, order)).received == {"1.a": 10, "2": 4}

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

    # Invoices and payments.

    async def test_an_invoice_is_posted_once_as_billed_with_freight_and_tax(self, erp: Erp) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order)
        done = await erp.post_invoice(posting)
        assert (done.state, done.amount, done.already, done.related) == ("posted", usd("155.20"), False, ())
        assert (await erp.post_invoice(posting)).already
        assert states((await self.stands(erp, order)).invoices) == [("erp_invoice", "posted")]

    async def test_one_order_may_have_several_invoices(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        first = a_posting(order, posted_line(order, "1.a", "6"))
        second = a_posting(order, posted_line(order, "1.a", "4"), posted_line(order, "2"))
        for posting in (first, second):
            await erp.post_invoice(posting)
            await erp.pay_invoice(a_payment(posting))
        assert people.bank_confirms(order.number) == 2
        found = await self.stands(erp, order)
        assert states(found.invoices) == [("erp_invoice", "paid")] * 2
        assert sorted(one.amount.amount for one in found.invoices if one.amount) == [
            Decimal("62.40"),
            Decimal("104.80"),
        ]

    async def test_what_is_not_accepted_becomes_a_debit_memo_and_is_not_paid(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        lines = posted_line(order, "1.a", "12", "10", "9.00", "8.40"), posted_line(order, "2")
        posting = a_posting(order, *lines, memo="24.00")
        done = await erp.post_invoice(posting)
        assert (done.amount, len(done.related)) == (usd("179.20"), 1)
        await erp.post_invoice(posting)
        found = await self.stands(erp, order)
        assert states(found.invoices) == [("erp_debit_memo", "posted"), ("erp_invoice", "posted")]
        assert {one.amount for one in found.invoices} == {usd("179.20"), usd("-24.00")}
        paid = await erp.pay_invoice(a_payment(posting))
        assert paid.amount == usd("155.20")
        people.bank_confirms(order.number)
        assert states((await self.stands(erp, order)).invoices) == [("erp_debit_memo", "paid"), ("erp_invoice", "paid")]

    async def test_a_discount_is_kept_and_the_invoice_is_paid_in_full(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order)
        await erp.post_invoice(posting)
        assert (await erp.pay_invoice(a_payment(posting, discount="3.10"))).amount == usd("152.10")
        people.bank_confirms(order.number)
        found = await self.stands(erp, order)
        assert ("erp_invoice", "paid") in states(found.invoices)
        assert [one.amount for one in found.payments] == [usd("152.10")]

    async def test_a_payment_asked_for_twice_is_sent_once_and_confirmed_by_the_bank(
        self, erp: Erp, people: People
    ) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order)
        await erp.post_invoice(posting)
        payment = a_payment(posting)
        first, again = await erp.pay_invoice(payment), await erp.pay_invoice(payment)
        assert (first.state, first.already, again.already) == ("processing", False, True)
        assert people.bank_confirms(order.number) == 1
        told = [one for one in (await erp.changes(FACILITY, LONG_AGO)).payments if one.order == order.number]
        assert [(one.key, one.state, one.amount) for one in told] == [(payment.key, "succeeded", usd("155.20"))]
        assert (await erp.pay_invoice(payment)).already
        assert len((await self.stands(erp, order)).payments) == 1

    async def test_a_payment_the_bank_refused_is_told_and_can_be_tried_again(self, erp: Erp, people: People) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order)
        await erp.post_invoice(posting)
        await erp.pay_invoice(a_payment(posting, discount="1.00"))
        people.bank_refuses(order.number)
        assert states((await self.stands(erp, order)).payments) == [("erp_payment", "failed")]
        await erp.pay_invoice(a_payment(posting, discount="1.00", attempt=2))
        people.bank_confirms(order.number)
        found = await self.stands(erp, order)
        assert states(found.payments) == [("erp_payment", "failed"), ("erp_payment", "succeeded")]
        assert ("erp_invoice", "paid") in states(found.invoices)

    async def test_no_other_amount_is_paid_than_the_erp_has_open(self, erp: Erp) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order)
        await erp.post_invoice(posting)
        with pytest.raises(Rejected) as refused:
            await erp.pay_invoice(a_payment(posting, amount=usd("999.00")))
        assert refused.value.code == "amount-differs"
        assert (await self.stands(erp, order)).payments == ()

    async def test_an_invoice_never_posted_is_not_paid(self, erp: Erp) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        with pytest.raises(Rejected, match="not posted"):
            await erp.pay_invoice(a_payment(a_posting(order)))

    async def test_an_invoice_number_of_the_supplier_is_posted_for_one_order_only(self, erp: Erp) -> None:
        first, second = an_order(), an_order()
        for order in (first, second):
            await erp.create_purchase_order(order)
        number = unique("INV-")
        await erp.post_invoice(a_posting(first, number=number))
        with pytest.raises(Rejected) as refused:
            await erp.post_invoice(a_posting(second, number=number))
        assert refused.value.code == "warning"
        assert "posted" not in [one.state for one in (await self.stands(erp, second)).invoices]

    async def test_a_posted_invoice_is_taken_back_with_its_memo_unless_it_is_being_paid(self, erp: Erp) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        one = a_posting(order, posted_line(order, "1.a", "10", "9"), memo="8.40")
        other = a_posting(order, posted_line(order, "2"))
        for posting in (one, other):
            await erp.post_invoice(posting)
        await erp.pay_invoice(a_payment(other))
        assert (await erp.cancel_invoice(one)).state == "cancelled"
        assert (await erp.cancel_invoice(one)).already
        with pytest.raises(Rejected, match="being paid"):
            await erp.cancel_invoice(other)
        assert states((await self.stands(erp, order)).invoices) == [
            ("erp_debit_memo", "cancelled"),
            ("erp_invoice", "cancelled"),
            ("erp_invoice", "posted"),
        ]

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
        assert {centre.code for centre in data.cost_centres} == {"CC-4100", "CC-4200", "CC-4300"}
        assert "NGH-OR" in {place.code for place in data.locations}
        assert next(item for item in data.items if item.code == "ITM-1025").capital
