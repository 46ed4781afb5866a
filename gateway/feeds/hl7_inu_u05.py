"""Reads what an analyser used up (HL7 INU^U05, v2.4 to 2.8 chapter 13.3.5 and 13.4.4): uses of reagents and other substances.

Each INV with a consumption quantity (INV-10) is one event: what was used since the analyser last said so. An INV without one says only
what lies there and is no use. It is named by the instrument (EQU-1), its time (EQU-2), the substance (INV-1), its container (INV-4)
and its lot (INV-16), so that the same inventory sent twice is the same use.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from canonical.usage import UsageEvent
from formats.hl7 import Message, Segment
from gateway import hl7_usage as usage
from gateway.mapping import Tongue


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[UsageEvent, ...]:
    """The uses of the message, in their order; none where it only says what lies there.

    Raises:
        Malformed: something that cannot be read, with its path.
    """
    about = usage.Occasion(message, Tongue(sender, mappings))
    if not message.groups("EQU"):
        raise Malformed("EQU is missing: which instrument says so?", path="EQU", code="segment-missing")
    counted: Counter[str] = Counter()
    found: list[UsageEvent] = []
    for part in message.groups("EQU"):
        equ = part.segments[0]
        for inv in part.all("INV"):
            if inv.value(10).strip() and inv.number(10) != 0:
                event = _event(about, equ, inv, counted)
                found += [event] if event is not None else []
    return tuple(found)


def _event(about: usage.Occasion, equ: Segment, inv: Segment, counted: Counter[str]) -> UsageEvent | None:
    tongue = about.tongue
    codes = [(inv.value(1, place).strip(), usage.at(inv, 1)) for place in (1, 4)]
    found = usage.item(tongue, codes)
    if found is None:
        return None
    inv.required(1)
    amount = usage.amount(inv, 10)
    if amount < 0:
        raise Malformed(f"{usage.at(inv, 10)}: less than nothing was used", path=usage.at(inv, 10), code="data-invalid")
    used_at = about.at(equ, 2)
    if used_at is None:
        equ.required(2)
    number = _number(equ, inv)
    counted[number] += 1
    instrument = equ.value(1, 1).strip()
    return about.event(
        number,
        usage.at(equ, 1),
        sequence=counted[number],
        item=found[0],
        description=usage.shown(inv.value(1, 2), 2000),
        amount=amount,
        unit=usage.unit(tongue, inv.value(11, 1)),
        lot=usage.lot(inv.value(16), usage.at(inv, 16)),
        expires=usage.last_day(inv.moment(12), usage.at(inv, 12)),
        location=usage.location(tongue, [instrument], (), [instrument]),
        used_at=used_at,
    )


def _number(equ: Segment, inv: Segment) -> str:
    """One name of what the sender counts by; where it is too long, its beginning and a hash of it all."""
    said = (equ.required(1), equ.required(2), inv.value(1, 1), inv.value(4, 1), inv.value(16))
    text = "/".join(filter(None, (usage.shown(one, 200) for one in said)))
    if len(text) <= usage.LONGEST_CODE:
        return text
    return f"{text[:59]}.{hashlib.sha256(text.encode()).hexdigest()[:20]}"
