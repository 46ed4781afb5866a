"""People as their cases work with them, in our own database: what is due is brought into force, and how a case stands is derived.

Locks are taken in one order: the appointments of a person, then what hangs on them, the person's own row last (the trace).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.access import AccessTarget
from canonical.access_rules import wanted
from canonical.base import Canonical, content_hash
from canonical.credentials import CheckKind, Evidence
from canonical.errors import Rejected
from canonical.onboarding import (
    OnboardingFile,
    OnboardingStanding,
    PersonTask,
    PersonWord,
    PersonWordTaken,
    TargetStanding,
    TaskDue,
)
from canonical.onboarding_rules import RULE_TASKS, employment, in_force, stand
from canonical.people import ClinicianRecord, stable
from store.access_rows import states_in
from store.database import transaction
from store.people_applying import apply_in
from store.people_reading import blocked_in, file_in, files_in, record_in
from store.people_tables import appointments, people, person_tasks, privileges
from store.people_wakes import wake_access_in
from store.person_trace import Entry, note_in
from store.person_words import take_in
from store.register_reading import all_current
from store.verifications import keep_in

BY_RULES = "fascia"  # who ends a task that answered itself


class Basis(Canonical):
    """What access is given by: when this is another, the case that writes access is to look."""

    headline: str
    employment: str
    stopped: tuple[str, ...]
    taken_back: bool
    privileges: tuple[str, ...]


class StoredPeople:
    """The port :class:`canonical.people_ports.People`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def standing(self, facility: str, person: str, as_of: datetime) -> OnboardingStanding:
        """Bring into force what is due by ``as_of``, open and end tasks as the rules have it, and say how the case stands."""
        async with transaction(self._engine) as connection:
            await apply_in(connection, facility, person, as_of)
            file = await whole_file_in(connection, facility, person, as_of)
            if file is None:
                return OnboardingStanding(known=False)
            standing = stand(file, as_of)
            entries = await _ended(connection, file, standing, as_of)
            entries += await _tasks(connection, file, standing, as_of)
            if entries:
                file = await whole_file_in(connection, facility, person, as_of)
                assert file is not None
                standing = stand(file, as_of)
            await _keep(connection, file, standing, entries, as_of)
            return standing

    async def file(self, facility: str, person: str, as_of: datetime) -> OnboardingFile | None:
        """The facts as they stand on a moment; changes nothing."""
        async with transaction(self._engine) as connection:
            return await whole_file_in(connection, facility, person, as_of)

    async def record_of(self, person: str) -> ClinicianRecord:
        """Who it is; only for a step that must tell another system.

        Raises:
            Rejected: nobody is known by this key.
        """
        async with transaction(self._engine) as connection:
            found = await record_in(connection, person)
        if found is None:
            raise Rejected("nobody is known by this key", code="not-found", system="store")
        return found

    async def take(self, facility: str, person: str, word: PersonWord, by: str, as_of: datetime) -> PersonWordTaken:
        """Carry a checked word out: once under its id.

        Raises:
            Rejected: it does not fit as things stand.
        """
        async with transaction(self._engine) as connection:
            return await take_in(connection, facility, person, word, by, as_of)

    async def verified(self, person: str, kind: CheckKind, subject: str, evidence: Evidence, as_of: datetime) -> None:
        """Keep what a source answered."""
        async with transaction(self._engine) as connection:
            await keep_in(connection, person, kind, subject, evidence, as_of)

    async def tasks(self, facility: str, person: str) -> Sequence[PersonTask]:
        """What people are to do for this case: open ones first, the earliest due first."""
        mine = person_tasks.c.facility == facility, person_tasks.c.person == person
        order = person_tasks.c.state != "open", person_tasks.c.due, person_tasks.c.id
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(select(person_tasks).where(*mine).order_by(*order))).mappings()
            return [PersonTask.model_validate(dict(row)) for row in rows]


# ---- within a transaction of the caller's ------------------------------------------------------------------------------


async def whole_file_in(
    connection: AsyncConnection, facility: str, person: str, as_of: datetime
) -> OnboardingFile | None:
    """Every fact, with each system that is told of people of this facility, also those that were never told of this one."""
    file = await file_in(connection, facility, person, as_of)
    if file is None:
        return None
    rows = await all_current(connection, AccessTarget, "access_target", [""], as_of.date())
    told = {one.target: one for one in file.targets}
    changed = await connection.scalar(select(people.c.changed_at).where(people.c.person == person))
    rows = [row for row in rows if row.active and row.facility in ("", facility)]
    over = employment(file, as_of) in ("withdrawn", "ended")
    shared = [row for row in rows if over and not row.facility and (known := told.get(row.code)) and not known.gone]
    others = await _elsewhere(connection, person, shared, as_of) if shared else frozenset()
    targets = tuple(_target(row, told.get(row.code), elsewhere=row.code in others) for row in rows)
    return file.model_copy(update={"targets": targets, "record_changed_at": changed})


