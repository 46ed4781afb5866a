"""What one transaction hears of people, and brings into force at its end: blocks first, then what holds, then who is to look."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.access import Block
from canonical.people import HrEvent
from canonical.people_matching import Candidate, both, marks, match
from store.ids import now
from store.people_applying import apply_in, lock_person_in
from store.people_blocking import block_in
from store.people_matching import bind_in
from store.people_tables import hr_events
from store.people_wakes import wake_onboarding_in
from store.person_trace import Entry, note_in
from store.tables import fit

EMERGENCY: Final = "hr-emergency"
NO_HIRE: Final = "nobody is known by its number: it waits for a hire"


@dataclass
class Heard:
    """What one transaction heard: entries of the trace, blocks, cases to look. All at its end, person by person in one order."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    cases: set[tuple[str, str]] = field(default_factory=set)  # person, facility
    blocks: dict[str, tuple[Block, str]] = field(default_factory=dict)
    met: dict[str, Candidate] = field(
        default_factory=dict
    )  # whom it told of, as they are compared, until that is written

    def note(self, person: str, *entries: Entry) -> None:
        """To be noted at the end."""
        self.entries.setdefault(person, []).extend(entries)

    def meet(self, person: str, event: HrEvent) -> Candidate:
        """Somebody by what was said of them in this transaction so far."""
        self.met[person] = both(self.met.get(person, Candidate(person=person)), marks(event.record))
        return self.met[person]

    async def settle_in(self, connection: AsyncConnection, at: datetime) -> None:
        """Block first, then bring into force, note, and wake."""
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
            await apply_in(connection, facility, person, at)
            await wake_onboarding_in(connection, facility, person, at)


def heard_of(one: str, event: HrEvent) -> Entry:
    """That an event is somebody's, as the trace has it: what it is, never who."""
    said = {"kind": event.kind, "said_at": event.said_at.isoformat(), "effective": event.effective.isoformat()}
    content: dict[str, Any] = said | ({"emergency": True} if event.emergency else {})
    return Entry(did="heard", what=one, by=f"hr:{event.source}", facility=event.facility, content=content)


async def emergency(connection: AsyncConnection, one: str, event: HrEvent, person: str, heard: Heard) -> None:
    """Block a person by an event's word, unless they were hired anew since it was said (it came late, or again)."""
    later = hr_events.c.person == person, hr_events.c.kind == "hire", hr_events.c.said_at > event.said_at
    hired = select(hr_events.c.id).where(*later, hr_events.c.facility == event.facility).limit(1)
    if await connection.scalar(hired) is None:
        by, why = f"hr:{event.source}", event.reason or EMERGENCY
        block = Block(person=person, since=now(), by=by, reason=why, id=one)
        heard.blocks.setdefault(person, (block, event.facility))


async def adopt(
    connection: AsyncConnection, source: str, number: str, person: str, heard: Heard, states: Sequence[str]
) -> None:
    """Events of a number in these states are a person's now."""
    mine = hr_events.c.source == source, hr_events.c.source_person == fit(number), hr_events.c.state.in_(states)
    found = await connection.scalars(select(hr_events.c.id).where(*mine, hr_events.c.person != person))
    await moved(connection, found.all(), person, heard)


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
        heard.cases.add((person, event.facility))
        if row.person:
            heard.note(
                row.person, Entry(did="moved", what=row.id, facility=event.facility, content={"kind": event.kind})
            )
            heard.cases.add((row.person, event.facility))
        if event.emergency:
            await emergency(connection, row.id, event, person, heard)
