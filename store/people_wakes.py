"""Which cases of people are to look: asked for in the transaction that changes what they look at, answered by the case's own look."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import DateTime, cast, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.people_ports import WakeOfPerson
from store.database import transaction
from store.people_tables import appointments, people, revocation_blocks
from store.tables import register
from store.target_words import void_in

MOST = 2000  # of each process, in one look: behind those that do not answer stand others


async def wake_onboarding_in(connection: AsyncConnection, facility: str, person: str, at: datetime) -> None:
    """A facility's case of a person is to look."""
    mine = appointments.c.facility == facility, appointments.c.person == person
    await connection.execute(update(appointments).where(*mine).values(woken_at=at))


async def wake_everywhere_in(connection: AsyncConnection, person: str, at: datetime) -> None:
    """Every facility's case of a person is to look, and the one that writes its access."""
    await connection.execute(update(appointments).where(appointments.c.person == person).values(woken_at=at))
    await wake_access_in(connection, person, at)


async def wake_access_in(connection: AsyncConnection, person: str, at: datetime) -> None:
    """What a person may reach has changed, or may have."""
    await connection.execute(update(people).where(people.c.person == person).values(woken_at=at))


CONCERNING: Final = ("clinician_role", "clinician_policy", "access_target")  # kinds of rows that concern people


async def wake_for_rows_in(connection: AsyncConnection, kind: str, codes: Collection[str], at: datetime) -> None:
    """Whoever a changed row of the register concerns is to look: a group taken from a role is taken from whoever has it."""
    concerned = {
        "clinician_role": appointments.c.position["role"].astext.in_(codes),
        "clinician_policy": appointments.c.facility.in_(codes),
        "access_target": true(),
    }.get(kind)
    if concerned is None:
        return
    await connection.execute(update(appointments).where(concerned).values(woken_at=at))
    whose = people.c.person.in_(select(appointments.c.person).where(concerned))
    await connection.execute(update(people).where(whose).values(woken_at=at))
    if kind == "access_target":
        await void_in(connection, at)


class StoredRegisterDays:
    """Rows of the register that were loaded for a later day: whoever they concern looks on that day, as when a row is loaded."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def warn(self, as_of: datetime) -> int:
        """Wake for what has come into force today, or yesterday while nobody looked; gives how many rows. Twice is harmless."""
        day = as_of.astimezone(UTC).date()
        begun = register.c.valid_from.between(day - timedelta(days=1), day)
        before = register.c.loaded_at < cast(register.c.valid_from, DateTime).op("AT TIME ZONE")("UTC")
        asked = select(register.c.kind, register.c.code).where(register.c.kind.in_(CONCERNING), begun, before)
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked.order_by(register.c.kind, register.c.code))).all()
            for kind in CONCERNING:
                if codes := {row.code for row in rows if row.kind == kind}:
                    await wake_for_rows_in(connection, kind, codes, as_of)
        return len(rows)


class StoredPeopleWakes:
    """The wakes nobody has answered, oldest first. A block that is not confirmed everywhere has its revocation running."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(self, repeat_before: datetime) -> Sequence[WakeOfPerson]:
        """Whom to wake, but for revocations.

        The oldest, and the newest: where many do not answer, nobody who changes now waits behind them; few are both.
        A run that was stopped outside has lost its clock: what it would have looked at by now is looked at all the same.
        """
        cases = appointments.c
        async with transaction(self._engine) as connection:
            one = select(people.c.person, people.c.woken_at)
            woken = one.where(people.c.woken_at.is_not(None)).limit(MOST)
            access = list((await connection.execute(woken.order_by(people.c.woken_at))).all())
            access += (await connection.execute(woken.order_by(people.c.woken_at.desc()))).all()
            forgotten = one.where(people.c.woken_at.is_(None), people.c.access_next_at < repeat_before)
            access += (await connection.execute(forgotten.order_by(people.c.access_next_at).limit(MOST))).all()
            case = select(cases.facility, cases.person, cases.woken_at)
            asked = case.where(cases.woken_at.is_not(None)).limit(MOST)
            late = case.where(cases.woken_at.is_(None), cases.next_at < repeat_before)
            onboarding = list((await connection.execute(asked.order_by(cases.woken_at))).all())
            onboarding += (await connection.execute(asked.order_by(cases.woken_at.desc()))).all()
            onboarding += (await connection.execute(late.order_by(cases.next_at).limit(MOST))).all()
        wakes = [WakeOfPerson(process="clinician_access", person=row.person, since=row.woken_at) for row in access]
        wakes += [
            WakeOfPerson(process="clinician_onboarding", person=row.person, facility=row.facility, since=row.woken_at)
            for row in onboarding
        ]
        return list(dict.fromkeys(wakes))

    async def revocations(self, repeat_before: datetime) -> Sequence[WakeOfPerson]:
        """Whose revocation is to begin, or was not heard of for a while."""
        blocks = revocation_blocks.c
        asked = select(blocks.person).where(blocks.lifted_at.is_(None), blocks.confirmed_at.is_(None))
        asked = asked.where((blocks.woken_at.is_(None)) | (blocks.woken_at < repeat_before))
        async with transaction(self._engine) as connection:
            found = (await connection.execute(asked.order_by(blocks.since).limit(MOST))).scalars().all()
        return [WakeOfPerson(process="clinician_revocation", person=person) for person in found]

    async def revocation_woken(self, person: str, at: datetime) -> None:
        """Its revocation was started or woken at this moment: not again for a while."""
        mine = revocation_blocks.c.person == person, revocation_blocks.c.lifted_at.is_(None)
        async with transaction(self._engine) as connection:
            await connection.execute(update(revocation_blocks).where(*mine).values(woken_at=at))
