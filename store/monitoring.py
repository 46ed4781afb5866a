"""The monthly look at everybody, in our own database: who is next, against which lists, and how far a run has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import exists, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.monitoring import BatchHeld, LicenceAnswer, LicenceDue, MonitoringBatch, MonitoringStart
from canonical.people import ClinicianRecord
from store.database import transaction
from store.exclusions import editions_in, held_in
from store.ids import now
from store.people_tables import appointments, monitoring_runs, people, verifications
from store.verifications import Answered, keep_many_in

MONITORED: Final = ("offered", "working", "away")  # whose employment has not ended


class RunRow(Canonical):
    """A run in a list. ``held`` against the lists, ``asked`` licences, ``owed``: whose source has not answered."""

    id: str
    as_of: datetime
    state: str
    people: int = 0
    held: int = 0
    asked: int = 0
    owed: int = 0
    differing: int = 0
    again: int = 0
    lists: str = ""
    trouble: str = ""
    changed_at: datetime | None = None
    ended_at: datetime | None = None


class StoredMonitoring:
    """:class:`canonical.monitoring.Monitoring`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def hold(self, batch: MonitoringBatch, sources: Sequence[str]) -> BatchHeld:
        """Hold the next people against the lists, in one transaction during which no list is replaced."""
        async with transaction(self._engine) as connection:
            editions = await editions_in(connection, hold=True)
            wanted = [edition for edition in editions if not sources or edition.source in sources]
            lists = " ".join(f"{edition.source}:{edition.id}" for edition in wanted)
            if batch.lists and batch.lists != lists:
                return BatchHeld(after=batch.after, lists=lists)
            records = await _next_people(connection, batch)
            if not records:
                return BatchHeld(lists=lists)
            found = await held_in(connection, records, editions, sources, batch.as_of)
            answered = [Answered(person=key, kind="exclusion", evidence=found[key]) for key in records]
            changed = await keep_many_in(connection, answered, batch.as_of)
        last = list(records)[-1] if len(records) == batch.many else ""  # in the order they were read in
        return BatchHeld(after=last, many=len(records), differing=len(changed), lists=lists)

    async def licences(self, batch: MonitoringBatch, states: Sequence[str] | None) -> Sequence[LicenceDue]:
        """The next licences not asked about since the run began; those nobody has verified yet are their case's to ask about."""
        known, (person, _, state) = verifications.c, batch.after.partition("/")
        at_work = appointments.c.person == known.person, appointments.c.state.in_(MONITORED)
        role = select(appointments.c.position["role"].astext).where(*at_work).limit(1).scalar_subquery()
        asked = (
            select(known.person, known.subject.label("state"), people.c.content.label("record"), role.label("role"))
            .join(people, people.c.person == known.person)
            .where(known.kind == "licence", tuple_(known.person, known.subject) > (person, state))
            .where(exists().where(*at_work))
            .where(or_(known.checked_at.is_(None), known.checked_at < batch.as_of))
            .order_by(known.person, known.subject)
            .limit(batch.many)
        )
        if states is not None:
            asked = asked.where(known.subject.in_(states))
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked)).mappings().all()
        return [LicenceDue.model_validate(dict(row) | {"role": row["role"] or ""}) for row in rows]

    async def keep(self, answers: Sequence[LicenceAnswer], as_of: datetime) -> int:
        """Keep what boards answered; how many people stand otherwise than before."""
        answered = [
            Answered(person=one.person, kind="licence", subject=one.state, evidence=one.evidence) for one in answers
        ]
        async with transaction(self._engine) as connection:
            return len(await keep_many_in(connection, answered, as_of))

    async def note(self, run: MonitoringStart) -> None:
        """How far a run has come."""
        assert run.as_of is not None
        done = run.phase == "done"
        names = ("held", "asked", "owed", "differing", "again", "lists", "people")
        values: dict[str, Any] = {name: getattr(run, name) for name in names}
        values["trouble"] = "; ".join(one for one in (run.lists_trouble, run.trouble) if one)
        values |= {"state": "done" if done else run.phase, "changed_at": now(), "ended_at": now() if done else None}
        asked = upsert(monitoring_runs).values(id=run.run, as_of=run.as_of, **values)
        async with transaction(self._engine) as connection:
            await connection.execute(asked.on_conflict_do_update(index_elements=["id"], set_=values))

    async def runs(self, limit: int = 12) -> Sequence[RunRow]:
        """The last runs, newest first."""
        asked = select(monitoring_runs).order_by(monitoring_runs.c.as_of.desc()).limit(limit)
        async with transaction(self._engine) as connection:
            return [RunRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]


async def _next_people(connection: AsyncConnection, batch: MonitoringBatch) -> dict[str, ClinicianRecord]:
    """The next people anybody employs, by key."""
    employed = exists().where(appointments.c.person == people.c.person, appointments.c.state.in_(MONITORED))
    asked = select(people.c.person, people.c.content).where(people.c.person > batch.after, employed)
    rows = await connection.execute(asked.order_by(people.c.person).limit(batch.many))
    return {row.person: ClinicianRecord.model_validate(row.content) for row in rows}
