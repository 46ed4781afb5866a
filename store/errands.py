"""What people hand out and take back by hand, as tasks in our own store: the port :class:`adapters.manual.Errands`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.onboarding import PersonTask
from canonical.people import stable
from store.database import transaction
from store.ids import now
from store.people_reading import policy_in
from store.people_tables import person_tasks
from store.person_trace import Entry, note_in

OWNER = "facility services"
KINDS = ("hand-out", "bring-back")


class StoredErrands:
    """In our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def last(self, target: str, person: str) -> PersonTask | None:
        """The newest task about a target and a person."""
        about = person_tasks.c.person == person, person_tasks.c.subject == target
        kinds = person_tasks.c.kind.in_(KINDS)
        asked = select(person_tasks).where(*about, kinds).order_by(person_tasks.c.opened_at.desc()).limit(1)
        async with transaction(self._engine) as connection:
            found = (await connection.execute(asked)).mappings().one_or_none()
        return PersonTask.model_validate(dict(found)) if found is not None else None

    async def open(self, target: str, person: str, facility: str, kind: str, after: str) -> PersonTask:
        """Open a task behind another, once; one that is still open is closed, as replaced by it, and kept."""
        name = stable("errand", target, person, kind, after)
        async with transaction(self._engine) as connection:
            at = now()
            due = at + timedelta(days=1) if kind == "bring-back" else at + await _days(connection, facility)
            row: dict[str, Any] = {
                "id": name,
                "person": person,
                "facility": facility,
                "kind": kind,
                "subject": target,
                "state": "open",
            }
            row |= {"owner": OWNER, "due": due, "opened_at": at}
            made = upsert(person_tasks).values(row).on_conflict_do_nothing().returning(person_tasks.c.id)
            if await connection.scalar(made) is not None:
                about = Entry(did="asked", what=f"{kind} {target}", facility=facility, content={"task": name})
                replaced = await _replaced(connection, target, person, name, f"replaced: {kind}", at)
                await note_in(connection, person, *replaced, about, at=at)
            found = (await connection.execute(select(person_tasks).where(person_tasks.c.id == name))).mappings().one()
        return PersonTask.model_validate(dict(found))


async def _replaced(
    connection: AsyncConnection, target: str, person: str, name: str, why: str, at: datetime
) -> list[Entry]:
    """Two errands that contradict each other would both be run: of a person and a target the newest alone waits."""
    task = person_tasks.c
    others = task.person == person, task.subject == target, task.kind.in_(KINDS), task.state == "open", task.id != name
    ended = {"state": "done", "done_at": at, "done_by": "fascia", "outcome": why}
    asked = update(person_tasks).where(*others).values(ended).returning(task.id, task.kind, task.facility)
    return [
        Entry(did="replaced", what=f"{row.kind} {target}", facility=row.facility, content={"task": row.id, "by": name})
        for row in await connection.execute(asked)
    ]


async def _days(connection: AsyncConnection, facility: str) -> timedelta:
    return timedelta(days=(await policy_in(connection, facility, now())).task_days)
