"""Read-only questions departments and suppliers' desks ask through the doors, and the forms of their answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import Field

from canonical.base import Canonical, Money, SupplierCode, Text
from canonical.cases import CaseStatus, Trouble
from canonical.parties import Terms
from canonical.ports import Unmatched
from canonical.supply import Item

SOURCE = "source:"  # how a key's scope begins that names an ordering system


class Caller(Canonical):
    """Who calls: a key of a sender, for one facility, perhaps of a person who may decide. 0 ``per_minute``: no quota."""

    key: str
    sender: str
    facility: str
    person: str = ""
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    per_minute: int = Field(default=60, ge=0)

    def may(self, scope: str) -> bool:
        """Whether the key is made for this; one that names nothing it is for is for everything."""
        duties = [one for one in self.scopes if not one.startswith(SOURCE)]
        return not duties or scope in duties

    @property
    def sources(self) -> tuple[str, ...]:
        """The ordering systems it may speak for: those its ``source:`` scopes name, else the one it is called by."""
        return tuple(one.removeprefix(SOURCE) for one in self.scopes if one.startswith(SOURCE)) or (self.sender,)


class Keys(Protocol):
    """The keys of senders, kept as hashes."""

    async def caller(self, secret: str) -> Caller | None:
        """Whose key this is; None for an unknown, expired or revoked one."""
        ...


class Quotas(Protocol):
    """How often each key called in the last minute, at whichever door of ours."""

    async def count(self, key: str, per_minute: int) -> float:
        """Count a call; 0 when it is within the quota, else the seconds until the next one will be."""
        ...


class CaseRow(Canonical):
    """One case in a list.

    ``attention_since``: since when the longest of what is parked waits for a person; ``waiting_for``: the outside system that
    does not answer, since ``waiting_since``.
    """

    case: str
    process: str
    number: str = ""
    source: str = ""
    supplier: str = ""
    state: str
    business_state: str
    owner: str = ""
    due: datetime | None = None
    next_action: str = ""
    amount: Money | None = None
    summary: str = ""
    revision: int = 0
    closed: bool = False
    stopped: str = ""
    needs_attention: bool = False
    attention_since: datetime | None = None
    waiting_for: str = ""
    waiting_since: datetime | None = None
    changed_at: datetime


class CasePage(Canonical):
    """Some cases, newest change first. ``next`` asks for those after them, empty at the end."""

    cases: tuple[CaseRow, ...] = ()
    next: str = ""


class DocumentRow(Canonical):
    """A document of a case."""

    kind: str
    number: str
    system: str = ""
    state: str = ""
    message: str = ""


class CaseView(Canonical):
    """A case with everything on it."""

    status: CaseStatus
    stopped: str = ""
    waits_for: tuple[Trouble, ...] = ()
    parent: str = ""
    children: tuple[str, ...] = ()
    documents: tuple[DocumentRow, ...] = ()
    trace: str = ""


class DecisionRow(Canonical):
    """What a person decided, or tried to."""

    what: str
    reason: Text = ""
    line: str = ""
    document: str = ""
    actor: str = ""
    known_by: str = ""
    verified: bool = False
    at: datetime


class ItemPage(Canonical):
    """Some items, by code."""

    items: tuple[Item, ...] = ()
    next: str = ""


class SupplierRow(Canonical):
    """A supplier as departments see it: no bank details."""

    code: SupplierCode
    name: Text = ""
    status: str = "active"
    status_reason: Text = ""
    currency: str = "USD"
    terms: Terms = Terms()


class SupplierPage(Canonical):
    """Some suppliers, by code."""

    suppliers: tuple[SupplierRow, ...] = ()
    next: str = ""


class Lookups(Protocol):
    """Questions to the read model and the register. ``after`` is the ``next`` of the page before."""

    async def cases(
        self, facility: str, process: str, *, state: str, open_only: bool, after: str, limit: int
    ) -> CasePage:
        """Cases of a facility and process, newest change first."""
        ...

    async def case(self, case: str) -> CaseView | None:
        """One case."""
        ...

    async def decisions(self, case: str) -> Sequence[DecisionRow]:
        """What was decided on it, oldest first."""
        ...

    async def items(self, facility: str, *, search: str, after: str, limit: int) -> ItemPage:
        """Items by code; ``search`` looks in code, description and catalogue numbers."""
        ...

    async def item(self, facility: str, code: str) -> Item | None:
        """One item."""
        ...

    async def suppliers(self, *, search: str, after: str, limit: int) -> SupplierPage:
        """Suppliers by code."""
        ...

    async def supplier(self, code: str) -> SupplierRow | None:
        """One supplier."""
        ...

    async def knows_facility(self, code: str) -> bool:
        """Whether the register has such a facility."""
        ...


class UnmatchedList(Protocol):
    """The list of documents without an open case, for a person to attach or set aside."""

    async def unmatched(self, state: str = "open", *, facility: str = "", limit: int = 100) -> Sequence[Unmatched]:
        """What waits, oldest first; ``state`` empty for all."""
        ...

    async def unmatched_document(self, document: str) -> Unmatched | None:
        """One of them."""
        ...

    async def attach(
        self, document: str, case: str, *, by: str, give: Callable[[Unmatched], Awaitable[None]], why: str = ""
    ) -> Unmatched:
        """Note that a person gave it to a case, once ``give`` has brought it there."""
        ...

    async def set_aside(self, document: str, *, by: str, why: str) -> Unmatched:
        """Note that a person decided that nothing follows from it."""
        ...
