"""An HR department for the tests of people: it says things of clinicians, and looks at what our store made of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.onboarding import Appointment
from canonical.people import HrEvent, HrKept
from store.database import transaction
from store.people_applying import apply_in
from store.people_inbox import StoredHrInbox
from store.people_tables import appointments, hr_events, people, person_trace
from store.person_trace import TraceRow, trace_in

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
CANARY = "Zzcanary"  # a family name that must be in no log, id, trace or line
BORN = "1984-05-17"


class Hr:
    """One HR system and what our store keeps of it; ``now`` is the clock of what comes."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine, self.now, self.messages = engine, NOW, 0
        self.inbox = StoredHrInbox(engine, lambda: self.now)

    def event(self, number: str, kind: str = "hire", person: str = "P-1", **fields: Any) -> HrEvent:
        """Something said of a person a month ago, in force since the first of March."""
        about: dict[str, Any] = {"facility": "NGH", "source": "hr", "number": number, "person": person, "kind": kind}
        about |= {"said_at": NOW - timedelta(days=30), "effective": date(2026, 3, 1)}
        if kind == "hire":
            name = {"family": fields.pop("family", CANARY), "given": fields.pop("given", "Anna")}
            record = {"name": name, "birth_date": BORN} | fields.pop("record", {})
            about |= {"record": record, "position": {"role": "rn", "cost_centre": "CC-1"}}
        return HrEvent.model_validate(about | fields)

    async def say(self, *events: HrEvent, message: str = "", corrects: str = "") -> Sequence[HrKept]:
        """All of one message."""
        self.messages += 1
        return await self.inbox.keep(events, message or f"M-{self.messages}", "HR", corrects)

    async def one(self, *events: HrEvent, **how: Any) -> HrKept:
        """What became of the last of them, each by a message of its own."""
        kept = [(await self.say(event, **how))[0] for event in events]
        return kept[-1]

    async def at(self, person: str, day: datetime | None = None, facility: str = "NGH") -> Appointment | None:
        """How somebody stands on a day."""
        async with transaction(self.engine) as connection:
            await apply_in(connection, facility, person, day or self.now)
            asked = select(appointments).where(appointments.c.facility == facility, appointments.c.person == person)
            row = (await connection.execute(asked)).mappings().one_or_none()
        return Appointment.model_validate(dict(row)) if row is not None else None

    async def trace(self, person: str) -> Sequence[TraceRow]:
        async with transaction(self.engine) as connection:
            return await trace_in(connection, person)

    async def rows(self, table: Table, *which: Any) -> list[dict[str, Any]]:
        async with transaction(self.engine) as connection:
            return [dict(row) for row in (await connection.execute(select(table).where(*which))).mappings()]

    async def everybody(self) -> list[str]:
        return [row["person"] for row in await self.rows(people)]

    async def states(self) -> dict[str, str]:
        """Each event's state, by its number."""
        return {row["number"]: row["state"] for row in await self.rows(hr_events)}

    async def told(self) -> str:
        """All that stands in the trace, as text."""
        return "\n".join(str(row) for row in await self.rows(person_trace))
