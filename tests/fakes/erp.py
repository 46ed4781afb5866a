"""An ERP in memory, for tests that need no real one; it passes the same suite as the adapter to the real one.

``refuse``, ``silent``, ``lost`` and ``down`` let it say no, not answer, lose its answer or be away (:mod:`tests.fakes.erp_stock`,
its stock side). The methods after the port are what people outside do in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from canonical.base import Money, Quantity, zero
from canonical.erp_steps import CostCentreActual, ErpChanges, ErpOrder, ErpReceipt
from canonical.errors import Rejected, Unavailable
from canonical.invoicing import InvoicePosting, Payment, PaymentOrder
from canonical.ports import MasterData
from canonical.purchasing import GoodsReturn, LineChange, OrderChange, PurchaseOrder, Receipt, ReceivedLine
from tests.fakes.erp_books import (
    LIVE,
    HeldBill,
    HeldLine,
    HeldOrder,
    HeldPayment,
    bill_receipt,
    discount_key,
    document,
    memo_key,
    order_receipt,
)
from tests.fakes.erp_stock import STORE, SUPPLIER, FakeStock


class FakeErp(FakeStock):
    """One ERP; ``clock`` is its own, as a real one has."""

    def __init__(
        self, master: MasterData | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__(master)
        self.held: dict[str, HeldOrder] = {}
        self.bills: dict[str, HeldBill] = {}
        self.payments: dict[str, HeldPayment] = {}
        self.returns: dict[str, GoodsReturn] = {}
        self.receipts: dict[str, Receipt] = {}
        self._changed: dict[str, datetime] = {}
        self._applied: set[tuple[str, tuple[LineChange, ...]]] = set()
        self._master = master or MasterData()
        self._clock = clock
        self._numbers = 0

    # The port.

    async def create_purchase_order(self, order: PurchaseOrder) -> ErpReceipt:
        lost = self._asked("create_purchase_order")
        self._know(order)
        held = self.held.get(order.number)
        already = held is not None
        if held is None:
            held = self._open(order, "processing")
        if held.state == "cancelled":
            raise Rejected(f"order {order.number} was cancelled in the ERP", code="cancelled", system="erp")
        return self._answer(lost, order_receipt(held, held.key, already=already))

    async def change_purchase_order(self, change: OrderChange) -> ErpReceipt:
        lost = self._asked("change_purchase_order")
        held = self._find(change.order)
        already = (change.key, change.lines) in self._applied
        if not already:
            for one in change.lines:
                line = held.lines.get(one.line)
                if line is None:
                    raise Rejected(f"the ERP's order has no line {one.line}", code="unknown-code", system="erp")
                if not one.ended and one.quantity.value < line.received:
                    raise Rejected(f"more has come of line {one.line} already", code="goods-received", system="erp")
            for one in change.lines:
                line = held.lines[one.line]
                line.quantity = line.received if one.ended else one.quantity.value
                line.price = one.unit_price
            self._applied.add((change.key, change.lines))
            self._settle(held)
        return self._answer(lost, order_receipt(held, change.key, already=already))

    async def cancel_purchase_order(self, change: OrderChange) -> ErpReceipt:
        lost = self._asked("cancel_purchase_order")
        held = self.held.get(change.order.number) or self._open(change.order, "cancelled")
        already = (change.key, change.lines) in self._applied
        if any(line.received != line.returned for line in held.lines.values()):
            raise Rejected("goods have come and were not returned", code="goods-received", system="erp")
        self._applied.add((change.key, change.lines))
        for line in held.lines.values():
            line.quantity = line.received
        self._settle(held)
        return self._answer(lost, order_receipt(held, change.key, already=already).changed(state="cancelled"))

    async def return_goods(self, goods: GoodsReturn) -> ErpReceipt:
        lost = self._asked("return_goods")
        held = self._find(goods.order)
        already = goods.key in self.returns
        if already and self.returns[goods.key].lines != goods.lines:
            raise Rejected(f"return {goods.key} holds other goods", code="conflict", system="erp")
        if not already:
            for one in goods.lines:
                line = held.lines.get(one.line or "")
                if line is None or one.quantity.value > line.received - line.returned:
                    raise Rejected(f"so much of {one.item} has not come", code="business-rule", system="erp")
            for one in goods.lines:
                line = held.lines[one.line or ""]
                line.returned += one.quantity.value
                self._bring(SUPPLIER, STORE, one.item, -int(one.quantity.value * line.line.base_units), one.lot)
            self.returns[goods.key] = goods
        receipt = ErpReceipt(
            system="fake", kind="erp_return", id=goods.key, number=f"R{goods.sequence}", key=goods.key, state="done"
        )
        return self._answer(lost, receipt.changed(already=already))

    async def post_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        lost = self._asked("post_invoice")
        self._find(posting.order)
        already = posting.key in self.bills
        same = (posting.order.supplier, posting.invoice.number)
        if not already and same in {(b.order.supplier, b.reference) for b in self.bills.values()}:
            raise Rejected("the ERP asks first: this supplier's invoice is there", code="warning", system="erp")
        bill = self._bill("erp_invoice", posting, posting.key, posting.invoice.number, posting.invoice.total)
        if bill.state == "cancelled":
            raise Rejected("this invoice was taken back in the ERP", code="cancelled", system="erp")
        related: tuple[str, ...] = ()
        if posting.debit_memo.amount > 0:
            amount = zero(posting.debit_memo.currency) - posting.debit_memo
            memo = self._bill("erp_debit_memo", posting, memo_key(posting), f"{posting.invoice.number}-DM", amount)
            related = (memo.number,)
        return self._answer(lost, bill_receipt(bill, already=already, related=related))

    async def cancel_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        lost = self._asked("cancel_invoice")
        paying = [p for p in self.payments.values() if p.asked.invoice_key == posting.key and p.state != "failed"]
        if paying:
            raise Rejected("the invoice is being paid", code="in-payment", system="erp")
        bill = self._bill("erp_invoice", posting, posting.key, posting.invoice.number, posting.invoice.total)
        already, bill.state = bill.state == "cancelled", "cancelled"
        for key in (memo_key(posting), discount_key(posting.key)):
            if key in self.bills:
                self.bills[key].state = "cancelled"
        return self._answer(lost, bill_receipt(bill, already=already))

    async def pay_invoice(self, payment: PaymentOrder) -> ErpReceipt:
        lost = self._asked("pay_invoice")
        held = self.payments.get(payment.key)
        already = held is not None
        if held is not None and held.asked.amount != payment.amount:
            raise Rejected(f"a payment of {held.asked.amount} is there", code="amount-differs", system="erp")
        if held is None:
            bill = self.bills.get(payment.invoice_key)
            if bill is None or bill.state != "posted":
                raise Rejected(f"invoice {payment.invoice} is not posted and open", code="wrong-state", system="erp")
            memo = self.bills.get(f"{payment.invoice_key}/debit-memo")
            left = bill.amount.amount + (memo.amount.amount if memo else 0) - payment.discount.amount
            if left != payment.amount.amount:
                raise Rejected(f"the ERP has {left} open", code="amount-differs", system="erp")
            self._discount(payment, bill)
            held = HeldPayment(payment, self._number(), "processing", self._clock())
            self.payments[payment.key] = held
        receipt = ErpReceipt(
            system="fake",
            kind="erp_payment",
            id=payment.key,
            number=held.number,
            key=payment.key,
            state=held.state,
            amount=payment.amount,
            already=already,
        )
        return self._answer(lost, receipt)

    async def purchase_order(self, facility: str, number: str) -> ErpOrder:
        self._asked("purchase_order")
        held = self.held.get(number)
        if held is None or held.order.facility != facility:
            return ErpOrder(order=number)
        bills = [b for b in self.bills.values() if b.order.number == number]
        return ErpOrder(
            order=number,
            document=document("erp_order", held.number, held.state, held.key, held.amount, number),
            receipts=tuple(
                document("erp_receipt", r.number, "cancelled" if r.cancelled else "done", "", None, r.delivery_note)
                for r in self.receipts.values()
                if r.order == number
            ),
            invoices=tuple(document(b.kind, b.number, b.state, b.key, b.amount, b.reference) for b in bills),
            payments=tuple(
                document("erp_payment", p.number, p.state, key, p.asked.amount, "")
                for key, p in self.payments.items()
                if p.asked.order == number
            ),
            returns=tuple(
                document("erp_return", f"R{g.sequence}", "done", key, None, f"{number}/R{g.sequence}")
                for key, g in self.returns.items()
                if g.order.number == number
            ),
            received={name: line.received for name, line in held.lines.items()},
        )

    async def changes(self, facility: str, since: datetime) -> ErpChanges:
        self._asked("changes")
        receipts = [r for n, r in self.receipts.items() if self._changed[n] >= since and r.facility == facility]
        ended = [h for h in self.held.values() if h.state in ("done", "cancelled") and h.changed_at >= since]
        payments = [p for p in self.payments.values() if p.changed_at >= since]
        return ErpChanges(
            receipts=tuple(receipts),
            cancelled_orders=tuple(h.order.number for h in ended if not any(x.received for x in h.lines.values())),
            payments=tuple(
                Payment(
                    facility=facility,
                    order=p.asked.order,
                    key=p.asked.key,
                    number=p.number,
                    state=p.state,
                    amount=p.asked.amount,
                    changed_at=p.changed_at,
                )
                for p in payments
            ),
            until=since,
        )

    async def actuals(self, facility: str, from_day: date, to_day: date) -> Sequence[CostCentreActual]:
        self._asked("actuals")
        booked: dict[str, Money] = {one.code: zero() for one in self._master.cost_centres}
        for bill in self.bills.values():
            if bill.state in ("posted", "paid") and from_day <= bill.booked_on <= to_day:
                centre = bill.order.cost_centre
                booked[centre] = booked.get(centre, zero(bill.amount.currency)) + bill.amount
        return [CostCentreActual(cost_centre=centre, actual=amount.rounded()) for centre, amount in booked.items()]

    async def master_data(self, facility: str) -> MasterData:
        self._asked("master_data")
        return self._master

    # What people do in it.

    def receive(
        self,
        order: str,
        lines: Mapping[str, Decimal | int] | None = None,
        *,
        delivery_note: str = "",
        unordered: Mapping[str, Decimal | int] | None = None,
        lots: Mapping[str, tuple[str, date | None]] | None = None,
    ) -> str:
        """Goods come and lie in the facility's store; ``lots``: by item, its lot and that one's date."""
        held, number, came = self.held[order], self._number(), []
        if held.order.after_use:
            raise LookupError(f"order {order} has nothing open")
        for one in held.lines.values():
            asked = one.quantity - one.received if lines is None else Decimal(lines.get(one.line.item, 0))
            if asked:
                one.received += asked
                quantity = Quantity(value=asked, unit=one.line.quantity.unit)
                lot, expires = (lots or {}).get(one.line.item, ("", None))
                came.append(
                    ReceivedLine(line=one.line.id, item=one.line.item, quantity=quantity, lot=lot, expires=expires)
                )
                self._bring(SUPPLIER, STORE, one.line.item, int(asked * one.line.base_units), lot, expires)
        for item, extra in (unordered or {}).items():
            came.append(ReceivedLine(item=item, quantity=Quantity(value=Decimal(extra), unit="BX")))
        now = self._clock()
        self.receipts[number] = Receipt(
            facility=held.order.facility,
            order=order,
            key=f"{number}/{order}",
            number=number,
            delivery_note=delivery_note,
            received_at=now,
            lines=tuple(came),
        )
        self._changed[number] = now
        self._settle(held)
        return number

    def cancel_receipt(self, number: str) -> None:
        receipt = self.receipts[number]
        for came in receipt.lines:
            if came.line:
                line = self.held[receipt.order].lines[came.line]
                line.received -= came.quantity.value
                back = -int(came.quantity.value * line.line.base_units)
                self._bring(SUPPLIER, STORE, came.item, back, came.lot)
        self.receipts[number] = receipt.changed(cancelled=True)
        self._changed[number] = self._clock()
        self._settle(self.held[receipt.order])

    def cancel_order(self, order: str) -> None:
        held = self.held[order]
        for line in held.lines.values():
            line.quantity = line.received
        self._settle(held)

    def bank_confirms(self, order: str | None = None) -> int:
        return self._bank_says("succeeded", order)

    def bank_refuses(self, order: str | None = None) -> int:
        return self._bank_says("failed", order)

    def orders(self) -> dict[str, int]:
        return dict.fromkeys(self.held, 1)

    # How it keeps its books.

    def _bank_says(self, state: str, order: str | None) -> int:
        waiting = [p for p in self.payments.values() if p.state == "processing" and order in (None, p.asked.order)]
        for payment in waiting:
            payment.state, payment.changed_at = state, self._clock()
            if state == "succeeded":
                invoice = payment.asked.invoice_key
                for key in (invoice, f"{invoice}/debit-memo", discount_key(invoice)):
                    if key in self.bills and self.bills[key].state == "posted":
                        self.bills[key].state = "paid"
        return len(waiting)

    @staticmethod
    def _answer(lost: str, receipt: ErpReceipt) -> ErpReceipt:
        if lost:
            raise Unavailable("the ERP's answer was lost", system="erp")
        return receipt

    def _know(self, order: PurchaseOrder) -> None:
        known = {
            "item": {item.code for item in self._master.items},
            "supplier": {supplier.code for supplier in self._master.suppliers},
            "cost centre": {centre.code for centre in self._master.cost_centres},
        }
        asked = [("supplier", order.supplier), ("cost centre", order.cost_centre)]
        for kind, code in [*asked, *(("item", line.item) for line in order.lines)]:
            if known[kind] and code not in known[kind]:
                raise Rejected(f"the ERP does not know {kind} {code}", code="unknown-code", system="erp")

    def _open(self, order: PurchaseOrder, state: str) -> HeldOrder:
        held = HeldOrder(order, f"{order.case_id}/create/{order.number}", self._number(), state)
        held.lines = {line.id: HeldLine(line, line.quantity.value, line.unit_price) for line in order.lines}
        self.held[order.number] = held
        return held

    def _settle(self, held: HeldOrder) -> None:
        if held.state in LIVE:
            open_lines = [line for line in held.lines.values() if line.received < line.quantity]
            held.state = "processing" if open_lines or any(line.received for line in held.lines.values()) else "done"
        held.changed_at = self._clock()

    def _find(self, order: PurchaseOrder) -> HeldOrder:
        held = self.held.get(order.number)
        if held is None:
            raise Rejected(f"the ERP has no order {order.number}", code="unknown-order", system="erp")
        return held

    def _bill(self, kind: str, posting: InvoicePosting, key: str, reference: str, amount: Money) -> HeldBill:
        if key not in self.bills:
            number, day = self._number(), posting.posted_on
            self.bills[key] = HeldBill(kind, posting.order, key, number, reference, amount.rounded(), "posted", day)
        return self.bills[key]

    def _discount(self, payment: PaymentOrder, invoice: HeldBill) -> None:
        """Book what the terms let us keep, or take that back where the whole is paid after all."""
        key, amount = discount_key(payment.invoice_key), zero(payment.discount.currency) - payment.discount
        note = self.bills.get(key)
        if payment.discount.amount == 0:
            if note is not None:
                note.state = "cancelled"
        elif note is None:
            number, reference = self._number(), f"{payment.invoice}-DISC"
            day = payment.pay_on
            self.bills[key] = HeldBill("erp_credit_note", invoice.order, key, number, reference, amount, "posted", day)
        elif note.state == "cancelled":
            raise Rejected("this discount was taken back in the ERP", code="cancelled", system="erp")

    def _number(self) -> str:
        self._numbers += 1
        return str(self._numbers)
