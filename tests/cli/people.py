"""People in memory for the commands to talk to: one who works, and an event that may be about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from canonical.people import ClinicianRecord, PersonName
from canonical.person_records import PayDays
from cli.people_views import (
    HrEventFilter,
    HrEventRow,
    HrEventView,
    Likeness,
    Matched,
    PayRow,
    PeopleFilter,
    PersonRow,
    PersonView,
    TraceEntry,
    TraceView,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = "0199-person-1"
EVENT = "0199-event-1"
NAME = "Zzcanary"


class FakePeople:
    """It remembers what it was asked to do, in ``asked_for``; ``broken``: an entry of the trace that was changed."""

    def __init__(self, asked_for: list[Any], broken: int | None = None) -> None:
        self._asked_for, self._broken = asked_for, broken

    async def rows(self, which: PeopleFilter, limit: int) -> Sequence[PersonRow]:
        self._asked_for.append(which)
        row = PersonRow(
            person=KEY, facility="NGH", state="working", headline="privileged", role="rn", cost_centre="CC-1"
        )
        block = {"blocked": True, "blocked_since": NOON, "blocked_by": "E-HR", "blocked_reason": "keys taken"}
        if which.blocked:
            nobody = {"person": "0199-nobody", "facility": "", "state": "", "headline": "", "role": ""}
            return [row.model_copy(update=block | nobody)]
        return [row, row.model_copy(update={"person": "0199-person-2"} | block)][:limit]

    async def show(self, person: str, names: bool) -> PersonView | None:
        if person != KEY:
            return None
        self._asked_for.append((person, names))
        span = PayDays(field="cost_centre", was="CC-1", now="CC-2", first=date(2026, 11, 1), last=date(2026, 11, 9))
        record = ClinicianRecord(name=PersonName(family=NAME, given="Anna"), former_family="Before")
        return PersonView(
            person=KEY,
            at=tuple(await self.rows(PeopleFilter(), 1)),
            verifications={"licence:IL": "confirmed"},
            pay=(PayRow(event=EVENT, facility="NGH", spans=(span,)),),
            tasks={"t-1": "hand-out BADGE (facility services)", "t-2": "notice (medical staff)"},
            events=1,
            trace=5,
            record=record if names else None,
        )

    async def events(self, which: HrEventFilter, limit: int) -> Sequence[HrEventRow]:
        self._asked_for.append(which)
        return [await self._row()][:limit]

    async def _row(self) -> HrEventView:
        about = {"facility": "NGH", "source": "roster", "number": "900", "kind": "hire", "state": "possible"}
        when = {"effective": date(2026, 12, 1), "said_at": NOON, "at": NOON}
        return HrEventView.model_validate({"id": EVENT, "candidates": (KEY,), "reason": "name", **about, **when})

    async def event(self, event: str, names: bool) -> HrEventView | None:
        like = Likeness(person=KEY, marks={"family name": "same", "birth date": "other"})
        return (await self._row()).model_copy(update={"likeness": (like,)}) if event == EVENT else None

    async def match(self, event: str, same: str, whole_number: bool, why: str) -> Matched:
        self._asked_for.append(("match", event, same, whole_number, why))
        return Matched(event=event, state="applied", person=same or "0199-person-3")

    async def dismiss(self, event: str, why: str) -> Matched:
        self._asked_for.append(("dismiss", event, why))
        return Matched(event=event, state="dismissed")

    async def trace(self, person: str) -> TraceView | None:
        if person != KEY:
            return None
        entry = TraceEntry(link=1, at=NOON, did="heard", what=EVENT, by="hr:roster", rules="2026-11", hash="ab12")
        return TraceView(person=KEY, whole=self._broken is None, broken_at=self._broken, last="ab12", entries=(entry,))
