"""Reads a supplier's answer to a change of an order, or its own proposal for one (X12 865, 004010)."""

from __future__ import annotations

from canonical.base import Money, Quantity
from canonical.errors import Malformed
from canonical.purchasing import AcknowledgedLine, LineAcknowledgement, OrderAcknowledgement
from formats.x12 import Document, Segment
from formats.x12_sections import (
    SUPPLIERS_NUMBER,
    Section,
    chosen,
    dates,
    first_component,
    line_number,
    path,
    price_unit,
    required,
    split,
)
from formats.x12_values import day, real, unit

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
    quantity = None
    if poc[3]:
        quantity = Quantity(value=real(poc[3], path(poc, 3)), unit=unit(first_component(poc[5]) or "EA"))
    return AcknowledgedLine(
        number=line_number(poc[1]),
        supplier_item=chosen(poc.pairs(8), SUPPLIERS_NUMBER),
        quantity=quantity,
        unit_price=Money(amount=real(poc[6], path(poc, 6)), currency=currency) if poc[6] else None,
        price_unit=price_unit(poc[7]),
        acknowledgements=tuple(_acknowledgement(line, one) for one in line.all("ACK")),
        change_code=poc[2].strip(),
    )


def _acknowledgement(line: Section, ack: Segment) -> LineAcknowledgement:
    follows = line.rest[line.rest.index(ack) + 1 :][:1]
    quantity = Quantity(value=real(ack[2], path(ack, 2)), unit=unit(ack[3] or "EA")) if ack[2] else None
    return LineAcknowledgement(
        code=ack[1].strip(),
        quantity=quantity,
        dated=day(ack[5], path(ack, 5)) or next(iter(dates(follows).values()), None),
        supplier_item=chosen(ack.pairs(7), SUPPLIERS_NUMBER),
    )
