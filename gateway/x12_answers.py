"""What a supplier's answers to orders (X12 855) and to changes of them (865) say alike: quantities, prices and ACK segments.

Codes are carried as they came: the order's case decides by its table, a person by the rest.
"""

from __future__ import annotations

from canonical.base import Money, Quantity
from canonical.purchasing import LineAcknowledgement
from formats.x12 import Segment
from formats.x12_sections import SUPPLIERS_NUMBER, Section, chosen, dates, path
from formats.x12_values import day, real, unit


def acknowledgements(line: Section) -> tuple[LineAcknowledgement, ...]:
    """Every ACK of a line, in order.

    Raises:
        Malformed: a quantity or a date that cannot be read, with its path.
    """
    return tuple(_acknowledgement(line, one) for one in line.all("ACK"))


def _acknowledgement(line: Section, ack: Segment) -> LineAcknowledgement:
    """One ACK; its date stands in ACK05 or in the DTM that follows it."""
    follows = line.rest[line.rest.index(ack) + 1 :][:1]
    return LineAcknowledgement(
        code=ack[1].strip(),
        quantity=quantity(ack, 2, ack[3]),
        dated=day(ack[5], path(ack, 5)) or next(iter(dates(follows).values()), None),
        supplier_item=chosen(ack.pairs(7), SUPPLIERS_NUMBER),
    )


def quantity(one: Segment, number: int, code: str) -> Quantity | None:
    """The quantity in element ``number``, in the unit ``code`` says (each, where it says none); None where it is empty.

    Raises:
        Malformed: it is not a number, with its path.
    """
    if not one[number]:
        return None
    return Quantity(value=real(one[number], path(one, number)), unit=unit(code or "EA"))


def price(one: Segment, number: int, currency: str) -> Money | None:
    """The price in an element, None where it is empty.

    Raises:
        Malformed: it is not a number, with its path.
    """
    return Money(amount=real(one[number], path(one, number)), currency=currency) if one[number] else None
