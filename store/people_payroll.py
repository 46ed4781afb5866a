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
EACH: Final = 20  # events that come into force at once have a task of their own
FIRST_LOAD: Final = timedelta(days=1)  # after the first that we hear of a person at a facility

Came = tuple[datetime, datetime | None, Told]
"""When an event came, when it came into force first, and what it says."""


async def pay_days_in(
    connection: AsyncConnection, facility: str, person: str, events: Sequence[Came], as_of: datetime
) -> list[Entry]:
    """Open a task for each event that came after its day and has not been in force before, and say which days it touches.

    Each is held against what had come by then. Of very many at once those behind the first twenty are one task: what they come
    to together is one piece of work for payroll, and not as many as somebody has sent.
    """
    came = sorted(events, key=_came)
    late = [one for one in came if _late(one, as_of) and not _of_first_load(came, one)]
    entries: list[Entry] = []
    for one in late[:EACH]:
        before = [told for at, _, told in came if (at, told.id) < _came(one)]
        spans = pay_days(before, [*before, one[2]], one[0].date())
        if spans:
            entries.append(await _task(connection, facility, person, one[2], spans, as_of))
    if rest := {one[2].id for one in late[EACH:]}:
        first, last = late[EACH], late[-1]
        after = [told for at, _, told in came if (at, told.id) <= _came(last)]
        before = [told for told in after if told.id not in rest]
        if spans := pay_days(before, after, last[0].date()):
            entries.append(await _task(connection, facility, person, first[2], spans, as_of, len(rest)))
    return entries


def _came(one: Came) -> tuple[datetime, str]:
    return one[0], one[2].id


def _late(one: Came, as_of: datetime) -> bool:
    at, applied, told = one
    return applied is None and told.effective < at.date() and told.effective <= as_of.date()


def _of_first_load(came: Sequence[Came], one: Came) -> bool:
    """Whether a first load tells of days that are long past. ``came``: all events, in the order they came."""
    at, _, told = one
    begins = told.starts if told.kind == "hire" else told.effective
    return at - came[0][0] < FIRST_LOAD and at.date() - begins > LONG_AGO


async def _task(
    connection: AsyncConnection,
    facility: str,
    person: str,
    told: Told,
    spans: Sequence[PayDays],
    as_of: datetime,
    events: int = 1,
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
    content: dict[str, Any] = {"event": told.id} | ({"events": events} if events > 1 else {})
    content["spans"] = [span.model_dump(mode="json") | {"days": span.days} for span in spans]
    return Entry(did="back-dated", what=f"task:{values['id']}", facility=facility, content=content)
