"""People and HR events as one lists and shows them: by key, without names; a name is read only with a note of who read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.cases import Actor
from canonical.people import HrEvent
from canonical.people_matching import Marks, marks
from store.acts import Act, noted_in
from store.database import transaction
from store.message_reads import NAMED
from store.people_matching import holder_in, known_in, match_in
from store.people_reading import gone_to_in, known_at_in, record_in
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
from store.person_trace import Entry, TraceRow, broken_at, note_in, trace_in

OVER: Final = ("ended", "withdrawn")
OPEN: Final = ("waiting", "possible", "parked")
Row = dict[str, Any]


class StoredPeopleLists:
    """Lists and views, from our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def people(
        self,
        *,
        facility: str = "",
        state: str = "",
        role: str = "",
        blocked: bool = False,
        everything: bool = False,
        after: str = "",
        limit: int = 50,
    ) -> Sequence[Row]:
        """People at facilities in the order of their keys; those whose employment is over only where asked for.

        ``after``: a key, or ``KEY/FACILITY`` where the page before ended in the middle of somebody.
        ``state`` is one of the employment's or a headline. ``blocked``: whose access is revoked, also a key that nobody has, which
        is at no facility.
        """
        asked, key = _blocks() if blocked else (_cases(), appointments.c.person)
        asked = asked.order_by(key, appointments.c.facility).limit(limit)
        if facility:
            asked = asked.where(appointments.c.facility == facility)
        if state:
            asked = asked.where((appointments.c.state == state) | (appointments.c.headline == state))
        elif not everything and not blocked:
            asked = asked.where(appointments.c.state.not_in(OVER))
        if role:
            asked = asked.where(appointments.c.position["role"].astext == role)
        if after:  # of somebody at two facilities the page may have ended with the first
            person, _, site = after.partition("/")
            row = tuple_(key, appointments.c.facility)
            asked = asked.where(row > (person, site) if site else key > person)
        async with transaction(self._engine) as connection:
            return [_case(row) for row in (await connection.execute(asked)).mappings()]

    async def person(self, person: str, by: str = "") -> Row | None:
        """One person with all that stands; ``by``: somebody who reads who it is, noted in the trace. None: nobody is known so."""
        async with transaction(self._engine) as connection:
            held = (await connection.execute(select(people).where(people.c.person == person))).mappings().one_or_none()
            if held is None:
                return None
            found: Row = {"person": person, "trace": held["links"]}
            cases = await connection.execute(
                _cases().where(appointments.c.person == person).order_by(appointments.c.facility)
            )
            found["at"] = [_case(row) for row in cases.mappings()]
            numbers = select(person_numbers).where(person_numbers.c.person == person).order_by(person_numbers.c.source)
            found["numbers"] = [dict(row) for row in (await connection.execute(numbers)).mappings()]
            found |= await _stands(connection, person)
            found["pay"] = await _pay(connection, person)
            count = select(func.count()).select_from(hr_events).where(hr_events.c.person == person)
            found["events"] = await connection.scalar(count)
            found["gone_to"] = await gone_to_in(connection, person)
            if by:
                record = await record_in(connection, person)
                found["record"] = record.model_copy(update={"national_id": ""}) if record else None
                await note_in(connection, person, Entry(did="read", what="record", by=by))
            return found

    async def events(
        self,
        *,
        states: Sequence[str] = (),
        facility: str = "",
        person: str = "",
        source: str = "",
        after: str = "",
        limit: int = 50,
    ) -> Sequence[Row]:
        """HR events in the order they came; those of a person in the order they were said."""
        asked = select(hr_events).limit(limit)
        for name, value in (("facility", facility), ("person", person)):
            if value:
                asked = asked.where(hr_events.c[name] == value)
        if source:  # a sender HRIS is the source hris, and either is asked for
            asked = asked.where(hr_events.c.source.in_({source, source.lower()}))
        if states:
            asked = asked.where(hr_events.c.state.in_(states))
        said = tuple_(hr_events.c.said_at, hr_events.c.id)
        asked = asked.order_by(hr_events.c.said_at, hr_events.c.id) if person else asked.order_by(hr_events.c.id)
        async with transaction(self._engine) as connection:
            if after and person:
                when = await connection.scalar(select(hr_events.c.said_at).where(hr_events.c.id == after))
                asked = asked.where(said > (when, after))
            elif after:
                asked = asked.where(hr_events.c.id > after)
            return [_event(row) for row in (await connection.execute(asked)).mappings()]

    async def event(self, event: str, by: Actor | None = None) -> Row | None:
        """One HR event, with how those it may be about are like it; ``by``: who reads whom it names, noted with each of them.

        That it was read is a deed too: whoever it turns out to be has it in their trace with the match (store/message_reads.py).
        """
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(hr_events).where(hr_events.c.id == event))).mappings().one_or_none()
            if row is None:
                return None
            said, found = HrEvent.model_validate(row["content"]), _event(row)
            if row["state"] in OPEN:  # who came since may be it too
                holder = await holder_in(connection, row["source"], row["source_person"])
                fresh = await match_in(connection, said, holder)
                found["candidates"] = list(
                    dict.fromkeys((*row["candidates"], *filter(None, [fresh.person]), *fresh.candidates))
                )
            concerned = sorted({*found["candidates"], *filter(None, [row["person"]])})
            known = {one.person: one for one in await known_in(connection, concerned)}
            mine = marks(said.record)
            found["likeness"] = [
                {"person": one, "marks": likeness(mine, known[one])} for one in found["candidates"] if one in known
            ]
            if by is not None:
                found["record"] = said.record.model_copy(update={"national_id": ""})
                deed = await noted_in(connection, Act(verb=NAMED, about=f"hr_event/{event}", actor=by))
                for person in concerned:
                    entry = Entry(did="read", what=f"event:{event}", by=by.id, content={"deed": deed})
                    await note_in(connection, person, entry)
            return found

    async def facility_of(self, event: str) -> str | None:
        """The facility an HR event is of; None where there is none of that id."""
        async with transaction(self._engine) as connection:
            found: str | None = await connection.scalar(select(hr_events.c.facility).where(hr_events.c.id == event))
            return found

    async def facilities_of(self, person: str) -> Sequence[str]:
        """Where a person is known."""
        async with transaction(self._engine) as connection:
            return await known_at_in(connection, person)

    async def trace(self, person: str) -> tuple[Sequence[TraceRow], str, int | None] | None:
        """A person's trace, the hash that closes it, and the first entry that is not as it was written; None: nobody is known so."""
        async with transaction(self._engine) as connection:
            asked = select(people.c.links, people.c.link).where(people.c.person == person)
            held = (await connection.execute(asked)).one_or_none()
            rows = await trace_in(connection, person)
            if held is None and not rows:
                return None
            links, last = (held.links, held.link) if held is not None else (0, "")
            return rows, last, broken_at(person, rows, links, last)


