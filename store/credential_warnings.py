"""Warnings as licences, certificates, registrations and privileges come near their expiry: each once at each number of days.

Days are UTC days. Who has left is not warned of. A warning wakes the case, which shows it, and stands in the person's trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Date, cast, func, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.credentials import ClinicianPolicy
from store.database import transaction
from store.monitoring import MONITORED
from store.people_reading import policy_in
from store.people_tables import appointments, credential_warnings, privileges, verifications
from store.person_trace import Entry
from store.verifications import note_many_in

MOST: Final = 1000  # of one transaction


class ExpiringCredential(Canonical):
    """What expires, of whom: ``name`` is licence:IL, or privilege:<id>; ``days`` left (below zero: since then)."""

    person: str
    facility: str
    name: str
    expires: date
    days: int
    warned: int | None = None


class StoredCredentialWarnings:
    """Warnings in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def warn(self, as_of: datetime) -> int:
        """Note what has come within a number of days its facility warns at, the nearest of them; how many warnings are new."""
        async with transaction(self._engine) as connection:
            policies = await _policies(connection, as_of)
            fresh = await _unwarned(connection, policies, as_of.astimezone(UTC).date())
        return sum([await self._note(fresh[at : at + MOST], as_of) for at in range(0, len(fresh), MOST)])

    async def expiring(
        self, as_of: date, *, within: int, facility: str = "", limit: int = 100
    ) -> Sequence[ExpiringCredential]:
        """What is expired or expires within so many days, the soonest first."""
        known = _expiring(as_of + timedelta(days=within)).subquery()
        asked = select(known, _nearest(known).label("warned")).order_by(known.c.expires, known.c.person, known.c.name)
        if facility:
            asked = asked.where(known.c.facility == facility)
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked.limit(limit))).mappings().all()
        return [ExpiringCredential.model_validate(dict(row) | {"days": (row["expires"] - as_of).days}) for row in rows]

    async def _note(self, some: Sequence[Mapping[str, Any]], as_of: datetime) -> int:
        """Keep warnings, in one transaction; what somebody else noted meanwhile is not noted again."""
        rows = [dict(row) | {"at": as_of} for row in some]
        told = upsert(credential_warnings).on_conflict_do_nothing().values(rows).returning(credential_warnings)
        async with transaction(self._engine) as connection:
            fresh = (await connection.execute(told)).mappings().all()
            if fresh:
                await _wake(connection, fresh, as_of)
                await note_many_in(connection, _entries(fresh), as_of)
        return len(fresh)


def _expiring(until: date) -> Any:
    """Everything of people at work that expires by a day: verifications, and privileges of their facility."""
    checked = (
        select(
            verifications.c.person,
            appointments.c.facility,
            func.rtrim(verifications.c.kind + ":" + verifications.c.subject, ":").label("name"),
            verifications.c.expires_on.label("expires"),
        )
        .join(appointments, appointments.c.person == verifications.c.person)
        .where(verifications.c.expires_on <= until, verifications.c.state == "confirmed")
        .where(appointments.c.state.in_(MONITORED))
    )
    granted = (
        select(
            privileges.c.person,
            privileges.c.facility,
            (literal("privilege:") + privileges.c.id).label("name"),
            cast(func.timezone("UTC", privileges.c.until), Date).label("expires"),
        )
        .join(
            appointments,
            (appointments.c.person == privileges.c.person) & (appointments.c.facility == privileges.c.facility),
        )
        .where(privileges.c.state == "granted", ~privileges.c.temporary, appointments.c.state.in_(MONITORED))
        .where(cast(func.timezone("UTC", privileges.c.until), Date) <= until)
    )
    return union_all(checked, granted)


def _nearest(known: Any) -> Any:
    told = credential_warnings.c
    mine = told.person == known.c.person, told.facility == known.c.facility, told.name == known.c.name
    return select(func.min(told.days)).where(*mine, told.expires == known.c.expires).scalar_subquery()


async def _policies(connection: AsyncConnection, as_of: datetime) -> dict[str, ClinicianPolicy]:
    codes = (await connection.execute(select(appointments.c.facility).distinct())).scalars().all()
    return {code: await policy_in(connection, code, as_of) for code in sorted(codes)}


NO_POLICY: Final = ClinicianPolicy(facility="any", warn_days=())  # of one that began meanwhile: the next look


async def _unwarned(
    connection: AsyncConnection, policies: Mapping[str, ClinicianPolicy], day: date
) -> list[dict[str, Any]]:
    """Of each credential the nearest threshold it has passed and was not told at: one known late is told once, not thrice.

    One question for all facilities; in the order of people, as their traces are locked.
    """
    furthest = max((days for policy in policies.values() for days in policy.warn_days), default=None)
    if furthest is None:
        return []
    known = _expiring(day + timedelta(days=furthest)).subquery()
    asked = select(known, _nearest(known).label("warned")).where(known.c.expires >= day)
    asked = asked.order_by(known.c.person, known.c.facility, known.c.name)
    fresh = []
    for row in (await connection.execute(asked)).mappings():
        passed = [
            days for days in policies.get(row["facility"], NO_POLICY).warn_days if (row["expires"] - day).days <= days
        ]
        if passed and (row["warned"] is None or min(passed) < row["warned"]):
            names = ("person", "facility", "name", "expires")
            fresh.append({name: row[name] for name in names} | {"days": min(passed)})
    return fresh


async def _wake(connection: AsyncConnection, fresh: Sequence[Mapping[str, Any]], at: datetime) -> None:
    for facility in sorted({row["facility"] for row in fresh}):
        persons = [row["person"] for row in fresh if row["facility"] == facility]
        mine = appointments.c.facility == facility, appointments.c.person.in_(persons)
        await connection.execute(update(appointments).where(*mine).values(woken_at=at))


def _entries(fresh: Sequence[Mapping[str, Any]]) -> dict[str, list[Entry]]:
    entries: dict[str, list[Entry]] = {}
    for row in fresh:
        content = {"expires": row["expires"].isoformat(), "days": row["days"]}
        entry = Entry(did="warned", what=row["name"], facility=row["facility"], content=content)
        entries.setdefault(row["person"], []).append(entry)
    return entries
