"""Clinicians who do not exist: each made of one number, with everything HR, the sources and the exclusion list say of them.

The same number makes the same person, another makes another in every mark by which people are told apart (NPI, licence, birth date).
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from canonical.check_digits import with_dea_digit, with_npi_digit
from demo.registries import licence, provider, registrant

LEIE_COLUMNS: Final = (
    "LASTNAME", "FIRSTNAME", "MIDNAME", "BUSNAME", "GENERAL", "SPECIALTY", "UPIN", "NPI", "DOB", "ADDRESS", "CITY", "STATE",
    "ZIP", "EXCLTYPE", "EXCLDATE", "REINDATE", "WAIVERDATE", "WVRSTATE",
)  # fmt: skip
FAMILIES: Final = (
    *("Alderwood", "Bramblecote", "Cedarholt", "Dogwoodley", "Elderfield", "Fernhollow", "Gorsebrook", "Hazelmoor"),
    *("Ivythorpe", "Junipercroft", "Kelpstone", "Larchmere", "Mossgill", "Nettlecombe", "Oakapple", "Pinebarrow"),
    *("Quincewell", "Rowanshaw", "Sedgewater", "Thistledown", "Umberlin", "Vetchford", "Willowgarth", "Yarrowby"),
    *("Zinniacote", "Birchanger", "Cloverhythe", "Duckweedon", "Figtreeland", "Heatherslack", "Lindenquay"),
)
GIVEN: Final = (
    "Arden",
    "Blaise",
    "Corin",
    "Dale",
    "Ellis",
    "Florian",
    "Greer",
    "Hollis",
    "Indra",
    "Jules",
    "Kit",
    "Lior",
    "Merle",
)
TAXONOMIES: Final = {
    "surgeon": "208600000X",
    "hospitalist": "208M00000X",
    "nurse_practitioner": "363L00000X",
    "registered_nurse": "163W00000X",
}
NURSES: Final = frozenset({"nurse_practitioner", "registered_nurse"})
GOOD_UNTIL: Final = timedelta(days=600)


@dataclass(frozen=True)
class Made:
    """Somebody as HR knows them. ``number``: HR's own of the person; ``licence_until``: the last day the board gives."""

    number: str
    family: str
    given: str
    born: date
    npi: str
    licence: str
    role: str
    department: str
    cost_centre: str
    dea: str = ""
    state: str = "IL"
    licence_until: date = date.max

    @property
    def registered(self) -> dict[str, dict[str, Any]]:
        """What each register of the sources has of them, under the name it is asked by."""
        name = (self.family, self.given)
        nurse, taxonomy = self.role in NURSES, TAXONOMIES.get(self.role, "207R00000X")
        held = {"taxonomy": taxonomy, "state": self.state, "licence": self.licence}
        profession = "Advanced Practice Registered Nurse" if nurse else "Physician and Surgeon"
        books: dict[str, dict[str, Any]] = {
            "providers": {
                self.npi: provider(
                    self.npi,
                    *name,
                    taxonomy=TAXONOMIES.get(self.role, "207R00000X"),
                    state=self.state,
                    licence=self.licence,
                )
            },
            "licences": {
                f"{self.state}/{self.licence}": licence(
                    *(self.state, self.licence, *name), expires=f"{self.licence_until}", profession=profession
                )
            },
        }
        if self.dea:
            until = f"{datetime.now(UTC).date() + GOOD_UNTIL:%Y%m%d}"
            about = {"state": self.state, "expiration_date": until, "business_activity_code": "M" if nurse else "C"}
            held = registrant(self.dea, f"{self.family.upper()}, {self.given.upper()}", **about)
            books["registrants"] = {self.dea: held}
        return books

    def record(self) -> dict[str, Any]:
        """Who they are, as HR says it in JSON."""
        said: dict[str, Any] = {
            "name": {"family": self.family, "given": self.given},
            "birth_date": f"{self.born}",
            "npi": self.npi,
            "licences": [{"state": self.state, "number": self.licence}],
        }
        return said | ({"dea": [{"number": self.dea, "state": self.state}]} if self.dea else {})

    def position(self) -> dict[str, Any]:
        """What they are to do, as HR says it in JSON."""
        return {
            "role": self.role,
            "department": self.department,
            "cost_centre": self.cost_centre,
            "service_line": self.department,
            "practice_states": [self.state],
            "employment": "employed",
        }

    def event(self, kind: str, effective: date, **more: Any) -> dict[str, Any]:
        """One thing said of them, for ``POST /v1/hr-events``; a hire says who they are."""
        about = {"record": self.record(), "position": self.position()} if kind == "hire" else {}
        return {"person": self.number, "kind": kind, "effective": f"{effective}", **about, **more}


