"""An order, a change and a remittance to send in tests."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from canonical.base import Money, Quantity
from canonical.invoicing import Invoice, PaymentOrder, Remittance
from canonical.parties import Partner
from canonical.purchasing import LineChange, OrderChange, OrderLine, PurchaseOrder

PARTNER = Partner(code="ALPINE", id="ALPINEMED", our_id="FASCIANGH")


def usd(amount: str) -> Money:
    """An amount."""
    return Money(amount=Decimal(amount))


def order(number: str = "PO-20001", price: str = "18.75", description: str = "Glove, nitrile") -> PurchaseOrder:
    """An order of two lines, in boxes and each."""
    return PurchaseOrder(
        facility="NGH",
        number=number,
        supplier="ALPINE",
        ship_to="LOC-SURG",
        department="surgery",
        cost_centre="CC-4100",
        requester="E-1001",
        contract="CT-77",
        ordered_on=date(2026, 11, 2),
        needed_by=date(2026, 11, 9),
        lines=(
            OrderLine(
                id="1",
                number=1,
                requisition_line="1",
                item="ITM-1001",
                description=description,
                supplier_item="ALP-1001",
                quantity=Quantity(value=Decimal(4), unit="BX"),
                base_units=100,
                unit_price=usd(price),
                contract="CT-77",
            ),
            OrderLine(
                id="2",
                number=2,
                requisition_line="2",
                item="ITM-1002",
                supplier_item="ALP-1002",
                quantity=Quantity(value=Decimal("24"), unit="EA"),
                unit_price=usd("0.333333"),
            ),
        ),
    )


def change(sequence: int = 1, *, cancel: bool = False, number: str = "PO-20001") -> OrderChange:
    """A change of both lines: the first ends, the second gets another quantity and price."""
    return OrderChange(
        order=order(number),
        sequence=sequence,
        cancel=cancel,
        dated=date(2026, 11, 4),
        reason="patient J. Doe was sent home",
        lines=(
            LineChange(
                line="1",
                number=1,
                item="ITM-1001",
                supplier_item="ALP-1001",
                quantity=Quantity(value=Decimal(4), unit="BX"),
                unit_price=usd("18.75"),
                ended=True,
            ),
            LineChange(
                line="2",
                number=2,
                item="ITM-1002",
                supplier_item="ALP-1002",
                quantity=Quantity(value=Decimal(12), unit="EA"),
                unit_price=usd("0.35"),
            ),
        ),
    )


def remittance(invoice: str = "INV-7001") -> Remittance:
    """What 93.00 less a debit memo and a discount was paid for."""
    about = order()
    return Remittance(
        order=about,
        invoice=Invoice(
            supplier="ALPINE", number=invoice, invoiced_on=date(2026, 11, 6), order=about.number, total=usd("93.00")
        ),
        payment=PaymentOrder(
            facility="NGH",
            case=about.case_id,
            order=about.number,
            supplier="ALPINE",
            invoice=invoice,
            invoice_key="key",
            amount=usd("81.34"),
            discount=usd("1.66"),
            debit_memo=usd("10.00"),
            pay_on=date(2026, 11, 16),
        ),
        paid_on=date(2026, 11, 16),
    )
