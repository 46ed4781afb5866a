"""What one transaction hears of people, and brings into force at its end: blocks first, then what holds, then who is to look."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.access import Block
from canonical.appointments import may_change_access
from canonical.onboarding import Appointment
from canonical.people import MAY_BE_URGENT, ClinicianRecord, HrEvent
from canonical.people_matching import CLOCKS_DIFFER, Candidate, marks, match
from store.ids import now
from store.message_reads import read_before_in
from store.people_applying import apply_in, lock_person_in, of_very_many_in
from store.people_blocking import block_in
from store.people_matching import bind_in
from store.people_met import Met
from store.people_reading import IN_USE, record_in
from store.people_tables import appointments, hr_events
from store.people_wakes import wake_access_in, wake_onboarding_in
from store.person_trace import Entry, note_in
from store.tables import fit

EMERGENCY: Final = "hr-emergency"
NO_HIRE: Final = "nobody is known by its number: it waits for a hire"


@dataclass
class Heard:
    """What one transaction heard: entries of the trace, blocks, cases to look. All at its end, person by person in one order."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    cases: set[tuple[str, str]] = field(default_factory=set)  # person, facility
    at_once: set[tuple[str, str]] = field(default_factory=set)  # of these, what is not left to the case's next look
    waiting: dict[tuple[str, str], list[HrEvent]] = field(default_factory=dict)  # what may be left to it
    blocks: dict[str, tuple[Block, str]] = field(default_factory=dict)
    met: Met = field(default_factory=Met)  # whom it told of, as they are compared, until that is written

    def note(self, person: str, *entries: Entry) -> None:
        """To be noted at the end."""
        self.entries.setdefault(person, []).extend(entries)

    def meet(self, person: str, event: HrEvent) -> Candidate:
        """Somebody by what was said of them in this transaction so far."""
        return self.met.add(person, marks(event.record))

    def concerns(self, person: str, facility: str) -> None:
        """What holds of a person at a facility is to be folded anew by the end of this transaction."""
        self.cases.add((person, facility))
        self.at_once.add((person, facility))

    def may_wait(self, person: str, event: HrEvent) -> None:
        """The same, unless there is so much of them that their cases' next look is to fold for all."""
        self.cases.add((person, event.facility))
        self.waiting.setdefault((person, event.facility), []).append(event)

    async def settle_in(self, connection: AsyncConnection, at: datetime) -> None:
        """Block first, then bring into force, note, and wake."""
        for person, read in (await read_before_in(connection, self.entries)).items():
            self.note(person, *read)
        for person in sorted({*self.entries, *self.blocks, *(who for who, _ in self.cases)}):
            await self._of(connection, person, at)

    async def _of(self, connection: AsyncConnection, person: str, at: datetime) -> None:
        facilities = sorted(facility for who, facility in self.cases if who == person)
        await lock_person_in(connection, person)
        await note_in(connection, person, *self.entries.get(person, ()))
        if person in self.blocks:
            block, facility = self.blocks[person]
            await block_in(connection, block, facility)
        for facility in facilities:
            if await self._waits(connection, facility, person):
                await wake_access_in(connection, person, at)  # it folds too, where the facility's own case stands still
            else:
                await apply_in(connection, facility, person, at)
            await wake_onboarding_in(connection, facility, person, at)

    async def _waits(self, connection: AsyncConnection, facility: str, person: str) -> bool:
        here = person, facility
        if here in self.at_once or not await of_very_many_in(connection, facility, person):
            return False
        mine = appointments.c.person == person, appointments.c.facility == facility
        row = (await connection.execute(select(appointments).where(*mine))).mappings().one()
        stands, known = Appointment.model_validate(dict(row)), await record_in(connection, person) or ClinicianRecord()
        return not any(may_change_access(event, stands, known) for event in self.waiting.get(here, ()))


def heard_of(one: str, event: HrEvent) -> Entry:
    """That an event is somebody's, as the trace has it: what it is, never who."""
    said = {"kind": event.kind, "said_at": event.said_at.isoformat(), "effective": event.effective.isoformat()}
    content: dict[str, Any] = said | ({"emergency": True} if event.emergency else {})
    return Entry(did="heard", what=one, by=f"hr:{event.source}", facility=event.facility, content=content)


