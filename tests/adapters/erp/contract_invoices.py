"""The part of the ERP suite about money owed: invoices, debit memos and payments, each exactly once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from canonical.errors import Rejected
from canonical.ports import Erp
from tests.adapters.erp.build import FACILITY, a_payment, a_posting, an_order, posted_line
from tests.adapters.erp.contract_common import LONG_AGO, People, Suite, states
from tests.build import unique, usd


class InvoiceContract(Suite):
    """Invoices and payments of an ERP."""

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

    async def test_a_discount_the_bank_made_us_miss_is_taken_back_and_the_whole_is_paid(
        self, erp: Erp, people: People
    ) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order, posted_line(order, "1.a", "10", "9"), memo="8.40")
        await erp.post_invoice(posting)
        await erp.pay_invoice(a_payment(posting, discount="2.00"))
        assert ("erp_credit_note", "posted") in states((await self.stands(erp, order)).invoices)
        people.bank_refuses(order.number)
        whole = a_payment(posting, attempt=2)
        assert (await erp.pay_invoice(whole)).amount == usd("87.60")
        assert (await erp.pay_invoice(whole)).already
        assert people.bank_confirms(order.number) == 1
        found = await self.stands(erp, order)
        assert states(found.payments) == [("erp_payment", "failed"), ("erp_payment", "succeeded")]
        assert states(found.invoices) == [
            ("erp_credit_note", "cancelled"),
            ("erp_debit_memo", "paid"),
            ("erp_invoice", "paid"),
        ]

    async def test_no_other_amount_is_paid_than_the_erp_has_open(self, erp: Erp) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order)
        await erp.post_invoice(posting)
        with pytest.raises(Rejected) as refused:
            await erp.pay_invoice(a_payment(posting, amount=usd("999.00")))
        assert refused.value.code == "amount-differs"
        assert (await self.stands(erp, order)).payments == ()

    async def test_a_payment_of_another_amount_under_the_same_key_is_not_taken_for_ours(self, erp: Erp) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order)
        await erp.post_invoice(posting)
        await erp.pay_invoice(a_payment(posting))
        with pytest.raises(Rejected) as refused:
            await erp.pay_invoice(a_payment(posting, amount=usd("100.00")))
        assert refused.value.code == "amount-differs"
        assert [one.amount for one in (await self.stands(erp, order)).payments] == [usd("155.20")]

    async def test_a_second_attempt_and_an_invoice_number_that_ends_like_it_are_two_payments(
        self, erp: Erp, people: People
    ) -> None:
        order, number = an_order(), unique("INV-")
        await erp.create_purchase_order(order)
        plain = a_posting(order, posted_line(order, "1.a"), number=number)
        slashed = a_posting(order, posted_line(order, "2"), number=f"{number}/2")
        for posting in (plain, slashed):
            await erp.post_invoice(posting)
        await erp.pay_invoice(a_payment(plain))
        people.bank_refuses(order.number)
        for payment in (a_payment(plain, attempt=2, encoded=True), a_payment(slashed, encoded=True)):
            assert not (await erp.pay_invoice(payment)).already
        assert people.bank_confirms(order.number) == 2
        assert states((await self.stands(erp, order)).invoices) == [("erp_invoice", "paid")] * 2

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

    @pytest.mark.parametrize(("memo", "discount"), [("8.40", "0"), ("0", "2.00"), ("8.40", "2.00")])
    async def test_an_invoice_paid_net_is_taken_back_whole_once_the_bank_has_refused(
        self, erp: Erp, people: People, memo: str, discount: str
    ) -> None:
        order = an_order()
        await erp.create_purchase_order(order)
        posting = a_posting(order, posted_line(order, "1.a", "10", "9" if memo != "0" else "10"), memo=memo)
        await erp.post_invoice(posting)
        await erp.pay_invoice(a_payment(posting, discount=discount))
        with pytest.raises(Rejected) as refused:
            await erp.cancel_invoice(posting)
        assert refused.value.code == "in-payment"
        assert {state for _, state in states((await self.stands(erp, order)).invoices)} == {"posted"}
        people.bank_refuses(order.number)
        assert (await erp.cancel_invoice(posting)).state == "cancelled"
        assert (await erp.cancel_invoice(posting)).already
        kept = (await self.stands(erp, order)).invoices
        assert {state for _, state in states(kept)} == {"cancelled"}
        assert len(kept) == 1 + (memo != "0") + (discount != "0")
