"""The forms of what our own store answers: rows of lists, and a case with everything on it."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any, Self

from pydantic import Field
from sqlalchemy import RowMapping

from canonical.base import Canonical, Money
from canonical.cases import Attention, LineState, Trouble
from canonical.messages import MessageFacts
from store.ways import LineWay


class CaseQuery(Canonical):
    """Which cases a list is about; an empty field lets everything through. ``state`` is in our words or people's."""

    process: str = ""
    facility: str = ""
    state: str = ""
    owner: str = ""
    supplier: str = ""
    parent: str = ""
    attention: bool = False
    attention_kind: str = ""
    waiting: bool = False
    open_only: bool = False
    unchanged_since: datetime | None = None
    search: str = ""


class CaseRow(Canonical):
    """One case in a list.

    ``attention_since``: since when the longest of what is parked waits for a person; ``waiting_for``: the outside system that
    does not answer, since ``waiting_since``.
    """

    case: str
    process: str
    facility: str
    source: str = ""
    number: str = ""
    supplier: str = ""
    state: str
    business_state: str
    owner: str = ""
    due: datetime | None = None
    next_action: str = ""
    summary: str = ""
    amount: Money | None = None
    revision: int = 0
    closed: bool = False
    stopped: str = ""
    needs_attention: bool = False
    attention_since: datetime | None = None
    waiting_for: str = ""
    waiting_since: datetime | None = None
    opened_at: datetime
    changed_at: datetime


class CasePage(Canonical):
    """Some cases; ``next`` asks for those after them, empty at the end."""

    cases: tuple[CaseRow, ...] = ()
    next: str = ""


class DocumentRow(Canonical):
    """A document of a case, and the message that brought it or carries it."""

    kind: str
    number: str
    system: str = ""
    state: str = ""
    message: str = ""
    lines: tuple[str, ...] = ()
    parent: str = ""
    amount: Money | None = None
    first_at: datetime
    at: datetime


class DecisionRow(Canonical):
    """What a person decided, or tried: ``kind`` is checked (as given), taken or refused (by the case) or unreadable."""

    kind: str
    what: str
    verb: str = ""
    actor: str = ""
    known_by: str = ""
    verified: bool = False
    employee: str = ""
    reason: str = ""
    line: str = ""
    document: str = ""
    at: datetime


class ChangeRow(Canonical):
    """How a case stood at a revision, and who had it."""

    run: str = ""
    generation: int = 1
    revision: int
    state: str
    business_state: str
    owner: str = ""
    next_action: str = ""
    decision: str = ""
    at: datetime


class CaseDetail(CaseRow):
    """A case with everything on it."""

    run: str = ""
    generation: int = 1
    parent: str = ""
    trace: str = ""
    message: str = ""
    children: tuple[CaseRow, ...] = ()
    attention: tuple[Attention, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    lines: tuple[LineState, ...] = ()
    documents: tuple[DocumentRow, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    changes: tuple[ChangeRow, ...] = ()
    way: tuple[LineWay, ...] = ()


class MessageQuery(Canonical):
    """Which messages a list is about; ``since`` is in, ``until`` is not."""

    direction: str = ""
    door: str = ""
    partner: str = ""
    sender: str = ""
    kind: str = ""
    control_number: str = ""
    state: str = ""
    case: str = ""
    stream: str = ""
    channel: str = ""
    version_of: str = ""
    replay_of: str = ""
    owner: str = ""
    since: datetime | None = None
    until: datetime | None = None


class MessageRow(MessageFacts):
    """One message without its bytes."""


class MessagePage(Canonical):
    """Some messages; ``next`` asks for those after them, empty at the end."""

    messages: tuple[MessageRow, ...] = ()
    next: str = ""


class RegisterRow(Canonical):
    """A record of the register in the version in force."""

    kind: str
    facility: str = ""
    code: str
    valid_from: date
    source: str = ""
    loaded_at: datetime
    record: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """A row with its record read."""
        return cls.model_validate({**row, "record": json.loads(row["document"])})


class RegisterPage(Canonical):
    """Some records by code; ``next`` asks for those after them, empty at the end."""

    records: tuple[RegisterRow, ...] = ()
    next: str = ""
