"""Builders for the ERP suite: one order of the demonstration hospital, and what becomes of it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from canonical.base import Money
from canonical.invoicing import Invoice, InvoicePosting, PaymentOrder, PostedLine
from canonical.purchasing import LineChange, OrderChange, OrderLine, PurchaseOrder
from tests.build import each, unique, usd

FACILITY = "NGH"
DAY = date(2026, 11, 21)


def an_order(**fields: Any) -> PurchaseOrder:
    """Ten boxes of gloves at 8.40 and four boxes of syringes at 14.80: 143.20."""
    lines = (("1.a", "ITM-1001", "10", "8.40"), ("2", "ITM-1005", "4", "14.80"))
    return PurchaseOrder(
        **(
            {
                "facility": FACILITY,
                "number": unique("PO-"),
                "supplier": "ALPINE",
                "ship_to": "NGH-OR",
                "cost_centre": "CC-4100",
                "ordered_on": DAY,
                "lines": tuple(
                    OrderLine(
                        id=name,
                        number=place,
                        requisition_line=name,
                        item=item,
                        supplier_item=f"ALP-{item}",
                        quantity=each(quantity, "BX"),
                        base_units=100,
                        unit_price=usd(price),
                    )
                    for place, (name, item, quantity, price) in enumerate(lines, start=1)
                ),
            }
            | fields
        )
    )


def a_change(order: PurchaseOrder, *lines: LineChange, sequence: int = 1, **fields: Any) -> OrderChange:
    return OrderChange(order=order, sequence=sequence, lines=lines, dated=DAY, reason="because", **fields)


def line_change(order: PurchaseOrder, name: str, quantity: str, price: str, **fields: Any) -> LineChange:
    line = order.line(name)
    assert line is not None
    return LineChange(
        line=name, number=line.number, item=line.item, quantity=each(quantity, "BX"), unit_price=usd(price), **fields
    )


def a_posting(order: PurchaseOrder, *lines: PostedLine, memo: str = "0", **fields: Any) -> InvoicePosting:
    """An invoice for these lines, or for the whole order as ordered, with freight 10 and tax 2."""
    posted = lines or tuple(posted_line(order, line.id) for line in order.lines)
    goods = sum((line.billed.value * line.billed_price.amount for line in posted), Decimal(0))
    freight, tax = usd("10"), usd("2")
    number = fields.pop("number", unique("INV-"))
    total = Money(amount=goods + freight.amount + tax.amount)
    bill = Invoice(
        **(
            {
                "supplier": order.supplier,
                "number": number,
                "invoiced_on": DAY,
                "order": order.number,
                "freight": freight,
                "tax": tax,
                "total": total,
            }
            | fields
        )
    )
    return InvoicePosting(
        order=order, invoice=bill, lines=posted, freight=freight, tax=tax, debit_memo=usd(memo), posted_on=DAY
    )


def posted_line(
    order: PurchaseOrder, name: str, billed: str = "", accepted: str = "", price: str = "", agreed: str = ""
) -> PostedLine:
    line = order.line(name)
    assert line is not None
    billed = billed or str(line.quantity.value)
    price = price or str(line.unit_price.amount)
    return PostedLine(
        line=name,
        item=line.item,
        billed=each(billed, "BX"),
        accepted=each(accepted or billed, "BX"),
        billed_price=usd(price),
        accepted_price=usd(agreed or price),
    )


def a_payment(posting: InvoicePosting, discount: str = "0", **fields: Any) -> PaymentOrder:
    order = posting.order
    return PaymentOrder(
        **(
            {
                "facility": order.facility,
                "case": order.case_id,
                "order": order.number,
                "supplier": order.supplier,
                "invoice": posting.invoice.number,
                "invoice_key": posting.key,
                "amount": posting.payable - usd(discount),
                "discount": usd(discount),
                "debit_memo": posting.debit_memo,
                "pay_on": DAY,
            }
            | fields
        )
    )
