"""Reads a supplier's answer to a change of an order, or its own proposal for one (X12 865, 004010)."""

from __future__ import annotations

from canonical.errors import Malformed
from canonical.purchasing import AcknowledgedLine, OrderAcknowledgement
from formats.x12 import Document
from formats.x12_sections import (
    SUPPLIERS_NUMBER,
    Section,
    chosen,
    first_component,
    line_number,
    path,
    price_unit,
    required,
    split,
)
from formats.x12_values import day
from gateway.x12_answers import acknowledgements, price, quantity

PURPOSES = frozenset(
    {"00", "01", "04", "05", "06", "07"}
)  # original, cancellation, change, replace, confirm, duplicate


def read(document: Document, supplier: str, currency: str = "USD") -> tuple[OrderAcknowledgement, ...]:
    """The answer in an 865; ``change_sequence`` is that of our 860 (BCA05).

    Raises:
        Malformed: a purpose we do not exchange, or a value that cannot be read, with its path.
    """
    before, lines, _ = split(document, "POC")
    bca = required(before, "BCA")
    if bca[1] not in PURPOSES:
        raise Malformed(f"BCA01 {bca[1]} is not exchanged", path=path(bca, 1), code="unknown-code")
    currency = next((one[2] for one in before.all("CUR")), currency)
    return (
        OrderAcknowledgement(
            supplier=supplier,
            order=bca[3].strip(),
            code=bca[2].strip(),
            to_change=True,
            change_sequence=bca[5].strip(),
            acknowledged_on=day(bca[10], path(bca, 10)),
            supplier_reference=bca[9].strip(),
            lines=tuple(_line(line, currency) for line in lines),
        ),
    )


def _line(line: Section, currency: str) -> AcknowledgedLine:
    poc = line.head
    return AcknowledgedLine(
        number=line_number(poc[1]),
        supplier_item=chosen(poc.pairs(8), SUPPLIERS_NUMBER),
        quantity=quantity(poc, 3, first_component(poc[5])),
        unit_price=price(poc, 6, currency),
        price_unit=price_unit(poc[7]),
        acknowledgements=acknowledgements(line),
        change_code=poc[2].strip(),
    )
