"""What the commands show of clinicians' cases, and what they ask of the platform about them: keys and codes, never a name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.cases import Answer
from canonical.credentials import Privilege
from canonical.onboarding import ExpiryWarning, Facet, PersonTask, PersonWord


class ClinicianRow(Canonical):
    """A clinician's case in a list. ``open``, ``overdue``: tasks of people; ``next_at``: when it may stand otherwise by itself."""

    facility: str
    person: str
    headline: str
    role: str = ""
    department: str = ""
    starts: date | None = None
    ends_on: date | None = None
    suspended: bool = False
    open: int = 0
    overdue: int = 0
    next_at: datetime | None = None


class ClinicianView(ClinicianRow):
    """One case: its facets, what stops it, what was verified and granted, what expires soon, and the tasks that wait."""

    facets: tuple[Facet, ...] = ()
    stopped: tuple[str, ...] = ()
    taken_back: bool = False
    verifications: dict[str, str] = Field(default_factory=dict)
    privileges: tuple[Privilege, ...] = ()
    warnings: tuple[ExpiryWarning, ...] = ()
    tasks: tuple[PersonTask, ...] = ()


class WordRow(Canonical):
    """What became of one word of many. ``code``: why it was refused."""

    person: str
    facility: str = ""
    verb: str
    privilege: str = ""
    taken: bool
    message: str = ""
    code: str = ""


class Clinicians(Protocol):
    """Clinicians' cases as the commands keep them."""

    async def rows(self, facility: str, headline: str, everything: bool, limit: int) -> Sequence[ClinicianRow]: ...

    async def facility_of(self, person: str, facility: str) -> str:
        """The facility meant: the one named, or where the person has their only case."""
        ...

    async def show(self, facility: str, person: str) -> ClinicianView | None: ...

    async def say(self, facility: str, person: str, word: PersonWord) -> Answer:
        """Give a word to a case, by whoever runs the command."""
        ...
