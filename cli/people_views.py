"""What the commands show of people, and what they ask of the platform about them: keys and codes; names only where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.people import ClinicianRecord
from canonical.person_records import PayDays


class PersonRow(Canonical):
    """A person at a facility, by key. ``blocked``: a revocation block stands; of a key nobody has, facility and state are empty."""

    person: str
    facility: str
    state: str
    headline: str = ""
    role: str = ""
    department: str = ""
    cost_centre: str = ""
    starts: date | None = None
    ends_on: date | None = None
    next_change: date | None = None
    suspended: bool = False
    blocked: bool = False
    blocked_since: datetime | None = None
    blocked_by: str = ""
    blocked_reason: str = ""
    changed_at: datetime | None = None


class NumberRow(Canonical):
    """What an HR system calls a person, and by which rule or whose word we know."""

    source: str
    number: str
    by: str = ""


class PayRow(Canonical):
    """What a change of the past means for payroll."""

    event: str
    facility: str
    spans: tuple[PayDays, ...] = ()


class PersonView(Canonical):
    """One person: where they work and how it stands. ``record``: who it is, only where it was asked for (and noted).

    ``gone_to``: keys that the events are of by now which made this one somebody.
    """

    person: str
    at: tuple[PersonRow, ...] = ()
    numbers: tuple[NumberRow, ...] = ()
    verifications: dict[str, str] = Field(default_factory=dict)
    privileges: dict[str, int] = Field(default_factory=dict)
    access: dict[str, str] = Field(default_factory=dict)
    tasks: dict[str, str] = Field(default_factory=dict)
    pay: tuple[PayRow, ...] = ()
    events: int = 0
    gone_to: tuple[str, ...] = ()
    trace: int = 0
    record: ClinicianRecord | None = None


class HrEventRow(Canonical):
    """An HR event by its id. ``candidates``: keys of whom it may be."""

    id: str
    facility: str
    source: str
    number: str
    kind: str
    state: str
    person: str = ""
    effective: date
    said_at: datetime
    emergency: bool = False
    reason: str = ""
    owner: str = ""
    candidates: tuple[str, ...] = ()
    at: datetime


class Likeness(Canonical):
    """How somebody an event may be about is like it: each mark same, other, or unknown on one side. No value of any."""

    person: str
    marks: dict[str, str] = Field(default_factory=dict)


class HrEventView(HrEventRow):
    """One HR event; ``record``: who it says it is, only where it was asked for (and noted)."""

    likeness: tuple[Likeness, ...] = ()
    message: str = ""
    decided_by: str = ""
    record: ClinicianRecord | None = None


class TraceEntry(Canonical):
    """One deed of the trace, with its place in the chain."""

    link: int
    at: datetime
    did: str
    what: str = ""
    by: str = ""
    facility: str = ""
    content: dict[str, Any] = Field(default_factory=dict)
    rules: str = ""
    before: str = ""
    hash: str = ""


class TraceView(Canonical):
    """A person's trace. ``broken_at``: the first entry that is not as it was written, or is missing; checked on every read."""

    person: str
    whole: bool
    broken_at: int | None = None
    last: str = ""
    entries: tuple[TraceEntry, ...] = ()


class Matched(Canonical):
    """What became of an event by a person's word."""

    event: str
    state: str
    person: str = ""


class PeopleFilter(Canonical):
    """Which people a list is about."""

    facility: str = ""
    state: str = ""
    role: str = ""
    blocked: bool = False
    everything: bool = False
    after: str = ""


class HrEventFilter(Canonical):
    """Which HR events a list is about; state ``open``: those that wait for a person or a hire."""

    state: str = "open"
    facility: str = ""
    person: str = ""
    source: str = ""
    after: str = ""


class PeopleDesk(Protocol):
    """People as the commands keep them."""

    async def rows(self, which: PeopleFilter, limit: int) -> Sequence[PersonRow]: ...
    async def show(self, person: str, names: bool) -> PersonView | None:
        """One person; with ``names`` who it is, noted in the trace as read."""
        ...

    async def events(self, which: HrEventFilter, limit: int) -> Sequence[HrEventRow]: ...
    async def event(self, event: str, names: bool) -> HrEventView | None: ...
    async def match(self, event: str, same: str, whole_number: bool, why: str) -> Matched:
        """Say whose an event is: a person's key, or (empty) somebody new."""
        ...

    async def dismiss(self, event: str, why: str) -> Matched: ...
    async def trace(self, person: str) -> TraceView | None: ...
