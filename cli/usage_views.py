"""What the commands show of use and stock, and what they ask of the platform about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.stock_reports import (
    ChargeRow,
    ConflictRow,
    ConsumedRow,
    CountRow,
    HeldItem,
    MovementFilter,
    MovementRow,
    NeedRow,
    ReportOf,
)


class UsageFilter(Canonical):
    """Which usage events a list is about; empty fields let everything through. ``after``: go on from it; ``since``: came since."""

    state: str = ""
    finding: str = ""
    facility: str = ""
    location: str = ""
    item: str = ""
    lot: str = ""
    procedure: str = ""
    since: datetime | None = None
    after: str = ""


class UsageRow(Canonical):
    """One usage event in a list. ``amount`` and ``unit`` as its source wrote them, ``quantity`` in base units once that is known."""

    id: str
    facility: str
    location: str = ""
    kind: str = "use"
    state: str
    finding: str = ""
    reason: str = ""
    owner: str = ""
    item: str = ""
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    quantity: int | None = None
    amount: Decimal | None = None
    unit: str = ""
    procedure: str = ""
    cost_centre: str = ""
    source: str = ""
    number: str = ""
    sequence: int = 1
    used_at: datetime
    at: datetime


class UsageView(UsageRow):
    """One usage event: what came, what was found, and what followed from it. Of people nothing is kept beside the message."""

    description: str = ""
    barcode: str = ""
    procedure_code: str = ""
    service_line: str = ""
    wasted: bool = False
    chargeable: bool = False
    findings: dict[str, str] = Field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    corrected: dict[str, str] = Field(default_factory=dict)
    voids: str = ""
    voided_by: str = ""
    round: int | None = None
    message: str = ""
    sender: str = ""
    decided_by: str = ""
    decided_why: str = ""
    posted_at: datetime | None = None
    movements: tuple[MovementRow, ...] = ()
    charges: tuple[ChargeRow, ...] = ()
    needs: tuple[NeedRow, ...] = ()
    press: str = ""


class UsageWord(Canonical):
    """A person's word on a parked event. ``verb``: post, correct or dismiss; what is None stays as it came."""

    verb: str
    reason: str
    item: str | None = None
    lot: str | None = None
    serial: str | None = None
    unit: str | None = None
    amount: Decimal | None = None
    location: str | None = None
    expires: date | None = None
    cost_centre: str | None = None

    @property
    def corrections(self) -> dict[str, object]:
        """What is said instead, by field."""
        return self.model_dump(exclude={"verb", "reason"}, exclude_none=True)


class UsageDesk(Protocol):
    """Usage events and charges behind the commands. Each deed is noted with who did it. ``limit`` is one more than is shown."""

    async def rows(self, which: UsageFilter, limit: int) -> Sequence[UsageRow]: ...
    async def show(self, event: str) -> UsageView | None: ...

    async def decide(self, event: str, word: UsageWord, dry_run: bool) -> UsageRow:
        """Give a person's word on a parked event."""
        ...

    async def conflicts(self, everything: bool, after: str, limit: int) -> Sequence[ConflictRow]: ...

    async def dismiss_conflict(self, conflict: str, why: str, dry_run: bool) -> ConflictRow:
        """Say that the first stands."""
        ...

    async def report(self, of: ReportOf) -> Sequence[ConsumedRow]: ...
    async def charges(self, state: str, facility: str, before: str, limit: int) -> Sequence[ChargeRow]: ...

    async def charge_again(self, which: Sequence[str], facility: str, why: str, dry_run: bool) -> Sequence[ChargeRow]:
        """Write these once more that could not be written, or all of them where none is named."""
        ...


class StockDesk(Protocol):
    """What lies where, behind the commands."""

    async def facility_of(self, location: str, facility: str) -> str:
        """The facility a location is of; the one named where several have it."""
        ...

    async def known(self, location: str, facility: str) -> None:
        """Whether there is a location of this code, at this facility or, where none is named, at any.

        Raises:
            Stop: there is none.
        """
        ...

    async def counts(
        self, facility: str, location: str, everything: bool, before: str, limit: int
    ) -> Sequence[CountRow]: ...

    async def held(self, facility: str, location: str) -> Sequence[HeldItem]: ...
    async def levels(self, facility: str, location: str, item: str, below: bool) -> Sequence[HeldItem]: ...

    async def needs(
        self, facility: str, location: str, item: str, state: str, everything: bool, before: str, limit: int
    ) -> Sequence[NeedRow]: ...

    async def need_again(self, need: str, why: str, dry_run: bool) -> NeedRow:
        """Judge a need once more that was refused or given up."""
        ...

    async def movements(self, which: MovementFilter, limit: int) -> Sequence[MovementRow]: ...
