"""Reads a staff or practitioner master file (HL7 MFN^M02, v2.3 to 2.8 chapter 8.6 and 8.5.2: MFE, STF, PRA): an HR event a row.

MFE-1 (table 0180): MAD adds, MUP updates (on leave where STF-20 says so), MDL deletes what was entered in error, MDC deactivates,
MAC activates. It holds from MFE-3, else STF-12 (MAD) or STF-13 (MDC), else from the file's day. MFE-4, the row's key, is STF-1 once
more (8.5.2.4). A row that cannot be read stands apart, and keeps no other from being taken.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from pydantic import ValidationError

from canonical.base import Canonical, in_words
from canonical.catalogue import BadRow
from canonical.errors import Malformed
from canonical.hr_ports import HrRowsApart
from canonical.people import HrEvent, HrKind
from canonical.senders import Mappings, Sender
from formats.hl7 import Message, Part, Segment
from gateway.hl7_people import Person, at, event_of, said_at
from gateway.mapping import Tongue
from gateway.people_codes import urgent

KINDS: Final[dict[str, HrKind]] = {
    "MAD": "hire",
    "MUP": "update",
    "MDL": "delete",
    "MDC": "deactivate",
    "MAC": "activate",
}
FILES: Final = ("PRA", "STF")  # table 0175: practitioners, staff


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
    """The events of the file's rows, named by the message's number and the row's (MSH-10, MFE-2), then the rows that cannot be read.

    Raises:
        Malformed: it is no file of staff, or has no row that can be read; the first reason, with its place.
    """
    tongue, mfi = Tongue(sender, mappings), message.first("MFI")
    if mfi is None or mfi.value(1, 1).strip() not in FILES:
        raise Malformed("MFI-1 is neither PRA nor STF (table 0175)", path="MFI-1", code="data-invalid")
    parts = message.groups("MFE")
    if not parts:
        raise Malformed("MFE is missing: the master file has no rows", path="MFE", code="data-invalid")
    events: list[HrEvent] = []
    bad: list[BadRow] = []
    wrong: Malformed | None = None
    for part in parts:
        mfe = part.segments[0]
        try:
            events.append(_event(message, mfi, mfe, part, tongue))
        except Malformed as no:
            wrong = wrong or no
            bad.append(BadRow(row=_name(mfe), path=no.path or at(mfe, 0), reason=no.message[:2000]))
        except ValidationError as no:
            problem = no.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(one) for one in problem["loc"])
            reason = f"{at(mfe, 0)}: {where}: {in_words(problem['msg'])}"
            wrong = wrong or Malformed(reason, path=at(mfe, 0), code="data-invalid")
            bad.append(BadRow(row=_name(mfe), path=at(mfe, 0), reason=reason))
    if not events and wrong is not None:
        raise wrong
    return (*events, HrRowsApart(rows=tuple(bad))) if bad else tuple(events)


def ends_at_once(message: Message, sender: Sender, mappings: Mappings) -> bool:
    """Whether a row of it says that somebody's access ends now; reads event and reason of the rows alone."""
    tongue = Tongue(sender, mappings)
    return any(_ends_at_once(part, tongue) for part in message.groups("MFE"))


def _ends_at_once(part: Part, tongue: Tongue) -> bool:
    kind, stf = KINDS.get(part.segments[0].value(1, 0).strip()), part.first("STF")
    return kind is not None and stf is not None and urgent(tongue, kind, stf.value(38, 1).strip())


def _event(message: Message, mfi: Segment, mfe: Segment, part: Part, tongue: Tongue) -> HrEvent:
    code = mfe.required(1, 0).strip()
    if code not in KINDS:
        raise Malformed(f"{at(mfe, 1)}: {code[:10]} is no event of a row", path=at(mfe, 1), code="data-invalid")
    kind = KINDS[code]
    person = Person.of(message, part, tongue).here(kind)
    if (key := mfe.value(4, 1, 1).strip()) and (own := person.stf.value(1, 1, 1).strip()) and key != own:
        raise Malformed(f"{at(mfe, 4)} names somebody else than STF-1 of its row", path=at(mfe, 4), code="data-invalid")
    standing, _ = person.employment()
    reason = person.stf.value(38, 1).strip()
    if standing == "leave" and kind in ("update", "deactivate") and not urgent(tongue, kind, reason):
        kind = "leave"
    elif standing == "return" and kind in ("update", "activate"):
        kind = "return"
    entered: datetime = said_at(message, *((mfe, 6) if mfe.value(6) else (mfi, 4)), tongue)
    number = f"{message.header.control}/{_name(mfe)}"
    effective = _holds_from(person, kind, mfe, mfi) or entered.date()
    return event_of(person, kind, number, entered, effective, key=key, reason=reason)


def _holds_from(person: Person, kind: HrKind, mfe: Segment, mfi: Segment) -> date | None:
    stated = person.begins() if kind == "hire" else person.ends() if kind == "deactivate" else None
    return mfe.day(3) or stated or mfi.day(5)


def _name(mfe: Segment) -> str:
    return mfe.value(2).strip()[:40] or str(mfe.sequence)
