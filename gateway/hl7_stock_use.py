"""Reads OMS^O05 of a sender that says by it what it took from stock, not what it asks for (``stock_use`` of its row): uses.

HL7 v2.4 to 2.8 chapter 4.11 and 4.13. Each RQD is one event, named by ORC-2 (else ORC-3) with RQD-1; ORC-1 NW, RE and OK are uses, CA,
OC, CR, DC, OD and DR take them back. A barcode, lot or expiry stands in the OBX of its order.
"""

from __future__ import annotations

from typing import Any, Final

from canonical.errors import Malformed
from canonical.usage import UsageEvent
from formats.hl7 import Message, Part, Segment
from gateway import hl7_usage as usage
from gateway.mapping import Tongue

USED: Final = frozenset({"NW", "RE", "OK"})
TAKEN_BACK: Final = frozenset({"CA", "OC", "CR", "DC", "OD", "DR"})


def uses(message: Message, tongue: Tongue) -> tuple[UsageEvent, ...]:
    """Everything taken from stock, and put back, in the order it stands.

    Raises:
        Malformed: something that cannot be read, with its path; an order control only a person can decide on.
    """
    about = usage.Occasion(message, tongue)
    found: list[UsageEvent] = []
    for part in message.groups("ORC"):
        orc = part.all("ORC")[0]
        kind = _kind(orc)
        for taken in part.groups("RQD"):
            event = _event(about, part, orc, taken, kind)
            found += [event] if event is not None else []
    if not found and not any(one.name == "RQD" for one in message):
        raise Malformed("RQD is missing: what was taken?", path="RQD", code="segment-missing")
    return tuple(found)


def _kind(orc: Segment) -> str:
    control, path = orc.required(1, 0).strip(), usage.at(orc, 1)
    if control in USED or control in TAKEN_BACK:
        return "use" if control in USED else "void"
    text = f"{path}: {usage.shown(control, 10)} neither takes nor puts back: a person decides"
    raise Malformed(text, path=path, code="not-automatic")


def _event(about: usage.Occasion, order: Part, orc: Segment, part: Part, kind: str) -> UsageEvent | None:
    rqd, tongue = part.segments[0], about.tongue
    found = usage.item(tongue, [(rqd.value(field, 1).strip(), usage.at(rqd, field)) for field in (4, 3, 2)])
    if found is None:
        return None
    one = usage.production(part)
    if not found[0] and one.device is None and not one.unread:
        path = usage.at(rqd, 2)
        raise Malformed(f"{path}: one of RQD-2, RQD-3 and RQD-4 names the item", path=path, code="field-missing")
    amount = usage.amount(rqd, 5)
    if amount < 0:
        raise Malformed(f"{usage.at(rqd, 5)}: less than nothing was taken", path=usage.at(rqd, 5), code="data-invalid")
    used_at = about.at(orc, 9) or about.at(orc, 15)
    if used_at is None:
        orc.required(9)
    number, sequence = orc.value(2, 1).strip() or orc.value(3, 1).strip(), rqd.whole(1) or 1
    centre = rqd.value(7, 1).strip()
    said: dict[str, Any] = {
        "sequence": sequence,
        "kind": kind,
        "item": found[0],
        "description": next((usage.shown(text, 2000) for field in (4, 2, 3) if (text := rqd.value(field, 2))), ""),
        "device": one.device,
        "barcode_unread": one.unread,
        "amount": amount,
        "unit": usage.unit(tongue, rqd.value(6, 1)),
        "lot": one.lot,
        "serial": one.serial,
        "expires": one.expires,
        "location": _location(about, orc, rqd),
        "used_at": used_at,
        "cost_centre": tongue.code("cost_centre", centre, usage.at(rqd, 7)) if centre else None,
        "wasted": one.wasted,
    }
    if kind == "void":
        said |= {"voids_number": usage.name(number, usage.at(orc, 2)), "voids_sequence": sequence}
        said["amount_stated"] = True
        number = f"{number}^{orc.value(1).strip()}"
    return about.event(number, usage.at(orc, 2), **said)


def _location(about: usage.Occasion, orc: Segment, rqd: Segment) -> str:
    """RQD-9, ORC-13 (where it was entered) and PV1-3 by the sender's table; else RQD-9 as written; the sender's own; ORC-13, PV1-3."""
    to, entered = rqd.value(9, 1).strip(), usage.places(orc, 13)
    bed = usage.places(about.message.first("PV1"), 3)
    return usage.location(about.tongue, [to, *entered, *bed], [to], [*entered[-1:], *bed[-1:]])