async def _elsewhere(
    connection: AsyncConnection, person: str, shared: Sequence[AccessTarget], as_of: datetime
) -> frozenset[str]:
    """In which of these targets what stands is what all facilities together want by now: of one they have left that is nothing."""
    files, states = await files_in(connection, person, as_of), await states_in(connection, person)
    blocked, record = await blocked_in(connection, person), await record_in(connection, person)
    now = {row.code: wanted(files, blocked, record, row, person, as_of).hash for row in shared}
    return frozenset(code for code, hash_ in now.items() if code in states and states[code].wanted == hash_)


def _target(row: AccessTarget, known: TargetStanding | None, *, elsewhere: bool) -> TargetStanding:
    about = {"kind": row.kind, "facility": row.facility, "elsewhere": elsewhere}
    if known is None:
        return TargetStanding(target=row.code, state="absent", **about)
    return known.model_copy(update=about)


async def _ended(
    connection: AsyncConnection, file: OnboardingFile, standing: OnboardingStanding, as_of: datetime
) -> list[Entry]:
    """End the privileges whose time, or whose employment, is over."""
    over = employment(file, as_of) in ("withdrawn", "ended")
    entries = []
    for one in standing.ended_privileges:
        why = "left" if over else "time"
        ended = {"state": "ended", "ended_at": as_of, "ended_why": why}
        await connection.execute(update(privileges).where(privileges.c.id == one).values(ended))
        content = {"why": why, "as_of": as_of.isoformat()}
        entries.append(_entry(file, "ended", f"privilege:{one}", content))
    return entries


async def _tasks(
    connection: AsyncConnection, file: OnboardingFile, standing: OnboardingStanding, as_of: datetime
) -> list[Entry]:
    """Open what the rules ask for and nobody was asked yet; end what they ask for no more."""
    wanted = {task_id(file, one): one for one in standing.tasks}
    known = {one.id for one in file.tasks}
    fresh = [_task(file, name, one, as_of) for name, one in wanted.items() if name not in known]
    if fresh:
        await connection.execute(insert(person_tasks), fresh)
    gone = [one for one in file.tasks if one.state == "open" and one.kind in RULE_TASKS and one.id not in wanted]
    if gone:
        ended = {"state": "done", "done_at": as_of, "done_by": BY_RULES, "outcome": "answered"}
        mine = person_tasks.c.id.in_([one.id for one in gone])
        await connection.execute(update(person_tasks).where(mine).values(ended))
    opened = [_entry(file, "asked", f"task:{row['kind']}", {"task": row["id"], "owner": row["owner"]}) for row in fresh]
    return opened + [_entry(file, "settled", f"task:{one.kind}", {"task": one.id}) for one in gone]


def task_id(file: OnboardingFile, task: TaskDue) -> str:
    """A task's one name: the same thing is asked for once in each episode."""
    about = file.appointment
    return stable("task", about.facility, about.person, task.kind, task.subject, task.episode)


def _task(file: OnboardingFile, name: str, task: TaskDue, as_of: datetime) -> dict[str, Any]:
    about = file.appointment
    row = {"id": name, "person": about.person, "facility": about.facility, "kind": task.kind, "subject": task.subject}
    return row | {"state": "open", "owner": task.owner, "due": task.due_when(as_of), "opened_at": as_of}


async def _keep(
    connection: AsyncConnection,
    file: OnboardingFile,
    standing: OnboardingStanding,
    entries: Sequence[Entry],
    as_of: datetime,
) -> None:
    """Keep the headline, answer the wake, and let access be looked at where what it is given by is another."""
    about = file.appointment
    mine = appointments.c.facility == about.facility, appointments.c.person == about.person
    before = (await connection.execute(select(appointments.c.headline, appointments.c.basis).where(*mine))).one()
    basis = content_hash(
        Basis(
            headline=standing.headline,
            employment=employment(file, as_of),
            stopped=standing.stopped,
            taken_back=standing.taken_back,
            privileges=tuple(sorted(one.id for one in in_force(file, as_of))),
        )
    )
    values = {"headline": standing.headline, "basis": basis, "next_at": standing.next_at, "woken_at": None}
    await connection.execute(update(appointments).where(*mine).values(values))
    noted = list(entries)
    if standing.headline != before.headline:
        content = {"before": before.headline, "stopped": list(standing.stopped), "as_of": as_of.isoformat()}
        noted.append(_entry(file, "stands", standing.headline, content))
    if basis != before.basis:
        await wake_access_in(connection, about.person, as_of)
    await note_in(connection, about.person, *noted)


def _entry(file: OnboardingFile, did: str, what: str, content: dict[str, Any]) -> Entry:
    return Entry(did=did, what=what, facility=file.appointment.facility, content=content)
