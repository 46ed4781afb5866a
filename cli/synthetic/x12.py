"""Invented suppliers' X12 004010 documents: acknowledgements (855), ship notices (856), invoices (810), catalogues (832)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from cli.synthetic.hospital import GOODS, SUPPLIER_NAMES, Chance, Good, moment_of, tag_of
from formats.x12 import Envelope, Segment, segment, write

SENDER: Final = ("ZZ", "ALPINEMED")
RECEIVER: Final = ("ZZ", "FASCIANGH")

Line = tuple[int, Good, int]
"""Line number, what, how many."""


def interchange(seed: int | str, number: int, kind: str, *, first: date, at: float) -> bytes:
    """One interchange with one document of that kind; its control numbers are the message's number."""
    chance, when = Chance(seed, kind, number), moment_of(first, at)
    envelope = Envelope(SENDER, RECEIVER, number, when, usage="T")
    lines = [(place, chance.one(GOODS), chance.number(1, 40)) for place in range(1, chance.number(1, 4) + 1)]
    return write(envelope, [(kind, KINDS[kind](chance, f"{tag_of(seed)}-{number}", when, lines))])


def _acknowledgement(chance: Chance, number: str, when: datetime, lines: Sequence[Line]) -> list[Segment]:
    body = [segment("BAK", "00", "AD", f"PO-{number}", f"{when:%Y%m%d}", "", "", "", f"SO-{number}")]
    due = f"{when + timedelta(days=3):%Y%m%d}"
    for place, good, count in lines:
        body.append(_ordered("PO1", place, good, count))
        short = chance.random() < 0.2
        body.append(segment("ACK", "IB" if short else "IA", str(count), good.unit, "068", due))
    return [*body, segment("CTT", str(len(lines)))]


def _ship_notice(chance: Chance, number: str, when: datetime, lines: Sequence[Line]) -> list[Segment]:
    body = [
        segment("BSN", "00", f"SH-{number}", f"{when:%Y%m%d}", f"{when:%H%M}", "0001"),
        segment("DTM", "011", f"{when:%Y%m%d}"),
        segment("HL", "1", "", "S"),
        segment("REF", "CN", f"TEST{chance.number(10**9, 10**10 - 1)}"),
        segment("HL", "2", "1", "O"),
        segment("PRF", f"PO-{number}"),
    ]
    for place, good, count in lines:
        body += [
            segment("HL", str(place + 2), "2", "I"),
            segment("LIN", str(place), "VC", good.catalogue),
            segment("SN1", "", str(count), good.unit),
            segment("REF", "LT", f"LOT{chance.number(10, 99)}"),
        ]
    return [*body, segment("CTT", str(len(lines) + 2))]


def _invoice(chance: Chance, number: str, when: datetime, lines: Sequence[Line]) -> list[Segment]:
    body = [
        segment("BIG", f"{when:%Y%m%d}", f"INV-{number}", "", f"PO-{number}", "", "", "DI"),
        segment("CUR", "SE", "USD"),
    ]
    cents = 0
    for place, good, count in lines:
        body.append(_ordered("IT1", place, good, count))
        cents += good.price * count
    freight = chance.number(0, 3) * 850
    body.append(segment("TDS", str(cents + freight)))
    if freight:
        body.append(segment("SAC", "C", "D240", "", "", str(freight)))
    return [*body, segment("CTT", str(len(lines)))]


def _catalogue(chance: Chance, number: str, when: datetime, lines: Sequence[Line]) -> list[Segment]:
    body = [
        segment("BCT", "PC", f"CAT-{number}", "1", "", "", "", "", "", "", "00"),
        segment("DTM", "007", f"{when + timedelta(days=30):%Y%m%d}"),
        segment("CUR", "SE", "USD"),
        segment("N1", "SE", SUPPLIER_NAMES["ALPINE"], "91", "ALPINE"),
    ]
    goods = {good.code: (place, good) for place, good, _ in lines}
    for place, good in goods.values():
        price = _dollars(good.price + chance.number(-20, 40))
        body += [
            segment("LIN", str(place), "VC", good.catalogue, "BP", good.code),
            segment("PID", "F", "", "", "", good.name),
            segment("PO4", str(good.pieces), "1", "EA"),
            segment("CTP", "", "CON", price, "1", good.unit),
        ]
    return [*body, segment("CTT", str(len(goods)))]


def _ordered(name: str, place: int, good: Good, count: int) -> Segment:
    return segment(name, str(place), str(count), good.unit, _dollars(good.price), "", "VC", good.catalogue)


def _dollars(cents: int) -> str:
    return str(Decimal(cents) / 100)


KINDS: Final[Mapping[str, Callable[[Chance, str, datetime, Sequence[Line]], list[Segment]]]] = {
    "855": _acknowledgement,
    "856": _ship_notice,
    "810": _invoice,
    "832": _catalogue,
}