def likeness(said: Marks, one: Marks) -> dict[str, str]:
    """Which marks two have in common, without their values."""
    return {
        "family name": _sets(said.families, one.families),
        "given name": _sets(said.givens, one.givens),
        "birth date": _same(said.birth_date, one.birth_date),
        "npi": _same(said.npi, one.npi),
        "national number": _same(said.national_hash, one.national_hash),
    }


def _same(one: Any, other: Any) -> str:
    return "unknown" if not one or not other else "same" if one == other else "other"


def _sets(one: frozenset[str], other: frozenset[str]) -> str:
    return "unknown" if not one or not other else "same" if one & other else "other"


def _of_blocks() -> tuple[Any, ...]:
    block = revocation_blocks.c
    words = block.by.label("blocked_by"), block.reason.label("blocked_reason")
    return block.person.label("blocked_key"), block.since.label("blocked_since"), *words


def _same_person() -> Any:
    """A person's standing block: there is one at the most."""
    return (revocation_blocks.c.person == appointments.c.person) & revocation_blocks.c.lifted_at.is_(None)


def _cases() -> Select[Any]:
    return select(appointments, *_of_blocks()).outerjoin(revocation_blocks, _same_person())


def _blocks() -> tuple[Select[Any], Any]:
    """Standing blocks with the appointments of their keys, where there are any; and the key."""
    asked = select(appointments, *_of_blocks()).select_from(revocation_blocks.outerjoin(appointments, _same_person()))
    return asked.where(revocation_blocks.c.lifted_at.is_(None)), revocation_blocks.c.person


def _case(row: Any) -> Row:
    """A row of a list; of a key nobody has, what its block says."""
    blocked = {
        "blocked": row["blocked_key"] is not None,
        "blocked_since": row["blocked_since"],
        "blocked_by": row["blocked_by"] or "",
        "blocked_reason": row["blocked_reason"] or "",
    }
    if row["person"] is None:
        return {"person": row["blocked_key"], "facility": "", "state": ""} | blocked
    names = (
        "person",
        "facility",
        "state",
        "headline",
        "starts",
        "ends_on",
        "next_change",
        "suspended",
        "changed_at",
    )
    position = row["position"]
    codes = {name: position.get(name) or "" for name in ("role", "department", "cost_centre")}
    return {name: row[name] for name in names} | codes | blocked


def _event(row: Any) -> Row:
    return {
        name: row[name]
        for name in row
        if name not in ("content", "hash", "sender", "source_person", "applied_at", "changed_at")
    }


async def _stands(connection: AsyncConnection, person: str) -> Row:
    """What is verified, granted, written and to be done, each by its code."""
    checked = select(verifications.c.kind, verifications.c.subject, verifications.c.state)
    granted = select(privileges.c.state, func.count()).group_by(privileges.c.state)
    stands = select(access_states.c.target, access_states.c.state)
    owed = select(person_tasks.c.id, person_tasks.c.kind, person_tasks.c.subject, person_tasks.c.owner)
    found: dict[str, Sequence[Any]] = {}
    for name, asked, table in (
        ("verifications", checked, verifications),
        ("privileges", granted, privileges),
        ("access", stands, access_states),
        ("tasks", owed.where(person_tasks.c.state == "open"), person_tasks),
    ):
        found[name] = (await connection.execute(asked.where(table.c.person == person))).all()
    return {
        "verifications": {
            f"{kind}:{subject}" if subject else kind: state for kind, subject, state in found["verifications"]
        },
        "privileges": {row[0]: row[1] for row in found["privileges"]},
        "access": {row.target: row.state for row in found["access"]},
        "tasks": {one: f"{kind} {subject} ({owner})" for one, kind, subject, owner in found["tasks"]},
    }


async def _pay(connection: AsyncConnection, person: str) -> Sequence[Row]:
    mine = person_trace.c.person == person, person_trace.c.did == "back-dated"
    asked = select(person_trace.c.facility, person_trace.c.content).where(*mine).order_by(person_trace.c.link)
    return [
        {"event": row.content["event"], "facility": row.facility, "spans": row.content["spans"]}
        for row in await connection.execute(asked)
    ]
