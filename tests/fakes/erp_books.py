"""What the ERP in memory writes down: orders, bills, payments, and how it shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from canonical.base import Money, zero
from canonical.erp_steps import ErpDocument, ErpReceipt
from canonical.invoicing import InvoicePosting, PaymentOrder
from canonical.purchasing import OrderLine, PurchaseOrder

LIVE = ("processing", "done")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass
class HeldLine:
    line: OrderLine
    quantity: Decimal
    price: Money
    received: Decimal = Decimal(0)
    returned: Decimal = Decimal(0)


@dataclass
class HeldOrder:
    order: PurchaseOrder
    key: str
    number: str
    state: str
    lines: dict[str, HeldLine] = field(default_factory=dict)
    changed_at: datetime = LONG_AGO

    @property
    def amount(self) -> Money:
        return sum_of((one.price.times(one.quantity) for one in self.lines.values()), self.order.currency)


@dataclass
class HeldBill:
    kind: str
    order: PurchaseOrder
    key: str
    number: str
    reference: str
    amount: Money
    state: str
    booked_on: date


@dataclass
class HeldPayment:
    asked: PaymentOrder
    number: str
    state: str
    changed_at: datetime


def sum_of(amounts: object, currency: str) -> Money:
    result = zero(currency)
    for amount in amounts:  # type: ignore[attr-defined]
        result = result + amount
    return result.rounded()


def order_receipt(held: HeldOrder, key: str, *, already: bool) -> ErpReceipt:
    return ErpReceipt(
        system="fake",
        kind="erp_order",
        id=held.number,
        number=held.number,
        key=key,
        state=held.state,
        amount=held.amount,
        already=already,
    )


def bill_receipt(bill: HeldBill, *, already: bool, related: tuple[str, ...] = ()) -> ErpReceipt:
    return ErpReceipt(
        system="fake",
        kind=bill.kind,
        id=bill.number,
        number=bill.number,
        key=bill.key,
        state=bill.state,
        amount=bill.amount,
        already=already,
        related=related,
    )


def discount_key(invoice_key: str) -> str:
    return f"{invoice_key}/discount"


def memo_key(posting: InvoicePosting) -> str:
    return f"{posting.key}/debit-memo"


def document(kind: str, number: str, state: str, key: str, amount: Money | None, reference: str) -> ErpDocument:
    return ErpDocument(kind=kind, id=number, number=number, state=state, key=key, amount=amount, reference=reference)
