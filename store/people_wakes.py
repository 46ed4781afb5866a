"""Which cases of people are to look: asked for in the transaction that changes what they look at, answered by the case's own look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.people_ports import WakeOfPerson
from store.database import transaction
from store.people_tables import appointments, people, revocation_blocks

MOST = 200  # of each process, in one round of the loop


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


class StoredPeopleWakes:
    """The wakes nobody has answered, oldest first. A block that is not confirmed everywhere has its revocation running."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(self, repeat_before: datetime) -> Sequence[WakeOfPerson]:
        """Whom to wake: revocations first."""
        blocks, cases = revocation_blocks.c, appointments.c
        async with transaction(self._engine) as connection:
            stopped = select(blocks.person).where(blocks.lifted_at.is_(None), blocks.confirmed_at.is_(None))
            stopped = stopped.where((blocks.woken_at.is_(None)) | (blocks.woken_at < repeat_before))
            revoked = (await connection.execute(stopped.order_by(blocks.since).limit(MOST))).scalars().all()
            woken = select(people.c.person).where(people.c.woken_at.is_not(None)).order_by(people.c.woken_at)
            access = (await connection.execute(woken.limit(MOST))).scalars().all()
            asked = select(cases.facility, cases.person).where(cases.woken_at.is_not(None)).order_by(cases.woken_at)
            late = select(cases.facility, cases.person).where(cases.woken_at.is_(None), cases.next_at < repeat_before)
            onboarding = list((await connection.execute(asked.limit(MOST))).all())
            # A run that was stopped outside has lost its clock: the dates of its person come all the same.
            onboarding += (await connection.execute(late.order_by(cases.next_at).limit(MOST))).all()
        return [
            *(WakeOfPerson(process="clinician_revocation", person=person) for person in revoked),
            *(WakeOfPerson(process="clinician_access", person=person) for person in access),
            *(
                WakeOfPerson(process="clinician_onboarding", person=row.person, facility=row.facility)
                for row in onboarding
            ),
        ]

    async def revocation_woken(self, person: str, at: datetime) -> None:
        """Its revocation was started or woken at this moment: not again for a while."""
        mine = revocation_blocks.c.person == person, revocation_blocks.c.lifted_at.is_(None)
        async with transaction(self._engine) as connection:
            await connection.execute(update(revocation_blocks).where(*mine).values(woken_at=at))
