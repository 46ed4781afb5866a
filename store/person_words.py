"""People's words to a clinician's case, carried out in our own database: each once under its id, noted, and woken for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.base import content_hash
from canonical.errors import Rejected
from canonical.onboarding import PersonWord, PersonWordTaken
from canonical.people import HrEvent, onboarding_case
from canonical.person_word_rules import WordOutcome, outcome
from store.ids import new_id, now
from store.people_applying import apply_in
from store.people_reading import file_in, not_about_oneself_in
from store.people_tables import appointments, hr_events, person_tasks, person_words, privileges
from store.people_wakes import wake_access_in, wake_onboarding_in
from store.person_trace import Entry, note_in
from store.verifications import keep_in


async def take_in(
    connection: AsyncConnection, facility: str, person: str, word: PersonWord, by: str, as_of: datetime
) -> PersonWordTaken:
    """Carry a checked word out, wake whom it concerns, and note it; the same word again is answered as before.

    Raises:
        Rejected: it does not fit as things stand.
    """
    case = onboarding_case(facility, person)
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(case, 6))))
    content = content_hash(word, without=frozenset({"reason", "actor", "seal"}))
    asked = select(person_words).where(person_words.c.case == case, person_words.c.id == word.id)
    before = (await connection.execute(asked)).one_or_none()
    if before is not None:
        if before.hash != content or before.by != by:
            raise Rejected(f"word {word.id} was given with other content", code="conflict", system="store")
        return PersonWordTaken(taken=True, message=before.message)
    if word.verb != "verify":  # evidence is kept in the order of who keeps it: verifications, then appointments
        await apply_in(connection, facility, person, as_of)
    file = await file_in(connection, facility, person, as_of)
    if file is None:
        raise Rejected("this facility knows no such person", code="not-found", system="store")
    await not_about_oneself_in(connection, [person], by)
    said = outcome(file, word, by, as_of)
    await _keep(connection, facility, person, said, by, as_of)
    row = {"case": case, "id": word.id, "verb": word.verb, "hash": content, "by": by, "message": said.message}
    await connection.execute(insert(person_words).values(row | {"at": as_of}))
    await wake_onboarding_in(connection, facility, person, as_of)
    await wake_access_in(connection, person, as_of)
    about = word.privilege or word.check or word.task
    told: dict[str, Any] = {"word": word.id, "as_of": as_of.isoformat()}
    told |= {"outcome": word.outcome} if word.outcome else {}
    told |= {"privileges": {one.id: one.state for one in said.privileges}} if said.privileges else {}
    what = f"{word.verb}:{about}" if about else word.verb
    await note_in(connection, person, Entry(did="decided", what=what, by=by, facility=facility, content=told))
    return PersonWordTaken(taken=True, message=said.message)


async def _keep(
    connection: AsyncConnection, facility: str, person: str, said: WordOutcome, by: str, at: datetime
) -> None:
    if said.evidence is not None and said.check is not None:
        await keep_in(connection, person, said.check, said.subject, said.evidence, at, by=by)
    for one in said.privileges:
        row = one.model_dump() | {"scope": one.scope.model_dump(mode="json")}
        told = upsert(privileges).values(row)
        await connection.execute(told.on_conflict_do_update(index_elements=["id"], set_=row))
    changed: dict[str, Any] = {}
    if said.suspended is not None:
        changed |= {"suspended": said.suspended, "suspended_why": "by-word" if said.suspended else ""}
    if said.reinstating is not None:
        changed["reinstating"] = said.reinstating
    if changed:
        mine = appointments.c.facility == facility, appointments.c.person == person
        await connection.execute(update(appointments).where(*mine).values(changed))
    if said.task:
        ended = {"state": "done", "done_at": at, "done_by": by, "outcome": "done"}
        await connection.execute(update(person_tasks).where(person_tasks.c.id == said.task).values(ended))
    if said.event is not None:
        await _hr_says(connection, person, said.event, by, at)


async def _hr_says(connection: AsyncConnection, person: str, event: HrEvent, by: str, at: datetime) -> None:
    """An event of our own source, kept and folded like one of an HR system's."""
    row: dict[str, Any] = {"id": new_id(), "facility": event.facility, "source": event.source, "number": event.number}
    row |= {"hash": content_hash(event), "kind": event.kind, "source_person": event.person, "person": person}
    row |= {"state": "matched", "content": event.model_dump(mode="json"), "effective": event.effective}
    row |= {"said_at": event.said_at, "at": now(), "changed_at": at, "decided_by": by}
    await connection.execute(insert(hr_events).values(row))
    await apply_in(connection, event.facility, person, at)
