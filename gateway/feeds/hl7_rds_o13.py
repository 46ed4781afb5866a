"""Reads what a pharmacy dispensed (HL7 RDS^O13, before 2.4 RDS^O01; v2.3 to 2.8 chapter 4A.3.8 and 4A.4.5): uses of its stock.

Each RXD is one event, named by ORC-3 (the pharmacy's order number) with RXD-1 (which dispense of it). ORC-1 (table 0119): RE and NW
are dispenses; CA, OC, CR, DC, OD and DR take back the dispense that stands in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from canonical.usage import UsageEvent
from formats.hl7 import Message, Part, Segment
from gateway import hl7_usage as usage
from gateway.mapping import Tongue

DISPENSED: Final = frozenset({"RE", "NW", "RF", "OK", "RO"})
TAKEN_BACK: Final = frozenset({"CA", "OC", "CR", "DC", "OD", "DR"})
MOST_LOTS: Final = 50


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[UsageEvent, ...]:
    """Every dispense of the message, and every one taken back, in their order.

    Raises:
        Malformed: something that cannot be read, with its path; an order control only a person can decide on.
    """
    about = usage.Occasion(message, Tongue(sender, mappings))
    found: list[UsageEvent] = []
    for part in message.groups("ORC"):
        dispensed = part.groups("RXD")
        kind = _kind(part.all("ORC")[0]) if dispensed else ""
        for one in dispensed:
            found += _events(about, part.all("ORC")[0], one, kind)
    if not found and not any(one.name == "RXD" for one in message):
        raise Malformed("RXD is missing: nothing was dispensed", path="RXD", code="segment-missing")
    if not found:  # dispensed without an order to name it by
        first = message.all("RXD")[0]
        raise Malformed(f"ORC is missing: {usage.at(first, 1)} is of which order?", path="ORC", code="segment-missing")
    return tuple(found)


def _kind(orc: Segment) -> str:
    control, path = orc.required(1, 0).strip(), usage.at(orc, 1)
    if control in DISPENSED:
        return "use"
    if control in TAKEN_BACK:
        return "void"
    text = f"{path}: {usage.shown(control, 10)} neither dispenses nor takes back: a person decides"
    raise Malformed(text, path=path, code="not-automatic")


def _events(about: usage.Occasion, orc: Segment, part: Part, kind: str) -> Iterator[UsageEvent]:
    rxd, tongue = part.segments[0], about.tongue
    number = rxd_number(orc, rxd)
    used_at = about.at(rxd, 3)
    if used_at is None:
        rxd.required(3)
    codes = [(rxd.value(2, place).strip(), usage.at(rxd, 2)) for place in (1, 4)]
    codes += [
        (rxd.value(25, 1, repetition=n).strip(), usage.at(rxd, 25)) for n in range(1, len(rxd.repetitions(25)) + 1)
    ]
    found = usage.item(tongue, codes)
    if found is None:
        return
    if not found[0]:
        raise Malformed(f"{usage.at(rxd, 2)}: what was dispensed?", path=usage.at(rxd, 2), code="field-missing")
    amount = usage.amount(rxd, 4)
    if amount < 0:
        raise Malformed(f"{usage.at(rxd, 4)}: less than nothing was dispensed", path=usage.at(rxd, 4))
    said: dict[str, Any] = {
        "sequence": rxd.whole(1) if rxd.value(1) else 1,
        "kind": kind,
        "item": found[0],
        "description": usage.shown(rxd.value(2, 2), 2000),
        "unit": usage.unit(tongue, rxd.value(5, 1)),
        "location": _location(about, rxd),
        "used_at": used_at,
    }
    lots = _lots(rxd, amount)
    for each, production in lots:
        own = f"{number}^{production.lot}" if len(lots) > 1 else number  # a name for each lot of one dispense
        one = usage.production(part, production)
        whole = said | {
            "amount": each,
            "device": one.device,
            "barcode_unread": one.unread,
            "lot": one.lot,
            "serial": one.serial,
            "expires": one.expires,
        }
        if kind == "void":
            whole |= {"voids_number": usage.name(own, usage.at(orc, 3)), "voids_sequence": said["sequence"]}
            whole["amount_stated"] = True
            own = f"{own}^{orc.value(1).strip()}"
        yield about.event(own, usage.at(orc, 3), **whole)


def rxd_number(orc: Segment, rxd: Segment) -> str:
    """ORC-3, else the prescription number (RXD-7), else the order's (ORC-2)."""
    return orc.value(3, 1).strip() or rxd.value(7, 1).strip() or orc.value(2, 1).strip()


def _lots(rxd: Segment, amount: Decimal) -> list[tuple[Decimal, usage.Production]]:
    """How many of each lot (RXD-18, its expiry beside it in RXD-19).

    Raises:
        Malformed: several lots, and nothing says how many of each.
    """
    where, count = usage.at(rxd, 18), len(rxd.repetitions(18))
    if count > MOST_LOTS:
        raise Malformed(f"{where}: {count} lots in one dispense", path=where, code="data-invalid")
    found: dict[str, usage.Production] = {}
    for n in range(1, max(1, count) + 1):
        expires = usage.last_day(rxd.moment(19, repetition=n), usage.at(rxd, 19))
        lot = usage.lot(rxd.value(18, repetition=n), where)
        found.setdefault(lot, usage.Production(lot=lot, expires=expires))
    lots = [one for lot, one in found.items() if lot] or [found[""]]
    if len(lots) > 1 and amount != len(lots):  # as many as lots: one of each, for each was used
        raise Malformed(
            f"{where}: {len(lots)} lots, and nothing says how many of each: send an RXD for each",
            path=where,
            code="data-invalid",
        )
    each = amount if len(lots) == 1 else Decimal(1)
    return [(each, one) for one in lots]


def _location(about: usage.Occasion, rxd: Segment) -> str:
    """Where it was taken from: RXD-27 (packed there), RXD-26, RXD-13 (went there) and PV1-3 by the sender's table; else RXD-27 or
    RXD-26 as written; else the sender's own; else RXD-13, PV1-3."""
    packed = [code for field in (27, 26) if (code := rxd.value(field, 1).strip())]
    ward, bed = usage.places(rxd, 13), usage.places(about.message.first("PV1"), 3)
    return usage.location(about.tongue, [*packed, *ward, *bed], packed, [*ward[-1:], *bed[-1:]])
