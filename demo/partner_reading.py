"""What a supplier's order desk reads in the hospital's documents, and what it will not accept in them.

850 (order), 860 (change) and 820 (remittance), X12 4010. A document that lacks something needed is refused with a 997 that says
which segment and element; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation

from demo.x12_plain import Segment, Transaction, element

UNITS = frozenset({"EA", "BX", "CA", "CT", "PK", "DZ", "CS"})
MISSING_SEGMENT, SEGMENT_HAS_ERRORS, UNEXPECTED = "3", "8", "2"
MISSING_ELEMENT, BAD_CODE, BAD_DATE, BAD_CHARACTER = "1", "7", "8", "6"
CHANGES = frozenset({"AI", "CA", "CC", "CE", "CH", "CT", "DI", "NC", "PC", "PQ", "PR", "QD", "QI", "RQ", "RZ"})


@dataclass(frozen=True)
class Fault:
    """One thing wrong: segment, its position (ST is 1), AK304, and element with AK403 where it is about an element."""

    segment: str
    position: int
    code: str
    element: int = 0
    element_code: str = ""

    def told(self) -> list[Segment]:
        """As a 997 says it."""
        told = [["AK3", self.segment, str(self.position), "", self.code]]
        if self.element:
            told.append(["AK4", str(self.element), "", self.element_code])
        return told


@dataclass(frozen=True)
class Line:
    """One line of an order or of a change to it."""

    number: str
    catalogue: str
    quantity: Decimal
    unit: str
    price: Decimal | None
    change: str = ""


@dataclass(frozen=True)
class OrderRead:
    """An 850, or an 860 where ``sequence`` and ``purpose`` say which change of it."""

    number: str
    dated: str
    purpose: str
    ship_to: str
    lines: tuple[Line, ...]
    sequence: str = ""


@dataclass(frozen=True)
class RemittanceRead:
    """An 820: which invoices were paid with how much."""

    reference: str
    amount: Decimal
    paid: tuple[tuple[str, Decimal], ...]


@dataclass
class Checked:
    """The segments of one document as they are read, and the faults found on the way."""

    transaction: Transaction
    faults: list[Fault] = field(default_factory=list)

    def each(self, name: str) -> Iterator[tuple[int, Segment]]:
        """Segments of a name, with their position."""
        return ((at + 2, segment) for at, segment in enumerate(self.transaction.segments) if segment[0] == name)

    def need(self, name: str) -> tuple[int, Segment] | None:
        """The one segment of a name that must be there."""
        found = next(self.each(name), None)
        if found is None:
            self.faults.append(Fault(name, len(self.transaction.segments) + 2, MISSING_SEGMENT))
        return found

    def fault(self, at: int, segment: Segment, number: int, code: str) -> None:
        """An element is wrong."""
        self.faults.append(Fault(segment[0], at, SEGMENT_HAS_ERRORS, number, code))

    def text(self, at: int, segment: Segment, number: int, known: frozenset[str] | None = None) -> str:
        """An element that must be there, and be one of the known codes."""
        value = element(segment, number)
        if not value:
            self.fault(at, segment, number, MISSING_ELEMENT)
        elif known is not None and value not in known:
            self.fault(at, segment, number, BAD_CODE)
        return value

    def day(self, at: int, segment: Segment, number: int) -> str:
        """A date that must be there."""
        value = self.text(at, segment, number)
        try:
            if not re.fullmatch(r"[0-9]{8}", value):
                raise ValueError
            date.fromisoformat(value)
        except ValueError:
            if value:
                self.fault(at, segment, number, BAD_DATE)
        return value

    def decimal(self, at: int, segment: Segment, number: int, *, over: Decimal | None = None) -> Decimal:
        """A number that must be there."""
        value = self.text(at, segment, number)
        try:
            read = Decimal(value)
        except InvalidOperation:
            if value:
                self.fault(at, segment, number, BAD_CHARACTER)
            return Decimal(0)
        if not read.is_finite() or (over is not None and read <= over):
            self.fault(at, segment, number, BAD_CHARACTER)
        return read


def identified(segment: Segment, start: int, qualifier: str) -> str:
    """The value that follows a product id qualifier among the pairs that begin at an element."""
    for at in range(start, len(segment) - 1, 2):
        if segment[at] == qualifier:
            return segment[at + 1]
    return ""


def _counted(checked: Checked, lines: int) -> None:
    found = checked.need("CTT")
    if found is not None and element(found[1], 1) != str(lines):
        checked.fault(found[0], found[1], 1, BAD_CODE)


def _ship_to(checked: Checked) -> str:
    for _, segment in checked.each("N1"):
        if element(segment, 1) == "ST":
            return element(segment, 4) or element(segment, 2)
    return ""


def read_order(transaction: Transaction) -> tuple[OrderRead | None, list[Fault]]:
    """An 850, or what is wrong with it."""
    checked = Checked(transaction)
    heading = checked.need("BEG")
    if heading is None:
        return None, checked.faults
    at, beg = heading
    purpose = checked.text(at, beg, 1, frozenset({"00", "06", "07"}))
    checked.text(at, beg, 2)
    number, dated = checked.text(at, beg, 3), checked.day(at, beg, 5)
    ship_to = _ship_to(checked)
    if not ship_to:
        checked.faults.append(Fault("N1", len(transaction.segments) + 2, MISSING_SEGMENT))
    lines = tuple(_order_line(checked, at, po1) for at, po1 in checked.each("PO1"))
    if not lines:
        checked.faults.append(Fault("PO1", len(transaction.segments) + 2, MISSING_SEGMENT))
    if len({line.number for line in lines}) != len(lines):
        checked.faults.append(Fault("PO1", 0, SEGMENT_HAS_ERRORS, 1, BAD_CODE))
    _counted(checked, len(lines))
    return OrderRead(number, dated, purpose, ship_to, lines), checked.faults


def _order_line(checked: Checked, at: int, po1: Segment) -> Line:
    number = checked.text(at, po1, 1)
    quantity = checked.decimal(at, po1, 2, over=Decimal(0))
    unit = checked.text(at, po1, 3, UNITS)
    price = checked.decimal(at, po1, 4, over=Decimal(-1))
    catalogue = identified(po1, 6, "VC")
    if not catalogue:
        checked.fault(at, po1, 7, MISSING_ELEMENT)
    return Line(number, catalogue, quantity, unit, price)


def read_change(transaction: Transaction) -> tuple[OrderRead | None, list[Fault]]:
    """An 860, or what is wrong with it. BCH01: 01 cancels the order, 04 changes lines."""
    checked = Checked(transaction)
    heading = checked.need("BCH")
    if heading is None:
        return None, checked.faults
    at, bch = heading
    purpose = checked.text(at, bch, 1, frozenset({"01", "04"}))
    checked.text(at, bch, 2)
    number = checked.text(at, bch, 3)
    sequence, dated = element(bch, 5) or element(bch, 4), checked.day(at, bch, 6)
    lines = tuple(_change_line(checked, at, poc) for at, poc in checked.each("POC"))
    if not lines and purpose == "04":
        checked.faults.append(Fault("POC", len(transaction.segments) + 2, MISSING_SEGMENT))
    return OrderRead(number, dated, purpose, _ship_to(checked), lines, sequence), checked.faults


def _change_line(checked: Checked, at: int, poc: Segment) -> Line:
    number = checked.text(at, poc, 1)
    change = checked.text(at, poc, 2, CHANGES)
    quantity = checked.decimal(at, poc, 3) if element(poc, 3) else Decimal(0)
    price = checked.decimal(at, poc, 6) if element(poc, 6) else None
    return Line(number, identified(poc, 8, "VC"), quantity, element(poc, 5), price, change)


def read_remittance(transaction: Transaction) -> tuple[RemittanceRead | None, list[Fault]]:
    """An 820, or what is wrong with it: what is paid must add up to the amount of the payment."""
    checked = Checked(transaction)
    heading = checked.need("BPR")
    if heading is None:
        return None, checked.faults
    at, bpr = heading
    amount = checked.decimal(at, bpr, 2)
    trace = checked.need("TRN")
    reference = checked.text(trace[0], trace[1], 2) if trace else ""
    paid = tuple((checked.text(here, rmr, 2), checked.decimal(here, rmr, 4)) for here, rmr in checked.each("RMR"))
    if not paid:
        checked.faults.append(Fault("RMR", len(transaction.segments) + 2, MISSING_SEGMENT))
    elif sum((value for _, value in paid), Decimal(0)) != amount:
        checked.fault(at, bpr, 2, BAD_CODE)
    return RemittanceRead(reference, amount, paid), checked.faults
