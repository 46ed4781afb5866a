"""The facts about a person as our own store has them: what the rules of canonical.onboarding_rules and access_rules read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.credentials import ClinicianPolicy, ClinicianRole, Privilege, Verification
from canonical.errors import Rejected
from canonical.onboarding import Appointment, OnboardingFile, PersonTask, TargetStanding
from canonical.people import ClinicianRecord
from store.people_tables import (
    access_states,
    appointments,
    hr_events,
    people,
    person_numbers,
    person_tasks,
    person_trace,
    privileges,
    revocation_blocks,
    verifications,
)
from store.register_reading import current

IN_USE: Final = ("matched", "applied", "superseded")  # events that are folded; all others wait for a person or a hire


async def record_in(connection: AsyncConnection, person: str) -> ClinicianRecord | None:
    """Who it is; None where nobody is known by this key."""
    found = await connection.scalar(select(people.c.content).where(people.c.person == person))
    return ClinicianRecord.model_validate(found) if found is not None else None


async def blocked_in(connection: AsyncConnection, person: str) -> bool:
    """Whether a revocation block stands."""
    asked = select(revocation_blocks.c.id).where(
        revocation_blocks.c.person == person, revocation_blocks.c.lifted_at.is_(None)
    )
    return await connection.scalar(asked) is not None


async def not_about_oneself_in(
    connection: AsyncConnection, persons: Iterable[str], by: str, why: str = "nobody decides about themselves"
) -> None:
    """Whoever decides is none of these people: our own number of an employee is one an HR system knows the person by.

    Raises:
        Rejected: (not-allowed) they are.
    """
    keys = {one for one in persons if one}
    mine = select(person_numbers.c.person).where(person_numbers.c.person.in_(keys), person_numbers.c.number == by)
    if by in keys or await connection.scalar(mine.limit(1)) is not None:
        raise Rejected(why, code="not-allowed", system="store")


async def gone_to_in(connection: AsyncConnection, person: str) -> Sequence[str]:
    """Whose the events are by now that made a key somebody, where a person's word has left it no hire; in order."""
    hired = hr_events.c.person == person, hr_events.c.kind == "hire", hr_events.c.state.in_(IN_USE)
    if await connection.scalar(select(hr_events.c.id).where(*hired).limit(1)) is not None:
        return ()
    moved = person_trace.c.person == person, person_trace.c.did == "moved"
    asked = select(hr_events.c.person).join(person_trace, person_trace.c.what == hr_events.c.id).where(*moved)
    asked = asked.where(hr_events.c.person.not_in(("", person)), hr_events.c.state.in_(IN_USE))
    return (await connection.scalars(asked.distinct().order_by(hr_events.c.person))).all()


async def known_at_in(connection: AsyncConnection, person: str) -> Sequence[str]:
    """The facilities that know a person, also those they have left; in order."""
    asked = select(appointments.c.facility).where(appointments.c.person == person).order_by(appointments.c.facility)
    return (await connection.scalars(asked)).all()


async def policy_in(connection: AsyncConnection, facility: str, as_of: datetime) -> ClinicianPolicy:
    """The rules of a facility on a day; the platform's own where it has none."""
    day = as_of.date()
    found = await current(connection, ClinicianPolicy, "clinician_policy", facility, facility, day)
    in_force = found is not None and (found.valid_to is None or day <= found.valid_to)
    return found if found is not None and in_force else ClinicianPolicy(facility=facility)


async def file_in(connection: AsyncConnection, facility: str, person: str, as_of: datetime) -> OnboardingFile | None:
    """Every fact about a person at a facility; None where the facility knows no such person."""
    row = (
        (
            await connection.execute(
                select(appointments).where(appointments.c.facility == facility, appointments.c.person == person)
            )
        )
        .mappings()
        .one_or_none()
    )
    return await _file(connection, row, as_of) if row is not None else None


async def files_in(connection: AsyncConnection, person: str, as_of: datetime) -> Sequence[OnboardingFile]:
    """The same of every facility that knows the person, in the order of their codes."""
    asked = select(appointments).where(appointments.c.person == person).order_by(appointments.c.facility)
    rows = (await connection.execute(asked)).mappings().all()
    return [await _file(connection, row, as_of) for row in rows]


async def _file(connection: AsyncConnection, row: Any, as_of: datetime) -> OnboardingFile:
    facility, person = row["facility"], row["person"]
    appointment = Appointment.model_validate(dict(row))
    role = await current(connection, ClinicianRole, "clinician_role", "", appointment.position.role, as_of.date())
    record = await record_in(connection, person)
    checked = await _rows(connection, select(verifications).where(verifications.c.person == person))
    mine = privileges.c.person == person, privileges.c.facility == facility
    granted = await _rows(connection, select(privileges).where(*mine).order_by(privileges.c.id))
    owed = person_tasks.c.person == person, person_tasks.c.facility == facility
    to_do = await _rows(connection, select(person_tasks).where(*owed).order_by(person_tasks.c.id))
    stands = await _rows(connection, select(access_states).where(access_states.c.person == person))
    return OnboardingFile(
        appointment=appointment,
        role=role or ClinicianRole(code=appointment.position.role or "unknown"),
        policy=await policy_in(connection, facility, as_of),
        verifications=tuple(Verification.model_validate(dict(one)) for one in checked),
        privileges=tuple(Privilege.model_validate(dict(one)) for one in granted),
        tasks=tuple(PersonTask.model_validate(dict(one)) for one in to_do),
        targets=tuple(TargetStanding.model_validate(dict(one)) for one in stands),
        blocked=await blocked_in(connection, person),
        suspended=row["suspended"],
        reinstating=row["reinstating"],
        dea_numbers=len(record.dea) if record else 0,
    )


async def _rows(connection: AsyncConnection, asked: Any) -> Sequence[Any]:
    return (await connection.execute(asked)).mappings().all()
