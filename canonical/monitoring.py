"""The monthly look at everybody: exclusion lists and licences (NCQA: monthly), as its run and its steps speak of it.

Who is looked at stays in our own store: a run hears counts and a place in the order of keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.credentials import Evidence
from canonical.exclusions import ListLoaded
from canonical.people import ClinicianRecord

MONITORING: Final = "clinician_monitoring"  # the process, its Schedule, and the beginning of each run's id


MAY_RUN: Final = frozenset({"support", "admin", "medical_staff"})
"""Who has a run begin before its day."""


class MonitoringStart(Canonical):
    """What opens a run, and what one that continues as new carries on with.

    ``as_of``: when it began, and what every check of it is of. ``phase``: lists (fetch them), exclusions (hold everybody against
    them), licences (ask the boards), done. ``lists``: the editions everybody is held against. ``owed``: licences whose board has
    not answered in this pass; ``passes``: over those before. ``differing``: verifications that stand otherwise than before.
    """

    run: str = Field(default="", max_length=200)
    as_of: datetime | None = None
    phase: str = "lists"
    after: str = ""
    lists: str = ""
    people: int = 0
    held: int = 0
    asked: int = 0
    owed: int = 0
    differing: int = 0
    again: int = 0
    passes: int = 0
    lists_trouble: str = Field(default="", max_length=300)
    trouble: str = Field(default="", max_length=300)


class MonitoringBatch(Canonical):
    """The next some of everybody, in the order of their keys, after this one. ``lists`` empty: those in force, whichever."""

    as_of: datetime
    after: str = ""
    lists: str = ""
    many: int = Field(default=500, ge=1, le=5000)


class BatchHeld(Canonical):
    """People held against the lists. ``lists``: the editions in force; where they are others than were asked for, nobody was
    held. ``after``: the last of them, empty where nobody is left."""

    after: str = ""
    many: int = 0
    differing: int = 0
    lists: str = ""


class BatchAsked(Canonical):
    """Licences asked about. ``owed``: whose source did not answer; what was kept of them stays as it was."""

    after: str = ""
    many: int = 0
    owed: int = 0
    differing: int = 0
    trouble: str = ""


class ListsRefreshed(Canonical):
    """What became of fetching the lists; ``trouble``: what did not come, and why. The one before is then held on to."""

    loaded: tuple[ListLoaded, ...] = ()
    trouble: str = ""


class LicenceDue(Canonical):
    """A licence that was verified before and is to be asked about again; stays within a step."""

    person: str
    state: str
    role: str = ""
    record: ClinicianRecord = Field(default=ClinicianRecord(), repr=False)


class LicenceAnswer(Canonical):
    """What the board said of it."""

    person: str
    state: str
    evidence: Evidence


class Monitoring(Protocol):
    """Everybody who is to be looked at, in our own store."""

    async def hold(self, batch: MonitoringBatch, sources: Sequence[str]) -> BatchHeld:
        """Hold the next people against the lists of these sources, and keep what comes out, in one transaction.

        No list is replaced meanwhile. Made again it holds the same people again, and says the same.
        """
        ...

    async def licences(self, batch: MonitoringBatch, states: Sequence[str] | None) -> Sequence[LicenceDue]:
        """The next licences not asked about since ``as_of``: of these states, or of all (None)."""
        ...

    async def keep(self, answers: Sequence[LicenceAnswer], as_of: datetime) -> int:
        """Keep what boards answered; how many stand otherwise than before."""
        ...

    async def note(self, run: MonitoringStart) -> None:
        """How far a run has come."""
        ...


class ListFetching(Protocol):
    """Where a list is fetched from and put."""

    async def refresh(self, as_of: datetime) -> ListsRefreshed:
        """Fetch every list that has an address, and let each whole one take the place of the one before."""
        ...
