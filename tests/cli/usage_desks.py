"""Usage events, charges and stock in memory for the commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from canonical.errors import Rejected
from canonical.scans import CountLineStanding
from canonical.stock_reports import (
    ChargeRow,
    ConflictRow,
    ConsumedRow,
    CountRow,
    HeldItem,
    LotHeld,
    MovementFilter,
    MovementRow,
    NeedRow,
    ReportOf,
)
from cli.exits import not_found
from cli.usage_views import UsageFilter, UsageRow, UsageView, UsageWord

if TYPE_CHECKING:
    from tests.cli.house import FakeHouse

NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)

PARKED = UsageView(
    id="u-1",
    facility="NGH",
    location="NGH-OR",
    state="parked",
    finding="recalled",
    findings={"recalled": "its lot or serial is recalled"},
    owner="materials management",
    item="IMP-310",
    lot="L-7",
    serial="S-1",
    quantity=1,
    amount=Decimal(1),
    unit="EA",
    barcode="(01)04012345000016",
    source="ORSYS",
    number="T-1",
    used_at=NOON,
    at=NOON,
    message="m-1",
    movements=(
        MovementRow(
            key="k",
            facility="NGH",
            location="NGH-OR",
            item="IMP-310",
            quantity=-1,
            kind="use",
            at=NOON,
            erp_document="17",
        ),
    ),
    press="fascia usage decide u-1 post|correct|dismiss --reason",
)
CHARGE = ChargeRow(
    id="c-1",
    facility="NGH",
    kind="charge",
    event="u-1",
    item="IMP-310",
    quantity=1,
    channel="BILLING",
    state="dead",
    reason="item IMP-310 has no charge code",
    owner="billing",
    at=NOON,
    changed_at=NOON,
)
NEED = NeedRow(
    id="n-1",
    facility="NGH",
    location="NGH-OR",
    item="ITM-1001",
    supply="purchase",
    state="back-ordered",
    quantity=100,
    received=40,
    expected=date(2026, 12, 1),
    case="procure_to_pay/NGH/replenishment/n-1",
    at=NOON,
    changed_at=NOON,
)
HELD = HeldItem(
    facility="NGH",
    location="NGH-OR",
    item="ITM-1001",
    description="Glove",
    unit="EA",
    on_hand=30,
    on_order=60,
    method="par",
    supply="purchase",
    par=100,
    point=100,
    below=True,
    expires=date(2026, 12, 20),
    days=30,
    lots=(LotHeld(lot="L1", on_hand=30, expires=date(2026, 12, 20), days=30),),
)

COUNT = CountRow(
    id="k-1",
    facility="NGH",
    location="NGH-OR",
    source="shelves",
    number="C-1",
    kind="par",
    state="parked",
    counted_at=NOON,
    lines=3,
    parked=(
        CountLineStanding(
            line=2, item="X-1", counted=7, expected=9, state="parked", cause="unknown-item", reason="no item X-1"
        ),
    ),
)


class FakeUsageDesk:
    """One event that waits for a person, its charge that could not be written, one conflict."""

    def __init__(self, house: FakeHouse) -> None:
        self.house = house

    async def rows(self, which: UsageFilter, limit: int) -> Sequence[UsageRow]:
        self.house.fail()
        self.house.asked_for.append(which)
        row = UsageRow.model_validate(PARKED.model_dump())
        if which.location not in ("", PARKED.location):
            return []
        return [row.model_copy(update={"id": f"u-{n}"}) for n in range(1, 4)][:limit]

    async def show(self, event: str) -> UsageView | None:
        return PARKED if event == PARKED.id else None

    async def decide(self, event: str, word: UsageWord, dry_run: bool) -> UsageRow:
        self.house.fail()
        if event != PARKED.id:
            raise not_found("usage event", event)
        self.house.asked_for.append((event, word, dry_run))
        state = "dismissed" if word.verb == "dismiss" else "waiting"
        return UsageRow.model_validate(PARKED.model_dump() | {"state": state})

    async def conflicts(self, everything: bool, after: str, limit: int) -> Sequence[ConflictRow]:
        self.house.asked_for.append((everything, after))
        said = ("amount: 1, then 2",)
        one = ConflictRow(id="x-1", event="u-1", facility="NGH", number="T-1", state="open", differs=said, at=NOON)
        return [one][:limit]

    async def dismiss_conflict(self, conflict: str, why: str, dry_run: bool) -> ConflictRow:
        self.house.asked_for.append((conflict, why, dry_run))
        (one,) = await self.conflicts(False, "", 1)
        return one.model_copy(update={"state": "dismissed"})

    async def report(self, of: ReportOf) -> Sequence[ConsumedRow]:
        self.house.asked_for.append(of)
        value = {"value": Decimal("6.30"), "currency": "USD", "uses": 3, "quantity": 30, "wasted": 1, "charged": 29}
        return [ConsumedRow.model_validate({"item": "ITM-1001", "facility": "NGH", "unit": "EA", **value})]

    async def charges(self, state: str, facility: str, before: str, limit: int) -> Sequence[ChargeRow]:
        self.house.asked_for.append((state, facility, before))
        return [CHARGE.model_copy(update={"id": f"c-{n}"}) for n in (2, 1)][:limit]

    async def charge_again(self, which: Sequence[str], facility: str, why: str, dry_run: bool) -> Sequence[ChargeRow]:
        if "c-9" in which:
            raise Rejected("charge c-9 is not dead", code="conflict")
        self.house.asked_for.append((tuple(which), facility, why, dry_run))
        return [CHARGE.model_copy(update={"state": "due", "reason": ""})]


class FakeStockDesk:
    """One location with one item."""

    def __init__(self, house: FakeHouse) -> None:
        self.house = house

    async def facility_of(self, location: str, facility: str) -> str:
        if location != HELD.location:
            raise not_found("location", location)
        return facility or "NGH"

    async def known(self, location: str, facility: str) -> None:
        await self.facility_of(location, facility)

    async def counts(
        self, facility: str, location: str, everything: bool, before: str, limit: int
    ) -> Sequence[CountRow]:
        self.house.asked_for.append((facility, location, everything, before))
        return [COUNT][:limit] if location in ("", COUNT.location) else []

    async def held(self, facility: str, location: str) -> Sequence[HeldItem]:
        return [HELD, HELD.model_copy(update={"item": "ITM-2", "lots": ()})]

    async def levels(self, facility: str, location: str, item: str, below: bool) -> Sequence[HeldItem]:
        self.house.asked_for.append((facility, location, item, below))
        return [HELD]

    async def needs(
        self, facility: str, location: str, item: str, state: str, everything: bool, before: str, limit: int
    ) -> Sequence[NeedRow]:
        self.house.asked_for.append((facility, location, item, state, everything, before))
        return [NEED][:limit]

    async def need_again(self, need: str, why: str, dry_run: bool) -> NeedRow:
        if need != NEED.id:
            raise not_found("need", need)
        self.house.asked_for.append((need, why, dry_run))
        return NEED.model_copy(update={"state": "open"})

    async def movements(self, which: MovementFilter, limit: int) -> Sequence[MovementRow]:
        self.house.asked_for.append(which)
        return list(PARKED.movements)[:limit]
