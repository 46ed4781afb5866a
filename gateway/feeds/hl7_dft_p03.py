"""Reads what a theatre, ward or imaging department charges for a patient (HL7 DFT^P03, v2.3 to 2.8 chapter 6.4.3 and 6.5.1): uses.

Each FT1 is one event. FT1-6 (table 0017): CG is a use, CD (or a quantity below nothing) takes back the use FT1-2 names, PY and CO
are money alone. What an FT1 is about is named in FT1-7, FT1-34, FT1-29 (NDC) or FT1-25, and by the barcode in its group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from canonical.usage import UsageEvent
from formats.hl7 import Message, Part, Segment
from gateway import hl7_usage as usage
from gateway.mapping import Tongue

BEHIND: Final = ("DG1", "DRG", "GT1", "IN1", "IN2", "IN3", "ACC")  # what follows the last FT1 and is none of its
MONEY: Final = frozenset({"PY", "CO"})
DISCARDED: Final = "JW"  # HCPCS modifier: drug amount discarded, not administered to any patient


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[UsageEvent, ...]:
    """The uses of the message and what takes uses back, in their order; charges that are no supplies are left out.

    Raises:
        Malformed: something that cannot be read, with its path; a transaction type that only a person can decide on.
    """
    about = usage.Occasion(message, Tongue(sender, mappings))
    parts = message.groups("FT1", until=BEHIND)
    if not parts:
        raise Malformed("FT1 is missing: nothing is charged", path="FT1", code="segment-missing")
    if len(parts) == 1:  # up to 2.3.1, and of one charge later too, what was observed stands before it
        before = [one for one in message if one.name == "OBX" and one.position < parts[0].segments[0].position]
        parts = [Part([*parts[0], *before])]
    charged = Counter(_own(part) for part in parts if part.segments[0].value(6, 1).strip() == "CG")
    credited: set[str] = set()
    last: dict[str, int] = {}  # the use a credit behind it takes back
    events: list[UsageEvent] = []
    for part in parts:
        own = _own(part)
        again = charged[own] > 1 or own in credited  # billed anew behind its credit is another use
        event = _event(about, part, again, last.get(own, 1))
        if event is not None:
            events.append(event)
            if event.kind == "void":
                credited.add(own)
            else:
                last[own] = event.sequence
    return tuple(events)


def _own(part: Part) -> str:
    return part.segments[0].value(2).strip()


def _event(about: usage.Occasion, part: Part, again: bool, before: int) -> UsageEvent | None:
    ft1, tongue = part.segments[0], about.tongue
    if _is_money(ft1):
        return None
    found = usage.item(tongue, _codes(ft1))
    if found is None:
        return None
    production = usage.production(part, usage.Production(wasted=_wasted(ft1)))
    code, where = found
    known = bool(where) and any(tongue.knows("item", sent) for sent, _ in _codes(ft1))
    if tongue.sender.charges == "mixed" and not known and production.device is None and not production.unread:
        return None
    if not code and production.device is None and not production.unread:
        raise Malformed(f"{usage.at(ft1, 7)}: what was used?", path=usage.at(ft1, 7), code="field-missing")
    by_ndc = where == usage.at(ft1, 29) and ft1.number(43) is not None
    field = 43 if by_ndc else 10
    kind = _kind(ft1, field)
    number, sequence = _name(ft1, about.message, again, before, kind)
    used_at = about.at(ft1, 4)
    if used_at is None:
        ft1.required(4)
    said: dict[str, Any] = {
        "sequence": sequence,
        "kind": kind,
        "item": "" if (production.device or production.unread) and tongue.speaks("item") and not known else code,
        "description": usage.shown(ft1.value(7, 2), 2000),
        "device": production.device,
        "barcode_unread": production.unread,
        "amount": abs(usage.amount(ft1, field)) if kind == "use" or ft1.value(field).strip() else Decimal(1),
        "unit": usage.unit(tongue, ft1.value(43, 2, 1) if by_ndc else ""),
        "lot": production.lot,
        "serial": production.serial,
        "expires": production.expires,
        "location": _location(about, ft1),
        "used_at": used_at,
        "procedure_code": _procedure(part, ft1),
        "cost_centre": _cost_centre(tongue, ft1),
        "wasted": production.wasted,
    }
    if kind == "void":
        voided, number = _voided(ft1, number)
        said |= {"voids_number": voided, "voids_sequence": sequence, "amount_stated": bool(ft1.value(field).strip())}
    return about.event(number, usage.at(ft1, 2), **said)


def _codes(ft1: Segment) -> Sequence[usage.Sent]:
    """Each code that may name the item, the likeliest first."""
    places = ((34, 1), (7, 1), (7, 4), (29, 1), (25, 1))
    return [(ft1.value(field, part).strip(), usage.at(ft1, field)) for field, part in places]


def _is_money(ft1: Segment) -> bool:
    """A payment, or an adjustment of no quantity."""
    kind = ft1.value(6, 1).strip()
    return kind in MONEY or (kind == "AJ" and not ft1.value(10).strip())


def _kind(ft1: Segment, field: int) -> str:
    """A use or what takes one back.

    Raises:
        Malformed: another transaction type: an adjustment does not say whether it counts more or instead.
    """
    sent, path = ft1.required(6).strip(), usage.at(ft1, 6)
    if sent == "CD" or (sent == "CG" and usage.amount(ft1, field) < 0):
        return "void"
    if sent == "CG":
        return "use"
    code = "not-automatic" if sent == "AJ" else "unknown-code"
    text = "an adjustment says not what was used in the end: send CD and a new CG" if sent == "AJ" else "CG, CD, PY, CO"
    raise Malformed(f"{path}: {usage.shown(sent, 10)} is no transaction we take: {text}", path=path, code=code)


def _name(ft1: Segment, message: Message, again: bool, before: int, kind: str) -> tuple[str, int]:
    """The sender's number: FT1-2; else its filler order number (FT1-23), else MSH-10, each with FT1-1.

    Charges of one message under one FT1-2, and one that follows its own credit, are told apart by FT1-1; a credit is of the last
    before it.

    Raises:
        Malformed: what takes a use back does not say which.
    """
    own, place = ft1.value(2).strip(), ft1.whole(1) or ft1.sequence
    if own:
        return own, before if kind == "void" else place if again else 1
    if order := ft1.value(23, 1).strip():
        return order, place
    if kind == "void" and not ft1.value(31).strip():
        raise Malformed(f"{usage.at(ft1, 2)}: which charge is taken back?", path=usage.at(ft1, 2), code="field-missing")
    return message.header.control, place


def _voided(ft1: Segment, number: str) -> tuple[str, str]:
    """The number of the use that is taken back, and the number of the taking back.

    FT1-31 refers to it where it is sent; else a credit has the number of its charge, as FT1-2 says, and is named after it.
    """
    if reference := ft1.value(31).strip():
        return usage.name(reference, usage.at(ft1, 31)), number
    return usage.name(number, usage.at(ft1, 2)), f"{number}^CD"


def _location(about: usage.Occasion, ft1: Segment) -> str:
    """FT1-13, FT1-16 and PV1-3 by the sender's table; else FT1-16 as written; else the sender's own; else PV1-3, FT1-13."""
    department, assigned = ft1.value(13, 1).strip(), usage.places(ft1, 16)
    bed = usage.places(about.message.first("PV1"), 3)
    by_table = [department, *assigned, *bed]
    return usage.location(about.tongue, by_table, assigned[-1:], [*bed[-1:], department])


def _cost_centre(tongue: Tongue, ft1: Segment) -> str | None:
    """What the sender's table says of FT1-13; without a row for it, the location's own counts."""
    department = ft1.value(13, 1).strip()
    known = bool(department) and tongue.knows("cost_centre", department)
    return tongue.code("cost_centre", department, usage.at(ft1, 13)) if known else None


def _procedure(part: Part, ft1: Segment) -> str:
    """FT1-25, else the first PR1-3 of its group."""
    return usage.shown(ft1.value(25, 1) or part.value("PR1-3.1"), 40)


def _wasted(ft1: Segment) -> bool:
    """FT1-26: a modifier says that it was opened and thrown away."""
    return any(ft1.value(26, 1, repetition=n).strip() == DISCARDED for n in range(1, len(ft1.repetitions(26)) + 1))
