"""Brings what HR says of a person into force: appointment, record and privileges as they are on a day, folded anew each time.

Folding the same events on the same day changes nothing, so whoever looks may ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.appointments import Folded, fold
from canonical.employments import Told
from canonical.people import HrEvent
from canonical.people_matching import folded
from canonical.person_records import record_of
from store.people_matching import names_in
from store.people_payroll import pay_days_in
from store.people_privileges import privileges_in
from store.people_reading import IN_USE
from store.people_tables import appointments, hr_events, people
from store.people_wakes import wake_access_in, wake_everywhere_in
from store.person_trace import Entry, note_in

FOR_A_HIRE: Final = "waits for a hire"
VERY_MANY: Final = 100  # events of a person at a facility; a career has some dozens


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event with what stands beside it."""

    id: str
    state: str
    at: datetime
    applied_at: datetime | None
    event: HrEvent

    @property
    def told(self) -> Told:
        """As it is folded."""
        return Told.of(self.id, self.event)


async def apply_in(connection: AsyncConnection, facility: str, person: str, as_of: datetime) -> None:
    """Bring into force what is due by ``as_of``, and wake whom it concerns but the facility's own case, which looks already.

    Call it before anything else is locked in a transaction: it locks the person's appointments in their order, then the person.
    """
    await lock_person_in(connection, person)
    events = await events_in(connection, person)
    mine = [one for one in events if one.event.facility == facility]
    found = fold(facility, person, [one.told for one in mine], as_of.date())
    entries = await _states(connection, facility, mine, found, as_of)
    changed = await _appointment(connection, facility, person, found, as_of)
    told = found.appointment is not None and found.appointment.state not in ("ended", "withdrawn")
    given = await privileges_in(connection, facility, person, found, as_of, employed=told)
    entries += given
    entries += await pay_days_in(
        connection, facility, person, [(one.at, one.applied_at, one.told) for one in mine], as_of
    )
    another = await _record(connection, person, events, as_of)
    if another:
        entries.append(Entry(did="recorded", facility=facility, content={"changed": another}))
        await wake_everywhere_in(connection, person, as_of)
    elif changed or given:
        await wake_access_in(connection, person, as_of)
    await note_in(connection, person, *entries)


async def of_very_many_in(connection: AsyncConnection, facility: str, person: str) -> bool:
    """Whether folding somebody anew for each message would cost more than all else of it: their case's next look folds for all.

    Never of somebody who has no case at the facility yet.
    """
    mine = hr_events.c.person == person, hr_events.c.facility == facility, hr_events.c.state.in_(IN_USE)
    some = select(hr_events.c.id).where(*mine).limit(VERY_MANY + 1).subquery()
    if (await connection.scalar(select(func.count()).select_from(some)) or 0) <= VERY_MANY:
        return False
    case = select(appointments.c.person).where(appointments.c.person == person, appointments.c.facility == facility)
    return await connection.scalar(case) is not None


async def lock_person_in(connection: AsyncConnection, person: str) -> None:
    """A person's appointments in their order, then the person: as whoever locks both does it."""
    cases = select(appointments.c.facility).where(appointments.c.person == person).order_by(appointments.c.facility)
    await connection.execute(cases.with_for_update())
    await connection.execute(select(people.c.person).where(people.c.person == person).with_for_update())


async def events_in(connection: AsyncConnection, person: str) -> Sequence[KeptEvent]:
    """Every event of a person that is folded, at all facilities, in the order they came."""
    mine = hr_events.c.person == person, hr_events.c.state.in_(IN_USE)
    asked = select(
        hr_events.c.id, hr_events.c.state, hr_events.c.at, hr_events.c.applied_at, hr_events.c.content
    ).where(*mine)
    return [
        KeptEvent(row.id, row.state, row.at, row.applied_at, HrEvent.model_validate(row.content))
        for row in await connection.execute(asked.order_by(hr_events.c.id))
    ]


async def _states(
    connection: AsyncConnection, facility: str, mine: Sequence[KeptEvent], found: Folded, as_of: datetime
) -> list[Entry]:
    """What each event is now; those that came into force or were overtaken are noted."""
    new = {one.id: found.states[one.id] for one in mine if found.states[one.id] != one.state}
    if new:
        values = {"state": case(new, value=hr_events.c.id), "reason": "", "changed_at": as_of}
        await connection.execute(update(hr_events).where(hr_events.c.id.in_(new)).values(values))
        first = [one.id for one in mine if new.get(one.id, "matched") != "matched" and one.applied_at is None]
        if first:
            await connection.execute(update(hr_events).where(hr_events.c.id.in_(first)).values(applied_at=as_of))
    if found.waiting:
        silent = hr_events.c.id.in_(found.waiting), hr_events.c.reason == ""
        await connection.execute(update(hr_events).where(*silent).values(reason=FOR_A_HIRE))
    by_id = {one.id: one.event for one in mine}
    return [
        Entry(
            did=state,
            what=one,
            facility=facility,
            content={
                "kind": by_id[one].kind,
                "effective": by_id[one].effective.isoformat(),
                "as_of": as_of.isoformat(),
            },
        )
        for one, state in new.items()
        if state != "matched"
    ]


async def _appointment(connection: AsyncConnection, facility: str, person: str, found: Folded, as_of: datetime) -> bool:
    mine = appointments.c.facility == facility, appointments.c.person == person
    row = (await connection.execute(select(appointments).where(*mine))).mappings().one_or_none()
    if found.appointment is None:
        if row is None or row["state"] in ("ended", "withdrawn"):
            return False
        gone = {"state": "withdrawn", "ended_why": "of-another-person", "next_change": None, "changed_at": as_of}
        await connection.execute(update(appointments).where(*mine).values(gone))
        return True
    names = ("state", "offered_at", "starts", "ends_on", "ended_why", "next_change")
    values: dict[str, Any] = {name: getattr(found.appointment, name) for name in names}
    values["position"] = found.appointment.position.model_dump(mode="json", exclude_defaults=True)
    if row is not None and all(row[name] == value for name, value in values.items()):
        return False
    values["changed_at"] = as_of
    told = upsert(appointments).values(values | {"facility": facility, "person": person})
    await connection.execute(told.on_conflict_do_update(index_elements=["facility", "person"], set_=values))
    return True


async def _record(connection: AsyncConnection, person: str, events: Sequence[KeptEvent], as_of: datetime) -> list[str]:
    """Who it is by now, with what matching compares; gives the names of what changed, never what it is."""
    held = (await connection.execute(select(people).where(people.c.person == person))).mappings().one_or_none()
    if held is None or (not events and not held["content"]):
        return []
    record = record_of([one.event for one in events], as_of.date())
    values: dict[str, Any] = {
        "content": record.model_dump(mode="json", exclude_defaults=True),
        "family_folded": folded(record.name.family),
        "given_folded": folded(record.name.given),
        "birth_date": record.birth_date,
        "npi": record.npi.strip(),
        "national_hash": record.national_id,
    }
    await names_in(connection, person, _names(events))
    if all(held[name] == value for name, value in values.items()):
        return []
    await connection.execute(update(people).where(people.c.person == person).values(values | {"changed_at": as_of}))
    return _changed(held["content"], values["content"])


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)) or ["folding"]


def _names(events: Sequence[KeptEvent]) -> set[tuple[str, str]]:
    """Every family name with the given name it was said with."""
    found = set()
    for record in (one.event.record for one in events):
        given = folded(record.name.given)
        found |= {(folded(one.family), folded(one.given) or given) for one in record.names if folded(one.family)}
    return found
