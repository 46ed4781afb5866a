"""Reads what an HR system says of one member of staff (HL7 PMU^B01 to B06, v2.4 to 2.8 chapter 15.3.1 to 15.3.6).

B01 adds, B02 updates (on leave where STF-20 says so), B03 deletes what was entered in error, B04 activates, B05 deactivates, B06 ends.
It holds from STF-12 (B01) or STF-13 (B05, B06), else from when it happened (EVN-6), is planned (EVN-3), or was recorded (EVN-2).
One whose STF-12 or STF-13 names other institutions alone is not of our facility, and is refused.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from canonical.people import HrEvent, HrKind
from canonical.senders import Mappings, Sender
from formats.hl7 import Message, Segment
from gateway.hl7_people import Person, event_of, evn_of, happened, reason_code, said_at, why
from gateway.mapping import Tongue
from gateway.people_codes import urgent

KINDS: Final[dict[str, HrKind]] = {
    "B01": "hire",
    "B02": "update",
    "B03": "delete",
    "B04": "activate",
    "B05": "deactivate",
    "B06": "terminate",
}
AWAY: Final = ("update", "deactivate")  # what leave is told by


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[HrEvent, ...]:
    """The one event of the message, under its own number (MSH-10).

    Raises:
        Malformed: something that cannot be read, with its path.
    """
    tongue = Tongue(sender, mappings)
    kind, evn = KINDS[message.header.event], evn_of(message)
    person = Person.of(message, message, tongue).here(kind)
    standing, _ = person.employment()
    reason = why(person, evn)
    if standing == "leave" and kind in AWAY and not urgent(tongue, kind, reason):
        kind = "leave"
    elif standing == "return" and kind in ("update", "activate"):
        kind = "return"
    recorded = said_at(message, evn, 2, tongue)
    effective = _holds_from(person, kind, evn) or recorded.date()
    return (event_of(person, kind, message.header.control, recorded, effective, reason=reason),)


def ends_at_once(message: Message, sender: Sender, mappings: Mappings) -> bool:
    """Whether it says that somebody's access ends now; reads the reason alone, for a door that has the message cut already."""
    kind, evn, stf = KINDS[message.header.event], message.first("EVN"), message.first("STF")
    code = reason_code(evn, stf) if evn is not None and stf is not None else ""
    return urgent(Tongue(sender, mappings), kind, code)


def _holds_from(person: Person, kind: HrKind, evn: Segment) -> date | None:
    stated = person.begins() if kind == "hire" else person.ends() if kind in ("deactivate", "terminate") else None
    return stated or happened(evn)
