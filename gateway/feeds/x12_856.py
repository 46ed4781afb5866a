"""Reads a supplier's ship notice (X12 856, 004010): what is on its way, in which packages, with lots and expiry dates.

An 856 is a tree of HL segments: shipment, order, tare or pack, item, in whichever nesting the supplier uses. What an item does
not say itself, it has from the levels above it. One notice comes out for each order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from canonical.base import Quantity
from canonical.errors import Malformed
from canonical.purchasing import ShipNotice, ShippedLine
from formats.x12 import Document, Segment
from formats.x12_sections import (
    SUPPLIERS_NUMBER,
    Section,
    chosen,
    dates,
    line_number,
    path,
    references,
    required,
    split,
)
from formats.x12_values import real, unit

PURPOSES = frozenset({"00", "06", "07", "14"})  # original, confirmation, duplicate, advance notification
SHIPPED, EXPECTED, EXPIRES = ("011",), ("017", "067", "002"), ("036", "208")


@dataclass(slots=True)
class _Level:
    section: Section
    parent: _Level | None

    def upwards(self) -> Iterator[Section]:
        level: _Level | None = self
        while level is not None:
            yield level.section
            level = level.parent

    @property
    def order(self) -> str:
        return next((prf[1].strip() for one in self.upwards() for prf in one.all("PRF")), "")


def read(document: Document, supplier: str) -> tuple[ShipNotice, ...]:
    """The notices in an 856, one for each order in it.

    Raises:
        Malformed: a cancelled notice, a broken tree, an item without an order, or a value that cannot be read.
    """
    before, sections, _ = split(document, "HL", closes=("CTT",))
    bsn = required(before, "BSN")
    if bsn[1] not in PURPOSES:
        raise Malformed(f"BSN01 {bsn[1]} is not exchanged", path=path(bsn, 1), code="unknown-code")
    levels = _tree(sections)
    orders: dict[str, list[_Level]] = {}
    for level in levels:
        if level.section.first("SN1") is not None:
            if not level.order:
                head = level.section.head
                raise Malformed("An item stands under no order", path=path(head), code="data-invalid")
            orders.setdefault(level.order, []).append(level)
    if not orders:
        raise Malformed("The notice ships nothing", path="HL", code="data-invalid")
    return tuple(_notice(bsn, before, order, items, levels, supplier) for order, items in orders.items())


def _tree(sections: list[Section]) -> list[_Level]:
    """Levels with their parents; a parent stands before its children."""
    found: dict[str, _Level] = {}
    for section in sections:
        number, above = section.head[1].strip(), section.head[2].strip()
        if number in found or (above and above not in found):
            raise Malformed("The HL levels are not a tree", path=path(section.head, 2), code="data-invalid")
        found[number] = _Level(section, found[above] if above else None)
    return list(found.values())


def _notice(
    bsn: Segment, before: Section, order: str, items: list[_Level], levels: list[_Level], supplier: str
) -> ShipNotice:
    above = {id(section): section for item in items for section in item.upwards()}
    below = {
        id(one.section): one.section
        for one in levels
        if any(id(up) in above for up in one.upwards()) and one.order in ("", order)
    }
    around = list((above | below).values())
    everything = [one for section in (before, *around) for one in section.rest]
    when = dates(one for one in everything if one[1] not in EXPIRES)
    carrier = next((td5[5] or td5[3] for td5 in everything if td5.name == "TD5"), "")
    packages = [man[2].strip() for man in everything if man.name == "MAN" and man[1] in ("GM", "CP", "UC")]
    return ShipNotice(
        supplier=supplier,
        number=bsn[2].strip(),
        order=order,
        shipped_on=next((when[code] for code in SHIPPED if code in when), None),
        expected=next((when[code] for code in EXPECTED if code in when), None),
        carrier=carrier.strip(),
        tracking=", ".join(references(everything, "CN", "2I")[:5]),
        packages=tuple(dict.fromkeys(packages)),
        lines=tuple(_line(item) for item in items),
    )


def _line(level: _Level) -> ShippedLine:
    section = level.section
    sn1, lin = required(section, "SN1"), section.first("LIN")
    pairs = lin.pairs(2) if lin else {}
    expires = dates(section.rest)
    lots = references(section.rest, "LT") or [pairs[code] for code in ("LT",) if code in pairs]
    serials = references(section.rest, "SE") or [pairs[code] for code in ("SN",) if code in pairs]
    return ShippedLine(
        number=line_number(lin[1] if lin and lin[1] else sn1[1]),
        supplier_item=chosen(pairs, SUPPLIERS_NUMBER),
        quantity=Quantity(value=real(sn1[2], path(sn1, 2)), unit=unit(sn1[3])),
        lot=", ".join(lots),
        serial=", ".join(serials),
        expires=next((expires[code] for code in EXPIRES if code in expires), None),
    )
