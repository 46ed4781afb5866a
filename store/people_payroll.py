"""What a change of the past means for payroll: the days already paid that it touches, as a task of payroll and in the trace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.employments import Told
from canonical.people import stable
from canonical.person_records import PayDays, pay_days
from store.people_reading import policy_in
from store.people_tables import person_tasks
from store.person_trace import Entry

PAYROLL: Final = "payroll"
KIND: Final = "pay-days"
LONG_AGO: Final = timedelta(days=92)  # what a first load tells of before was paid by whoever knew it then
FIRST_LOAD: Final = timedelta(days=1)  # after the first that we hear of a person at a facility

Came = tuple[datetime, datetime | None, Told]
"""When an event came, when it came into force first, and what it says."""


async def pay_days_in(
    connection: AsyncConnection, facility: str, person: str, events: Sequence[Came], as_of: datetime
) -> list[Entry]:
    """Open a task for each event that came after its day and has not been in force before, and say which days it touches."""
    entries: list[Entry] = []
    for at, applied, told in events:
        if applied is not None or told.effective >= at.date() or told.effective > as_of.date():
            continue
        spans = touched(events, told, at)
        if spans:
            entries.append(await _task(connection, facility, person, told, spans, as_of))
    return entries


def touched(events: Sequence[Came], one: Told, at: datetime) -> Sequence[PayDays]:
    """The days before it came that an event touches, held against what had come by then."""
    known = min(came for came, _, _ in events)
    begins = one.starts if one.kind == "hire" else one.effective
    if at - known < FIRST_LOAD and at.date() - begins > LONG_AGO:
        return ()
    before = [told for came, _, told in events if told.id != one.id and (came, told.id) < (at, one.id)]
    return pay_days(before, [*before, one], at.date())


async def _task(
    connection: AsyncConnection, facility: str, person: str, told: Told, spans: Sequence[PayDays], as_of: datetime
) -> Entry:
    policy = await policy_in(connection, facility, as_of)
    first, last = min(span.first for span in spans), max(span.last for span in spans)
    values: dict[str, Any] = {
        "id": stable(KIND, told.id),
        "person": person,
        "facility": facility,
        "kind": KIND,
        "subject": f"{first.isoformat()}..{last.isoformat()}",
        "state": "open",
        "owner": PAYROLL,
        "due": as_of + timedelta(days=policy.task_days),
        "opened_at": as_of,
    }
    told_anew = {name: values[name] for name in ("subject", "state", "due")}  # its event was corrected
    made = upsert(person_tasks).values(values).on_conflict_do_update(index_elements=["id"], set_=told_anew)
    await connection.execute(made)
    content = {"event": told.id, "spans": [span.model_dump(mode="json") | {"days": span.days} for span in spans]}
    return Entry(did="back-dated", what=f"task:{values['id']}", facility=facility, content=content)
