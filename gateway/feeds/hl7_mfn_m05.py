"""Reads a location master file (HL7 MFN^M05, v2.4 to 2.8 chapter 8.8: LOC, LDP): wards and stores, opened, renamed, closed."""

from __future__ import annotations

from datetime import date

from canonical.catalogue import LocationNotice, MasterFile
from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from formats.hl7 import Message, Part, Segment
from gateway.hl7_master_files import about, at, header, needed, rows
from gateway.mapping import Tongue


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[MasterFile, ...]:
    """The file with its locations; rows that cannot be read stand apart with their place.

    Raises:
        Malformed: it is no master file with rows.
    """
    tongue = Tongue(sender, mappings)
    file, since = header(message, tongue)
    locations, bad = rows(message, lambda part, mfe: _location(part, mfe, since, tongue))
    return (file.model_copy(update={"kind": "locations", "locations": locations, "bad_rows": bad}),)


def _location(part: Part, mfe: Segment, since: date | None, tongue: Tongue) -> LocationNotice:
    loc = needed(part, mfe, "LOC")
    ldp = part.first("LDP")
    code = tongue.code("location", _place(loc), at(loc, 1))
    if code is None:
        raise Malformed(f"{at(loc, 1)} is required: which location is it?", path=at(loc, 1), code="data-invalid")
    return LocationNotice.model_validate(
        {
            **about(mfe, since),
            "location": code,
            "name": loc.value(2).strip(),
            "kind": loc.value(3, 1).strip(),
            "department": tongue.code("department", ldp.value(2, 1), at(ldp, 2)) if ldp else None,
            "cost_centre": tongue.code("cost_centre", ldp.value(12, 1), at(ldp, 12)) if ldp else None,
            "active": {"A": True, "I": False}.get(ldp.value(6).strip()) if ldp else None,
        }
    )


def _place(loc: Segment) -> str:
    """Point of care, room and bed of a PL, as far as they were sent: ``4EAST-12``."""
    return "-".join(filter(None, (loc.value(1, number).strip() for number in (1, 2, 3))))
