"""What a supplier bills, what of it we accept, and what we pay for it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from urllib.parse import quote

from canonical.base import (
    Canonical,
    Currency,
    FacilityCode,
    InvoiceNumber,
    ItemCode,
    LineId,
    Money,
    OrderNumber,
    Quantity,
    SupplierCode,
    UnitCode,
)
from canonical.purchasing import PurchaseOrder


class InvoiceLine(Canonical):
    """One invoiced line (810 IT1). ``price_unit`` is the unit the price is for."""

    number: int | None = None
    supplier_item: str = ""
    item: ItemCode | None = None
    quantity: Quantity
    unit_price: Money
    price_unit: UnitCode | None = None


class Invoice(Canonical):
    """A supplier's bill. ``total`` is what it asks for in all (810 TDS01), freight and tax within."""

    supplier: SupplierCode
    number: InvoiceNumber
    invoiced_on: date
    order: str = ""
    orders: tuple[str, ...] = ()
    currency: Currency = "USD"
    lines: tuple[InvoiceLine, ...] = ()
    freight: Money | None = None
    tax: Money | None = None
    other_charges: Money | None = None
    total: Money
    discount_percent: Decimal | None = None
    discount_days: int | None = None
    net_days: int | None = None
    credit: bool = False

    @property
    def key(self) -> str:
        """What makes it the same invoice: supplier, number, date and total."""
        return f"{self.supplier}/{self.number}/{self.invoiced_on:%Y%m%d}/{self.total.rounded().amount}{self.total.currency}"


class PostedLine(Canonical):
    """One invoice line as it goes to the ERP: billed, and what of it we accept. Order units; price per order unit."""

    line: LineId
    item: ItemCode
    billed: Quantity
    accepted: Quantity
    billed_price: Money
    accepted_price: Money


class InvoicePosting(Canonical):
    """An invoice the match let through: posted as billed, with a debit memo for what we do not accept."""

    order: PurchaseOrder
    invoice: Invoice
    lines: tuple[PostedLine, ...] = ()
    freight: Money
    tax: Money
    debit_memo: Money
    posted_on: date

    @property
    def key(self) -> str:
        """Our idempotency key outward."""
        return f"{self.order.case_id}/invoice/{self.invoice.number}"

    @property
    def payable(self) -> Money:
        """What is left to pay: the total less the debit memo."""
        return self.invoice.total - self.debit_memo


class PaymentOrder(Canonical):
    """An instruction to pay one posted invoice. ``discount`` is what the terms let us keep.

    ``encoded``: its key carries the invoice's number percent-encoded where that has a slash; those of cases that were under
    way before keep their key.
    """

    facility: FacilityCode
    case: str
    order: OrderNumber
    supplier: SupplierCode
    invoice: InvoiceNumber
    invoice_key: str
    amount: Money
    discount: Money
    debit_memo: Money
    pay_on: date
    attempt: int = 1
    encoded: bool = False

    @property
    def key(self) -> str:
        """Our idempotency key outward; a payment the bank refused is tried again under the next attempt."""
        again = f"/{self.attempt}" if self.attempt > 1 else ""
        encoded = self.encoded and "/" in self.invoice
        return f"{self.case}/payment/{quote(self.invoice, safe='') if encoded else self.invoice}{again}"


class Payment(Canonical):
    """A payment as the ERP reports it: ``processing`` when sent to the bank, ``succeeded`` or ``failed`` afterwards."""

    facility: FacilityCode
    order: OrderNumber | None = None
    key: str
    number: str = ""
    state: str
    amount: Money
    changed_at: datetime


class Remittance(Canonical):
    """What a payment is for, to its supplier (820)."""

    order: PurchaseOrder
    payment: PaymentOrder
    invoice: Invoice
    paid_on: date

    @property
    def key(self) -> str:
        """Our idempotency key outward."""
        return f"{self.order.case_id}/remittance/{self.invoice.number}"
