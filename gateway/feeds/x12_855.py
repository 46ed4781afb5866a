"""Reads a supplier's answer to an order (X12 855, 004010): line by line, what it says it will do.

Codes (BAK02, ACK01, units) are carried as they came: the order's case decides by its table, a person by the rest.
"""

from __future__ import annotations

from canonical.errors import Malformed
from canonical.purchasing import AcknowledgedLine, OrderAcknowledgement
from formats.x12 import Document
from formats.x12_sections import SUPPLIERS_NUMBER, Section, chosen, line_number, path, price_unit, required, split
from formats.x12_values import day
from gateway.x12_answers import acknowledgements, price, quantity

PURPOSES = frozenset({"00", "04", "05", "06", "07"})  # original, change, replace, confirmation, duplicate


def read(document: Document, supplier: str, currency: str = "USD") -> tuple[OrderAcknowledgement, ...]:
    """The acknowledgement in an 855.

    Raises:
        Malformed: a purpose we do not exchange, or a value that cannot be read, with its path.
    """
    before, lines, _ = split(document, "PO1")
    bak = required(before, "BAK")
    if bak[1] not in PURPOSES:
        raise Malformed(f"BAK01 {bak[1]} is not exchanged", path=path(bak, 1), code="unknown-code")
    currency = next((one[2] for one in before.all("CUR")), currency)
    return (
        OrderAcknowledgement(
            supplier=supplier,
            order=bak[3].strip(),
            code=bak[2].strip(),
            acknowledged_on=day(bak[9], path(bak, 9)),
            supplier_reference=bak[8].strip(),
            lines=tuple(_line(line, currency) for line in lines),
        ),
    )


def _line(line: Section, currency: str) -> AcknowledgedLine:
    po1 = line.head
    return AcknowledgedLine(
        number=line_number(po1[1]),
        supplier_item=chosen(po1.pairs(6), SUPPLIERS_NUMBER),
        quantity=quantity(po1, 2, po1[3]),
        unit_price=price(po1, 4, currency),
        price_unit=price_unit(po1[5]),
        acknowledgements=acknowledgements(line),
    )
