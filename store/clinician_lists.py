"""Clinicians' cases as lists and as one view show them: by key, never a name, and without changing anything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical
from canonical.credentials import Privilege
from canonical.onboarding import ExpiryWarning, Facet, PersonTask
from canonical.onboarding_rules import stand, warnings
from store.database import transaction
from store.people import whole_file_in
from store.people_tables import appointments, person_tasks

OVER = ("terminated", "withdrawn")


class ClinicianListed(Canonical):
    """A case in a list. ``open``, ``overdue``: tasks of people; ``next_at``: when it may stand otherwise by itself."""

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


class ClinicianSeen(ClinicianListed):
    """All of one case: its facets, what stops it, what was verified, granted, warned of, and the tasks that wait."""

    facets: tuple[Facet, ...] = ()
    stopped: tuple[str, ...] = ()
    taken_back: bool = False
    verifications: dict[str, str] = Field(default_factory=dict)
    privileges: tuple[Privilege, ...] = ()
    warnings: tuple[ExpiryWarning, ...] = ()
    tasks: tuple[PersonTask, ...] = ()


class StoredClinicianLists:
    """Reads of cases, in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rows(
        self, at: datetime, *, facility: str, headline: str, everything: bool, limit: int
    ) -> Sequence[ClinicianListed]:
        """Cases by facility and key: those that are not over, or all."""
        owed, case = person_tasks.c, appointments.c
        mine = (owed.facility == case.facility) & (owed.person == case.person) & (owed.state == "open")
        many = select(func.count()).select_from(person_tasks).where(mine)
        late = many.where(owed.due <= at)
        asked = select(
            appointments, many.scalar_subquery().label("open"), late.scalar_subquery().label("overdue")
        ).order_by(case.facility, case.person)
        asked = asked.where(case.facility == facility) if facility else asked
        asked = asked.where(case.headline == headline) if headline else asked
        asked = asked if everything or headline else asked.where(case.headline.not_in(OVER))
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked.limit(limit))).mappings()
            return [ClinicianListed.model_validate(dict(row) | _about(row["position"])) for row in rows]

    async def facilities(self, person: str) -> Sequence[str]:
        """Where somebody has a case."""
        asked = select(appointments.c.facility).where(appointments.c.person == person).order_by(appointments.c.facility)
        async with transaction(self._engine) as connection:
            return list((await connection.execute(asked)).scalars())

    async def seen(self, facility: str, person: str, at: datetime) -> ClinicianSeen | None:
        """One case as its rules have it at this moment; None where the facility knows no such person."""
        async with transaction(self._engine) as connection:
            file = await whole_file_in(connection, facility, person, at)
        if file is None:
            return None
        standing, about = stand(file, at), file.appointment
        told = about.model_dump(include={"facility", "person", "starts", "ends_on"})
        told |= standing.model_dump(include={"headline", "role", "department", "stopped", "taken_back", "next_at"})
        known = {one.name: f"{one.state} {one.finding}".strip() for one in file.verifications}
        return ClinicianSeen.model_validate(
            told
            | {"suspended": file.suspended, "open": standing.open_tasks, "overdue": standing.overdue}
            | {"facets": standing.facets, "verifications": known, "privileges": file.privileges}
            | {"warnings": warnings(file, at), "tasks": tuple(one for one in file.tasks if one.state == "open")}
        )


def _about(position: dict[str, str]) -> dict[str, str]:
    return {"role": position.get("role") or "", "department": position.get("department") or ""}