def made(number: int, role: str = "surgeon", department: str = "surgery", cost_centre: str = "CC-4100") -> Made:
    """The clinician of this number (below 100,000,000)."""
    dea = f"M{FAMILIES[number % len(FAMILIES)][0]}{number % 1_000_000:06d}" if role == "nurse_practitioner" else ""
    return Made(
        number=f"H{number:06d}",
        family=FAMILIES[number % len(FAMILIES)],
        given=GIVEN[number % len(GIVEN)],
        born=date(1955, 1, 3) + timedelta(days=number * 7 % 16_001),  # 7 and a prime: no two within 16,001 numbers
        npi=with_npi_digit(f"1{number:08d}"),
        licence=f"{'041' if role in NURSES else '036'}{number:06d}",
        role=role,
        department=department,
        cost_centre=cost_centre,
        dea=with_dea_digit(dea) if dea else "",
        licence_until=datetime.now(UTC).date() + GOOD_UNTIL,
    )


def lapsed(one: Made) -> Made:
    """The same, with a licence that ended last month."""
    return replace(one, licence_until=datetime.now(UTC).date() - timedelta(days=30))


# -- what the sources know ------------------------------------------------------------------------------------------


def registry_folder(home: Path) -> Path:
    """Where the sources' books stand."""
    return home / "registries"


def register(home: Path, *people: Made) -> None:
    """Let the sources know them; who was known already is as said now."""

    def add(name: str, held: dict[str, Any]) -> dict[str, Any]:
        for one in people:
            held |= one.registered.get(name, {})
        return held

    _rewritten(home, add)


def _rewritten(home: Path, change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    """One writer at a time, each file whole or not at all: the sources read while we write."""
    folder = registry_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in ("providers", "licences", "registrants"):
            path, held = folder / f"{name}.json", {}
            with suppress(FileNotFoundError):
                held = json.loads(path.read_text(encoding="utf-8"))
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(change(name, held), indent=1), encoding="utf-8")
            fresh.replace(path)


def exclude(home: Path, *people: Made) -> Path:
    """The next edition of the exclusion list: the one before, and these. Gives its file."""
    path = registry_folder(home) / "leie.csv"
    before, written = path.read_text(encoding="utf-8"), io.StringIO()
    rows = csv.DictWriter(written, LEIE_COLUMNS, restval="", lineterminator="\n")
    for one in people:
        said = {"LASTNAME": one.family.upper(), "FIRSTNAME": one.given.upper(), "NPI": one.npi, "STATE": one.state}
        said |= {"GENERAL": "INDIVIDUAL (UNAFFILI", "SPECIALTY": "GENERAL PRACTICE", "DOB": f"{one.born:%Y%m%d}"}
        dates = {"EXCLDATE": "20240620", "REINDATE": "00000000", "WAIVERDATE": "00000000"}
        rows.writerow(said | dates | {"EXCLTYPE": "1128a1", "CITY": "SPRINGFIELD", "ZIP": "62701"})
    fresh = path.with_suffix(".new")
    fresh.write_text(before + written.getvalue(), encoding="utf-8")
    fresh.replace(path)
    return path
