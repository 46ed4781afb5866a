"""Writes an invented hospital's HL7 messages in any version from 2.3 to 2.8.2, as a system of that version would write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

from cli.synthetic import hl7_patients as patients
from cli.synthetic import hl7_people as people
from cli.synthetic import hl7_supply as supply
from cli.synthetic import hl7_uses as uses
from cli.synthetic.hl7_patients import Occasion, Segment
from cli.synthetic.hospital import FACILITY, PATIENTS, STAFF, Chance, mixed, moment_of, tag_of
from formats import hl7_tables as tables
from formats.hl7 import VERSIONS, header_segment, segment, structure_of, write
from formats.hl7_write import Field

Build = Callable[[Occasion], list[Segment]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of message: which system sends it, of what it is about there are so many (0: each is about its own), how often."""

    application: str
    build: Build
    subjects: int = PATIENTS
    weight: int = 1


KINDS: Final[Mapping[str, Kind]] = {
    "ADT^A01": Kind("ADM", patients.adt, weight=8),
    "ADT^A02": Kind("ADM", patients.adt, weight=8),
    "ADT^A03": Kind("ADM", patients.adt, weight=8),
    "ADT^A04": Kind("ADM", patients.adt, weight=10),
    "ADT^A08": Kind("ADM", patients.adt, weight=24),
    "ADT^A40": Kind("ADM", patients.adt),
    "SIU^S12": Kind("ORSYS", patients.siu, weight=3),
    "SIU^S13": Kind("ORSYS", patients.siu, weight=2),
    "SIU^S15": Kind("ORSYS", patients.siu),
    "ORM^O01": Kind("WARDSYS", patients.orm, weight=8),
    "ORU^R01": Kind("LAB", patients.oru, weight=16),
    "RDS^O13": Kind("PHARM", uses.rds, weight=4),
    "RDS^O01": Kind("PHARM", uses.rds, weight=0),
    "DFT^P03": Kind("ORSYS", uses.dft, weight=4),
    "INU^U05": Kind("ANALYZER", uses.inu, subjects=4),
    "PMU^B01": Kind("HR", people.pmu, subjects=STAFF),
    "PMU^B02": Kind("HR", people.pmu, subjects=STAFF),
    "PMU^B03": Kind("HR", people.pmu, subjects=STAFF),
    "PMU^B04": Kind("HR", people.pmu, subjects=STAFF),
    "PMU^B05": Kind("HR", people.pmu, subjects=STAFF),
    "PMU^B06": Kind("HR", people.pmu, subjects=STAFF),
    "PMU^B07": Kind("HR", people.pmu, subjects=STAFF),
    "PMU^B08": Kind("HR", people.pmu, subjects=STAFF),
    "OMS^O05": Kind("ORSYS", supply.oms, subjects=0, weight=2),
    "OMN^O07": Kind("ORSYS", supply.omn, subjects=0),
    "MFN^M02": Kind("HR", people.mfn_staff, subjects=STAFF),
    "MFN^M05": Kind("FACILITIES", supply.mfn_places, subjects=1),
    "MFN^M15": Kind("STORES", supply.mfn_stock, subjects=1),
    "MFN^M16": Kind("ITEMFILE", supply.mfn_items, subjects=1),
}
STARTS_NO_CASE: Final = tuple(
    kind for kind in KINDS if kind[:3] not in ("OMS", "OMN", "MFN", "DFT", "RDS", "INU", "PMU")
)
PEOPLE: Final = tuple(kind for kind in KINDS if kind[:3] == "PMU" or kind == "MFN^M02")


@cache
def has(version: str, kind: str) -> bool:
    """Whether that version has messages of this kind."""
    name, _, event = kind.partition("^")
    known = tables.tables_of(version)
    return bool(known) and tables.structure(known, structure_of(name, event)) is not None


@cache
def versions_of(kind: str) -> tuple[str, ...]:
    """The versions that have messages of this kind."""
    return tuple(version for version in VERSIONS if has(version, kind))


@cache
def _fits(version: str, kind: str) -> frozenset[str]:
    name, _, event = kind.partition("^")
    found = tables.structure(tables.tables_of(version), structure_of(name, event))
    return found.names if found else frozenset()


@cache
def _numbers(version: str, name: str) -> frozenset[int]:
    """The fields of a segment that this version has and has not withdrawn."""
    found = tables.fields(tables.tables_of(version), name)
    rules = found.rules if found else ()
    return frozenset(rule.number for rule in rules if rule is not None and not rule.withdrawn)


def control_of(seed: int | str, number: int) -> str:
    """MSH-10 of the message of that number: at most 20 characters, as 2.3 has it."""
    return f"{tag_of(seed)}{number:09}"


def subject_of(seed: int | str, kind: str, number: int) -> int:
    """Which patient, member of staff or order a message is about."""
    of = KINDS[kind].subjects
    return mixed(seed, number) % of + 1 if of else number


def message(
    seed: int | str,
    number: int,
    kind: str,
    version: str,
    *,
    first: date,
    at: float,
    application: str = "",
    facility: str = "",
) -> bytes:
    """The message of that number, sent ``at`` so many seconds after the first day's beginning."""
    made = KINDS[kind]
    name, _, event = kind.partition("^")
    when = moment_of(first, at)
    subject = subject_of(seed, kind, number)
    what = Occasion(Chance(seed, kind, number), number, subject, when, version, event, tag_of(seed))
    structure = structure_of(name, event)
    head: dict[int, Field] = {
        3: application or made.application,
        4: facility or FACILITY,
        5: "FASCIA",
        6: facility or FACILITY,
        7: when,
        9: (name, event) if version == "2.3" else (name, event, structure),
        10: control_of(seed, number),
        11: "P",
        12: version,
    }
    there = _fits(version, kind)
    lines = [header_segment(head)]
    for segment_name, fields in made.build(what):
        if segment_name in there:
            known = _numbers(version, segment_name)
            lines.append(segment(segment_name, {place: value for place, value in fields.items() if place in known}))
    return write(lines)
