"""A person's word on whose an HR event is: somebody we know, somebody new, or nothing for us; noted with the deed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.people import HrEvent
from store.acts import Act
from store.acts import note_in as act_in
from store.database import transaction
from store.ids import now
from store.people_hearing import Heard, adopt, moved
from store.people_matching import bind_in, lock_number_in, new_person_in
from store.people_reading import IN_USE, blocked_in, not_about_oneself_in
from store.people_tables import hr_events, people
from store.person_trace import Entry

OPEN: Final = ("waiting", "possible", "parked")  # what waits for a person or a hire


class StoredPeopleDecisions:
    """The decisions. ``clock``: when they are made."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime] = now) -> None:
        self._engine = engine
        self._clock = clock

    async def match(self, event: str, by: Actor, reason: str, *, same: str = "", whole_number: bool = False) -> str:
        """Say whose an event is: ``same``, a person's key, or somebody new where it is empty; gives the key.

        Its HR system's number of the person is theirs from now on, with every event of it that waited. ``whole_number``: what was
        heard under it before is theirs too (two that were taken for one, or one for two). An emergency among them blocks at
        once. The same word again changes nothing.

        Raises:
            Rejected: there is no such event or person, or the event is parked or dismissed: a corrected message mends it; or it
                would give anew, under another key, what was revoked; or it is of whoever says it.
        """
        async with transaction(self._engine) as connection:
            row = await self._locked(connection, event)
            await _not_ones_own(connection, row, by, same)
            if row["state"] not in ("waiting", "possible", *IN_USE):
                why = f"event {event} is {row['state']}: {row['reason'] or 'nothing is asked of it'}"
                raise Rejected(why, code="not-open")
            if same and row["person"] == same and row["state"] in IN_USE:
                return same
            if (
                not same and row["state"] in IN_USE and row["person"] > row["id"]
            ):  # who was made for it: ids are in order
                return str(row["person"])
            if same:
                await self._exists(connection, same)
            person = same or await new_person_in(connection)
            await self._decided(connection, row, person, by, reason, whole_number=whole_number)
            return person

    async def dismiss(self, event: str, by: Actor, reason: str) -> None:
        """An event is nothing for us: it stays listed as dismissed, and is in force nowhere.

        Raises:
            Rejected: there is no such event, it is in force (its HR system takes it back), or it is of whoever says it.
        """
        async with transaction(self._engine) as connection:
            row = await self._locked(connection, event)
            await _not_ones_own(connection, row, by)
            if row["state"] == "dismissed":
                return
            if row["state"] not in OPEN:
                raise Rejected(f"event {event} is {row['state']}: its HR system takes it back", code="not-open")
            values = {"state": "dismissed", "decided_by": by.id, "changed_at": self._clock()}
            await connection.execute(update(hr_events).where(hr_events.c.id == event).values(values))
            await act_in(connection, Act(verb="person dismiss", about=f"hr_event/{event}", actor=by, reason=reason))

    async def _locked(self, connection: AsyncConnection, event: str) -> dict[str, Any]:
        asked = select(hr_events).where(hr_events.c.id == event)
        row = (await connection.execute(asked)).mappings().one_or_none()
        if row is None:
            raise Rejected(f"there is no HR event {event}", code="not-found")
        await lock_number_in(connection, row["source"], row["source_person"])
        return dict((await connection.execute(asked)).mappings().one())

    async def _exists(self, connection: AsyncConnection, person: str) -> None:
        asked = select(people.c.person).where(people.c.person == person)
        if await connection.scalar(asked) is None:
            raise Rejected(f"there is no person {person}", code="not-found")

    async def _decided(
        self,
        connection: AsyncConnection,
        row: dict[str, Any],
        person: str,
        by: Actor,
        reason: str,
        *,
        whole_number: bool,
    ) -> None:
        event, heard = HrEvent.model_validate(row["content"]), Heard()
        told = {"rule": "person", "known": bool(row["person"]), "candidates": len(row["candidates"])}
        told["reason"] = hashlib.sha256(reason.encode()).hexdigest()[:16]  # its words stand in the list of deeds
        entry = Entry(did="matched", what=row["id"], by=by.id, facility=event.facility, content=told)
        await bind_in(connection, event.source, row["source_person"], person, f"word:{by.id}")
        heard.note(person, entry)
        if row["state"] in IN_USE and not whole_number:
            await moved(connection, [row["id"]], person, heard)
        states = ("waiting", "possible", *(IN_USE if whole_number else ()))
        await adopt(connection, event.source, row["source_person"], person, heard, states)
        await _leaves_no_block_behind(connection, set(heard.entries) - {person}, person)
        values = {"decided_by": by.id, "changed_at": self._clock()}
        await connection.execute(update(hr_events).where(hr_events.c.id == row["id"]).values(values))
        await heard.settle_in(connection, self._clock())
        about = f"hr_event/{row['id']}"
        await act_in(connection, Act(verb="person match", about=about, actor=by, reason=reason, detail=person))


async def _not_ones_own(connection: AsyncConnection, row: dict[str, Any], by: Actor, same: str = "") -> None:
    """Whose an event is, and that it is nobody's, is said by somebody it cannot be about.

    Raises:
        Rejected: (not-allowed) its number is theirs, or they are, or may be, whose it was, is, or is to be.
    """
    await not_about_oneself_in(connection, (row["source_person"], row["person"], same, *row["candidates"]), by.id)


async def _leaves_no_block_behind(connection: AsyncConnection, before: Collection[str], person: str) -> None:
    """Whoever is blocked and has nothing left by this word is the same under another key: that one is blocked first.

    Raises:
        Rejected: (not-allowed) it is not. One person's word gives nobody back what two people must.
    """
    if not before or await blocked_in(connection, person):
        return
    hired = hr_events.c.state.in_(IN_USE), hr_events.c.kind == "hire"
    for one in sorted(before):
        left = select(hr_events.c.id).where(hr_events.c.person == one, *hired).limit(1)
        if await blocked_in(connection, one) and await connection.scalar(left) is None:
            why = f"the access of {one} is revoked, and all that made it somebody would be another's"
            press = (
                "revoke the other key too (fascia person revoke), or have two people lift the block, and say it again"
            )
            raise Rejected(f"{why}: {press}", code="not-allowed")