async def emergency(connection: AsyncConnection, one: str, event: HrEvent, person: str, heard: Heard) -> None:
    """Block a person by an event's word, unless they were hired anew since it was said (it came late, or again).

    A hire said far ahead of when it came was said by a clock that is wrong: it is in nobody's way. What ends nothing blocks nobody.
    """
    if not person or event.kind not in MAY_BE_URGENT:
        return
    later = hr_events.c.person == person, hr_events.c.kind == "hire", hr_events.c.said_at > event.said_at
    counts = hr_events.c.facility == event.facility, hr_events.c.state.in_(IN_USE)  # one that is parked hires nobody
    in_time = hr_events.c.said_at <= hr_events.c.at + CLOCKS_DIFFER
    hired = select(hr_events.c.id).where(*later, *counts, in_time).limit(1)
    if await connection.scalar(hired) is None:
        by, why = f"hr:{event.source}", event.reason or EMERGENCY
        block = Block(person=person, since=now(), by=by, reason=why, id=one)
        heard.blocks.setdefault(person, (block, event.facility))


async def adopt(
    connection: AsyncConnection, source: str, number: str, person: str, heard: Heard, states: Sequence[str]
) -> None:
    """Events of a number in these states are a person's now; an emergency of it that is parked blocks them."""
    mine = hr_events.c.source == source, hr_events.c.source_person == fit(number)
    asked = select(hr_events.c.id).where(*mine, hr_events.c.state.in_(states), hr_events.c.person != person)
    await moved(connection, (await connection.scalars(asked)).all(), person, heard)
    urgent = hr_events.c.state == "parked", hr_events.c.emergency, hr_events.c.person != person
    for row in (await connection.execute(select(hr_events.c.id, hr_events.c.content).where(*mine, *urgent))).all():
        await emergency(connection, row.id, HrEvent.model_validate(row.content), person, heard)


async def adopt_alike(connection: AsyncConnection, one: Candidate, heard: Heard) -> None:
    """Events that wait for a hire of their number and are certainly this person's by another: a system that sends no hires."""
    if not (one.npi or one.national_hash):
        return
    waits = hr_events.c.state == "waiting", hr_events.c.reason == NO_HIRE
    record = hr_events.c.content["record"]
    shares = (record["npi"].astext == (one.npi or None)) | (record["national_id"].astext == (one.national_hash or None))
    asked = select(hr_events.c.source, hr_events.c.source_person, hr_events.c.content).where(*waits, shares)
    for row in (await connection.execute(asked.order_by(hr_events.c.id))).all():
        found = match(marks(HrEvent.model_validate(row.content).record), "", [one])
        if found.outcome == "certain":
            await bind_in(connection, row.source, row.source_person, one.person, f"rule:{found.rule}")
            await adopt(connection, row.source, row.source_person, one.person, heard, ("waiting",))


async def moved(connection: AsyncConnection, events: Collection[str], person: str, heard: Heard) -> None:
    """These events are a person's now; whose they were before is folded without them."""
    which = hr_events.c.id.in_(events)
    asked = select(hr_events.c.id, hr_events.c.content, hr_events.c.person).where(which).order_by(hr_events.c.id)
    rows = (await connection.execute(asked)).all() if events else ()
    values = {"state": "matched", "person": person, "owner": "", "reason": "", "candidates": [], "changed_at": now()}
    if rows:
        await connection.execute(update(hr_events).where(which).values(values))
    for row in rows:
        event = HrEvent.model_validate(row.content)
        heard.note(person, heard_of(row.id, event))
        heard.concerns(person, event.facility)
        if row.person:
            heard.note(
                row.person, Entry(did="moved", what=row.id, facility=event.facility, content={"kind": event.kind})
            )
            heard.concerns(row.person, event.facility)
        if event.emergency:
            await emergency(connection, row.id, event, person, heard)
