"""What wards, theatres, laboratories and pharmacies say of their patients, who are nobody: ADT, SIU, ORU, ORM.

Each function gives the segments after MSH as fields by number. A field or segment that the version in question does not have is left
out by whoever writes them (``cli/synthetic/hl7.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from cli.synthetic.hospital import (
    FACILITY,
    PROCEDURES,
    TESTS,
    WARDS,
    Chance,
    Person,
    clinician,
    patient,
)
from formats.hl7_write import Component, Field

Segment = tuple[str, Mapping[int, Field]]


@dataclass(frozen=True, slots=True)
class Occasion:
    """When and about whom a message is; ``number`` is the message's own, ``subject`` the patient's or order's, ``tag`` its seed's."""

    chance: Chance
    number: int
    subject: int
    at: datetime
    version: str
    event: str
    tag: str = ""

    @property
    def old(self) -> bool:
        """Before 2.5, when orders had their timing in ORC-7."""
        return self.version in ("2.3", "2.3.1", "2.4")


def coded(code: str, text: str = "", system: str = FACILITY) -> tuple[Component, ...]:
    """A code with its text and system (CE, CWE)."""
    return (code, text, system)


def pid(who: Person) -> Segment:
    """Who a message is about."""
    fields: dict[int, Field] = {
        1: 1,
        3: (who.id, None, None, FACILITY, "MR"),
        5: (who.family, who.given),
        7: who.born,
        8: who.sex,
        11: (f"{who.number} Example Road", None, "Testville", "ZZ", "00000"),
    }
    return "PID", fields


def pv1(what: Occasion, *, kind: str = "I") -> Segment:
    """Where the patient is."""
    ward = what.chance.one(WARDS)
    bed: Field = (ward, what.chance.number(1, 30), what.chance.one("AB"), FACILITY)
    doctor = clinician(what.chance.number(1, 40))
    attending: Field = (doctor.id, doctor.family, doctor.given)
    return "PV1", {
        1: 1,
        2: kind,
        3: bed,
        7: attending,
        19: (f"V{100_000 + what.subject}", None, None, FACILITY, "VN"),
        44: what.at,
    }


def _timing(what: Occasion) -> Field:
    """When an order is for; from 2.5 on that has a segment of its own."""
    return (None, None, None, what.at, None, "R") if what.old else None


def adt(what: Occasion) -> list[Segment]:
    """A patient comes, moves, changes or goes."""
    who = patient(what.subject)
    kind = "O" if what.event == "A04" else "I"
    evn: Mapping[int, Field] = {1: what.event, 2: what.at}
    if what.event == "A40":
        gone = patient(what.subject % 4000 + 1001)
        return [("EVN", evn), pid(who), ("MRG", {1: (gone.id, None, None, FACILITY, "MR")})]
    segments: list[Segment] = [("EVN", evn), pid(who), pv1(what, kind=kind)]
    if what.event in ("A01", "A04", "A08") and what.chance.random() < 0.4:
        _, name, unit, low, high = test = what.chance.one(TESTS)
        found = Decimal(what.chance.number(low * 10, high * 10)) / 10
        seen: Mapping[int, Field] = {
            1: 1,
            2: "NM",
            3: coded(test[0], name, "LN"),
            4: 1,
            5: found,
            6: coded(unit, "", "UCUM"),
            11: "F",
            14: what.at,
        }
        segments.append(("OBX", seen))
    return segments


def siu(what: Occasion) -> list[Segment]:
    """An operation is booked, moved or called off."""
    code, name, minutes = what.chance.one(PROCEDURES)
    begins = what.at.replace(minute=0, second=0) + timedelta(days=what.chance.number(1, 30))
    booker = clinician(what.chance.number(41, 60))
    by: Field = (booker.id, booker.family, booker.given)
    schedule: dict[int, Field] = {
        1: (f"B{what.subject}", "ORSYS"),
        6: coded("BOOKED", "Booked"),
        7: coded(code, name),
        9: minutes,
        10: coded("MIN", "Minutes", "L"),
        11: (None, None, None, begins, begins + timedelta(minutes=minutes)),
        16: by,
        20: by,
    }
    if not what.old:
        del schedule[11]
    room: Field = ("OR", what.chance.number(1, 8), None, FACILITY)
    return [
        ("SCH", schedule),
        pid(patient(what.subject)),
        pv1(what),
        ("RGS", {1: 1}),
        ("AIS", {1: 1, 3: coded(code, name), 4: begins}),
        ("AIL", {1: 1, 3: room, 4: coded("ROOM", "Operating room")}),
    ]


def oru(what: Occasion) -> list[Segment]:
    """A laboratory's findings."""
    numbers = (f"L{what.number}", "LAB")
    some = what.chance.number(1, len(TESTS))
    order: dict[int, Field] = {1: "RE", 2: (f"O{what.number}",), 3: numbers, 5: "CM", 7: _timing(what)}
    asked: dict[int, Field] = {
        1: 1,
        2: (f"O{what.number}",),
        3: numbers,
        4: coded("PANEL", "Blood panel"),
        7: what.at,
        22: what.at,
        25: "F",
        27: _timing(what),
    }
    segments: list[Segment] = [pid(patient(what.subject)), pv1(what)]
    segments += [("ORC", order), ("OBR", asked)]
    for place, (code, name, unit, low, high) in enumerate(TESTS[:some], start=1):
        found = Decimal(what.chance.number(low * 10, high * 10)) / 10
        fields: Mapping[int, Field] = {
            1: place,
            2: "NM",
            3: coded(code, name, "LN"),
            4: place,
            5: found,
            6: coded(unit, "", "UCUM"),
            7: f"{low} - {high}",
            11: "F",
        }
        segments.append(("OBX", fields))
    return segments


def orm(what: Occasion) -> list[Segment]:
    """A ward asks the laboratory for something."""
    number = (f"O{what.number}", "WARD")
    by = clinician(what.chance.number(1, 40))
    order: dict[int, Field] = {1: "NW", 2: number, 7: _timing(what), 9: what.at, 12: (by.id, by.family, by.given)}
    asked: dict[int, Field] = {1: 1, 2: number, 4: coded("PANEL", "Blood panel"), 7: what.at, 27: _timing(what)}
    return [pid(patient(what.subject)), pv1(what), ("ORC", order), ("OBR", asked)]
