"""Reads a supplier's invoice (X12 810, 004010): lines, freight, tax, other charges, terms and the total asked for.

TDS01 and SAC05 have two implied decimals; prices and TXI02 carry their point.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from canonical.base import Money, Quantity
from canonical.errors import Malformed
from canonical.invoicing import Invoice, InvoiceLine
from formats.x12 import Document, Segment
from formats.x12_sections import (
    BUYERS_NUMBER,
    SUPPLIERS_NUMBER,
    Section,
    chosen,
    line_number,
    path,
    price_unit,
    references,
    required,
    split,
)
from formats.x12_values import day, implied, real, unit

# Data element 1300, the codes in use; every other charge or allowance is an "other charge".
FREIGHT = frozenset({"D240", "G821", "G830"})  # freight, shipping, shipping and handling
TAX = frozenset({"H750", "H850"})
CREDITS = frozenset({"CN", "CR"})  # BIG07: credit invoice, credit memo
ITEM_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def read(document: Document, supplier: str, currency: str = "USD") -> tuple[Invoice, ...]:
    """The invoice in an 810.

    Raises:
        Malformed: a value that cannot be read, or a charge without an amount, with its path.
    """
    before, lines, after = split(document, "IT1")
    if not lines:  # an invoice of charges only: its total stands with the head
        before, after = _without_lines(before)
    big, tds = required(before, "BIG"), required(after, "TDS")
    currency = next((one[2] for one in before.all("CUR")), currency)
    invoiced_on = day(big[1], path(big, 1))
    if invoiced_on is None:
        raise Malformed("The invoice has no date", path=path(big, 1), code="data-invalid")
    charges = [one for section in (before, *lines, after) for one in section.all("SAC")]
    taxes = after.all("TXI") or [one for line in lines for one in line.all("TXI")]
    tax = _sum(_amount(one) for one in charges if one[2] in TAX)
    tax += _sum(real(one[2], path(one, 2)) for one in taxes if one[2])
    orders = _orders(big, before, lines)
    return (
        Invoice(
            supplier=supplier,
            number=big[2].strip(),
            invoiced_on=invoiced_on,
            order=orders[0] if len(orders) == 1 else big[4].strip(),
            orders=tuple(orders),
            currency=currency,
            lines=tuple(_line(line.head, currency) for line in lines),
            freight=_money([_amount(one) for one in charges if one[2] in FREIGHT], currency),
            tax=Money(amount=tax, currency=currency) if taxes or any(one[2] in TAX for one in charges) else None,
            other_charges=_money([_amount(one) for one in charges if one[2] not in FREIGHT | TAX], currency),
            total=Money(amount=implied(tds[1], path(tds, 1)), currency=currency),
            credit=big[7] in CREDITS,
            **_terms(before.first("ITD"), invoiced_on),
        ),
    )


def _without_lines(whole: Section) -> tuple[Section, Section]:
    at = next((number for number, one in enumerate(whole.rest) if one.name == "TDS"), len(whole.rest))
    return Section(whole.head, whole.rest[:at]), Section(whole.head, whole.rest[at:])


def _orders(big: Segment, before: Section, lines: list[Section]) -> list[str]:
    """Every order the invoice names: in its head, or line by line where it bills several."""
    named = [big[4].strip(), *references(before.rest, "PO")]
    for line in lines:
        named += [*references(line.rest, "PO"), line.head.pairs(6).get("PO", "").strip()]
    return list(dict.fromkeys(name for name in named if name))


def _line(it1: Segment, currency: str) -> InvoiceLine:
    pairs = it1.pairs(6)
    item = chosen(pairs, BUYERS_NUMBER)
    return InvoiceLine(
        number=line_number(it1[1]),
        supplier_item=chosen(pairs, SUPPLIERS_NUMBER),
        item=item if ITEM_CODE.fullmatch(item) else None,
        quantity=Quantity(value=real(it1[2], path(it1, 2)), unit=unit(it1[3])),
        unit_price=Money(amount=real(it1[4], path(it1, 4)), currency=currency),
        price_unit=price_unit(it1[5]),
    )


def _amount(sac: Segment) -> Decimal:
    """A charge, an allowance as less than nothing; "no charge" is zero."""
    if sac[1] == "N":
        return Decimal(0)
    if sac[1] not in ("A", "C"):
        raise Malformed(f"SAC01 {sac[1]} is not exchanged", path=path(sac, 1), code="unknown-code")
    amount = implied(sac[5], path(sac, 5))
    return -amount if sac[1] == "A" else amount


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def _money(amounts: list[Decimal], currency: str) -> Money | None:
    return Money(amount=_sum(amounts), currency=currency) if amounts else None


def _terms(itd: Segment | None, invoiced_on: date) -> dict[str, Decimal | int | None]:
    """Discount and net days; a due date instead of days is counted from the invoice's date."""
    if itd is None:
        return {}
    return {
        "discount_percent": real(itd[3], path(itd, 3)) if itd[3] else None,
        "discount_days": _days(itd, 5, 4, invoiced_on),
        "net_days": _days(itd, 7, 6, invoiced_on),
    }


def _days(itd: Segment, days: int, until: int, invoiced_on: date) -> int | None:
    if itd[days]:
        return int(implied(itd[days], path(itd, days), 0))
    due = day(itd[until], path(itd, until))
    return (due - invoiced_on).days if due else None
