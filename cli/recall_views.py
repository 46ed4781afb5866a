"""What the commands show of recalls and of what expires, and what they ask of the platform about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from canonical.base import Canonical
from canonical.cases import Answer
from canonical.recall import RecallNotice, RecallTask, RecallWord


class RecallLoadRow(Canonical):
    """What became of one notice of a file: new, changed or same; and with ``--dry-run`` what it would meet.

    ``blocks``: how many of our items with lots or serials it stops; ``uncertain``: what a person must look at.
    """

    number: str
    outcome: str
    state: str = ""
    classification: str = ""
    product: str = ""
    scopes: int = 0
    blocks: int = 0
    uncertain: tuple[str, ...] = ()
    locations: int = 0
    procedures: int = 0
    other_uses: int = 0
    units: int = 0


class RecallRow(Canonical):
    """A recall in a list; ``due``: when the next open task must be answered."""

    number: str
    state: str
    classification: str = ""
    status: str = ""
    firm: str = ""
    product: str = ""
    blocked: bool = False
    uncertain: bool = False
    open: int = 0
    answered: int = 0
    overdue: int = 0
    due: datetime | None = None
    at: datetime


class RecallView(RecallRow):
    """One recall: its notice, what it is taken to mean, what it blocks, and its tasks (``more``: not all of them)."""

    notice: RecallNotice
    scopes: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    unknown_lots: int = 0
    closed_at: datetime | None = None
    closed_by: str = ""
    closed_why: str = ""
    tasks: tuple[RecallTask, ...] = ()
    more: bool = False


class ExpiringRow(Canonical):
    """Stock that expires or has: ``days`` left (below zero: since then), ``warned``: the nearest warning given of it."""

    facility: str
    location: str
    item: str
    lot: str = ""
    serial: str = ""
    quantity: int
    expires: date
    days: int
    warned: int | None = None


class Recalls(Protocol):
    """Recalls as the commands keep them."""

    async def load(self, notices: Sequence[RecallNotice], why: str, dry_run: bool) -> Sequence[RecallLoadRow]:
        """Keep notices, all or none; each blocks at once."""
        ...

    async def rows(self, everything: bool, limit: int) -> Sequence[RecallRow]: ...
    async def show(self, number: str, state: str, limit: int) -> RecallView | None: ...
    async def give(self, number: str, word: RecallWord) -> Answer:
        """Give a person's word to a recall, as who gives this command."""
        ...

    async def expiring(self, within: int, facility: str, location: str, limit: int) -> Sequence[ExpiringRow]: ...
