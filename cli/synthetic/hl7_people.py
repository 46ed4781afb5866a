"""What the staff office says of people who are nobody: PMU^B01 to B08 and the practitioners' file (MFN^M02).

Each member of staff has a role, a day of birth and a National Provider Identifier of tests, the same in all that is said of them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cli.synthetic.hl7_patients import Occasion, Segment, coded
from cli.synthetic.hospital import FACILITY, clinician, npi_of
from formats.hl7_write import Component, Field

ROLES: Final = ("physician", "surgeon", "nurse", "pharmacist")
PRIVILEGES: Final = ("ENDO", "JOINT", "CARDIAC", "ADMIT")
REASONS: Final = ("RESIGNED", "RETIRED", "END-OF-CONTRACT")
ROW_EVENTS: Final = ("MAD", "MUP", "MUP", "MUP", "MDC", "MAC")


def role_of(number: int) -> str:
    """What a member of staff does."""
    return ROLES[number % len(ROLES)]


def pmu(what: Occasion) -> list[Segment]:
    """Somebody is hired, changes, comes and goes, leaves, or has a privilege granted or revoked."""
    planned = what.at + timedelta(days=14)
    event: dict[int, Field] = {1: what.event, 2: what.at}
    if what.event in ("B01", "B04", "B07"):
        event[3] = planned
    if what.event == "B06":
        event[4] = what.chance.one(REASONS)
    if what.event not in ("B07", "B08"):
        return [("EVN", event), *staff(what)]
    privilege = what.chance.one(PRIVILEGES)
    certificate: dict[int, Field] = {
        1: 1,
        2: f"{privilege}-{what.subject}",
        10: coded("PRIV", "Privilege"),
        11: coded(privilege),
        13: " ".join((clinician(what.subject).given, clinician(what.subject).family)),
    }
    if what.event == "B07":
        certificate |= {25: planned, 27: planned + timedelta(days=730)}
    else:
        certificate |= {29: what.at, 30: coded("ENDED")}
    return [("EVN", event), *staff(what), ("CER", certificate)]


def mfn_staff(what: Occasion) -> list[Segment]:
    """The staff office's file of practitioners (M02): a row."""
    file: dict[int, Field] = {
        1: coded("PRA", "Practitioner master file", "HL70175"),
        3: "UPD",
        4: what.at,
        5: what.at,
        6: "NE",
    }
    row: dict[int, Field] = {1: what.chance.one(ROW_EVENTS), 2: f"E{what.number}", 3: what.at, 4: _key(what), 5: "CE"}
    return [("MFI", file), ("MFE", row), *staff(what)]


def staff(what: Occasion) -> list[Segment]:
    """Who it is about."""
    who, key = clinician(what.subject), _key(what)
    job: tuple[Component, ...] = (role_of(what.subject), "CLINICAL")
    person: dict[int, Field] = {
        1: key,
        2: (who.id, None, None, FACILITY, "EI"),
        3: (who.family, who.given),
        5: who.sex,
        6: who.born,
        7: "I" if what.event in ("B05", "B06") else "A",
        19: job,
    }
    return [("STF", person), ("PRA", {1: key, 6: (npi_of(who.number), "NPI")})]


def _key(what: Occasion) -> Field:
    key = clinician(what.subject).id
    return key if what.version == "2.3" else coded(key)
