"""Writes what a directory is told of a clinician: HL7 MFN^M02, or the PMU event that fits.

HL7 v2.5.1 chapter 8.7 (MFN^M02: MFI, MFE, STF, PRA) and 15.3 (PMU^B01 add, B02 update, B04 activate, B05 deactivate, B06 terminate);
15.4.5 (PRA-7, data type PRI: privileges), 15.4.8 (STF). A facility of several is told in STF-12 (DIN: since when at which
institution). The same wish written under the same number is the same bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from canonical.access import Held, Wanted
from canonical.people import ClinicianRecord
from canonical.senders import Channel
from formats.hl7_header import structure_of
from formats.hl7_write import Field, Repetition, header_segment, segment, write

Deed = Literal["add", "update", "activate", "deactivate", "terminate"]
MASTER_FILE: Final = ("PRA", "Practitioner master file", "HL70175")
ACTIONS: Final[dict[Deed, str]] = {  # table 0180
    "add": "MAD",
    "update": "MUP",
    "activate": "MAC",
    "deactivate": "MDC",
    "terminate": "MDC",
}
EVENTS: Final[dict[Deed, str]] = {
    "add": "B01",
    "update": "B02",
    "activate": "B04",
    "deactivate": "B05",
    "terminate": "B06",
}
OURS: Final = "FASCIA"


def mfn_m02(wanted: Wanted, deed: Deed, channel: Channel, control: str, at: datetime) -> bytes:
    """A master file of one practitioner. ``control``: MSH-10; ``at``: when it was written."""
    key: Repetition = (wanted.person, None, OURS)
    return write(
        [
            _header(("MFN", "M02", "MFN_M02"), channel, control, at),
            segment("MFI", {1: MASTER_FILE, 3: "UPD", 4: at, 6: "AL"}),
            segment("MFE", {1: ACTIONS[deed], 2: control, 3: at, 4: key, 5: "CE"}),
            *_staff(wanted, key),
        ]
    )


def pmu(wanted: Wanted, deed: Deed, channel: Channel, control: str, at: datetime) -> bytes:
    """The personnel management event that fits."""
    event = EVENTS[deed]
    head = _header(("PMU", event, structure_of("PMU", event)), channel, control, at)
    return write([head, segment("EVN", {1: event, 2: at, 6: at}), *_staff(wanted, (wanted.person, None, OURS))])


def _header(kind: tuple[str, str, str], channel: Channel, control: str, at: datetime) -> str:
    return header_segment(
        {
            3: channel.sending_application or OURS,
            4: channel.sending_facility or channel.facility,
            5: channel.receiving_application,
            6: channel.receiving_facility,
            7: at,
            9: kind,
            10: control,
            11: "P",
            12: channel.version,
            18: "UNICODE UTF-8",
        }
    )


def _staff(wanted: Wanted, key: Repetition) -> list[str]:
    who, held = wanted.record, wanted.held
    stf: dict[int, Field] = {
        1: key,
        2: [(wanted.person, None, None, OURS, "EI")],
        3: (who.name.family, who.name.given, who.name.middle, who.name.suffix, who.name.prefix),
        6: who.birth_date,
        7: "A" if wanted.active else "I",
        8: [(one.position.department, None, "L") for one in held if one.position.department] or None,
        10: who.phone or None,
        12: [(one.starts, (one.facility, None, "L")) for one in held if one.starts] or None,
        13: [(one.ends, (one.facility, None, "L")) for one in held if one.ends] or None,
        15: who.email or None,
        18: held[0].position.title if held else None,
    }
    pra: dict[int, Field] = {
        1: key,
        6: _numbers(who) or None,
        7: [one for at in held for one in _privileges(at)] or None,
    }
    return [segment("STF", stf), segment("PRA", pra)]


def _numbers(who: ClinicianRecord) -> list[Repetition]:
    """PRA-6 (PLN): number, kind (table 0338), state, until when."""
    found: list[Repetition] = [(who.npi, "NPI")] if who.npi else []
    found += [(one.number, "SL", one.state, one.expires) for one in who.licences]
    found += [(one.number, "DEA", one.state or None, one.expires) for one in who.dea]
    return found


def _privileges(held: Held) -> list[Repetition]:
    """PRA-7 (PRI): what may be done, until when, since when, where."""
    return [
        (scope.procedures or scope.service or "all", scope.service or None, scope.ends, scope.starts, held.facility)
        for scope in held.privileges
    ]
