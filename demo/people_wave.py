"""Who is hired in the wave: twenty-five hires by three doors, and what is otherwise with seven of them; and one in HR's own database.

Everybody is made of the number of this playing, so a second playing hires others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final

from demo.people_made import Made, lapsed, made

ROLES: Final = ("surgeon", "hospitalist", "registered_nurse", "hospitalist", "nurse_practitioner", "registered_nurse")
DEPARTMENTS: Final = (("surgery", "CC-4100"), ("pharmacy", "CC-4200"), ("laboratory", "CC-4300"))
DOORS: Final = ("hl7", "csv", "hook")
ORDINARY: Final = 18
HIRES: Final = 25


@dataclass(frozen=True)
class Hire:
    """One hire as HR tells it. ``number``: the name of the event at its door."""

    one: Made
    door: str
    number: str


@dataclass(frozen=True)
class Wave:
    """Everybody of one playing."""

    ordinary: Sequence[Hire]
    excluded: Hire
    lapsed: Hire
    later: Hire  # of a cost centre that the ERP does not have yet
    again: Hire  # the first of the ordinary ones, told once more by another system, without an NPI
    rescinded: Hire
    temporary: Hire
    leaver: Hire
    asked: Made  # employed in HR's own database, which tells nobody

    @property
    def first(self) -> Sequence[Hire]:
        """Those who are told at once: all but the one who is told again."""
        odd = (self.excluded, self.lapsed, self.later, self.rescinded, self.temporary, self.leaver)
        return (*self.ordinary, *odd)

    def by(self, door: str) -> Sequence[Hire]:
        """Those who come by a door, in their order."""
        return [one for one in self.first if one.door == door]

    @property
    def new_centre(self) -> str:
        """The cost centre that is opened later."""
        return self.later.one.cost_centre


def wave(playing: str) -> Wave:
    """The wave of a playing (``P003``)."""
    base = int(playing[1:]) * 100

    def hire(at: int, door: str, role: str, one: Made | None = None) -> Hire:
        department, centre = DEPARTMENTS[at % len(DEPARTMENTS)]
        known = one or made(base + at, role, department, centre)
        return Hire(known, door, f"{playing}H{at:02d}")

    ordinary = [hire(at, DOORS[at % 3], ROLES[at % len(ROLES)]) for at in range(ORDINARY)]
    later = made(base + 20, "surgeon", "surgery", f"CC-{playing}")
    leaving = made(base + 23, "nurse_practitioner", "surgery", "CC-4100")
    return Wave(
        ordinary=ordinary,
        excluded=hire(18, "hook", "hospitalist"),
        lapsed=hire(19, "csv", "registered_nurse", lapsed(made(base + 19, "registered_nurse"))),
        later=hire(20, "hl7", "surgeon", later),
        again=hire(21, "csv", "", _once_more(ordinary[0].one, base + 21)),
        rescinded=hire(22, "hook", "surgeon"),
        temporary=hire(24, "hl7", "hospitalist"),
        leaver=hire(23, "csv", "nurse_practitioner", leaving),
        asked=made(base + 25, "scheduler", "surgery", "CC-4100"),
    )


def _once_more(one: Made, number: int) -> Made:
    """The same person under another number of another system, which knows no NPI and no licence of theirs."""
    return replace(one, number=f"H{number:06d}", npi="", licence="")


def today() -> date:
    """Their first day."""
    return datetime.now(UTC).date()
