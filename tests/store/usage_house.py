"""A small hospital's stock for the suites of usage: its register, an ERP that books what it is told, and one location's case."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from canonical.base import Canonical
from canonical.cases import Actor
from canonical.erp_steps import ErpReceipt
from canonical.parties import Facility, Location
from canonical.shelves import Parcel
from canonical.stock import (
    NeedStarted,
    Recorded,
    RefusedLine,
    RoundKey,
    StockLevel,
    StockPosted,
    StockPosting,
    TakenRound,
)
from canonical.stock_ports import UsageBook, UsageInbox
from canonical.supply import Item, Packaging, SupplierItem
from canonical.usage import UsageEvent, UsagePolicy
from canonical.usage_kept import KeptUse

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MATERIALS = Actor(id="E-700", known_by="os_user")

LOCATIONS = (
    Location(code="OR-1", facility="NGH", cost_centre="CC-4100", service_line="surgery"),
    Location(code="OR-2", facility="NGH", cost_centre="CC-4200"),
    Location(code="STORE", facility="NGH", cost_centre="CC-9000"),
)
ITEMS = (
    Item(code="GLOVE", packagings=(Packaging(unit="BX", base_units=100, gtin="00100000000017"),), chargeable=False),
    Item(code="SUTURE", chargeable=True, charge_code="S1", suppliers=(
        SupplierItem(supplier="ALPINE", catalogue_number="A-1", order_unit="BX",
                     packagings=(Packaging(unit="BX", base_units=12),)),)),
    Item(code="SCREW", tracking="lot", devices=("09506000000017",)),
    Item(code="VALVE", tracking="implant", chargeable=True, suppliers=(
        SupplierItem(supplier="CARDIO", catalogue_number="V-1", order_unit="EA"),)),
)  # fmt: skip
POLICY = UsagePolicy(facility="NGH", bill_to="BILLING", department="materials", requester="E-700")
FACILITY = Facility.model_validate({"code": "NGH", "calendar": {"time_zone": "America/Chicago"}})


def use(number: str, item: str = "GLOVE", amount: int | str = 1, **fields: Any) -> UsageEvent:
    about = {"facility": "NGH", "source": "orsys", "location": "OR-1", "used_at": NOW, "procedure": "p-1"}
    return UsageEvent.model_validate(about | {"number": number, "item": item, "amount": Decimal(amount)} | fields)


def void(number: str, of: str, **fields: Any) -> UsageEvent:
    return use(number, "", kind="void", voids_number=of, **fields)


def level(location: str, item: str, **fields: Any) -> StockLevel:
    return StockLevel.model_validate({"facility": "NGH", "location": location, "item": item} | fields)


def round_(number: int, location: str = "OR-1", after: timedelta = timedelta(minutes=1)) -> RoundKey:
    return RoundKey(facility="NGH", location=location, round=number, as_of=NOW + number * after)


class Book(UsageBook, UsageInbox, Protocol):
    """Both ports, and a person's word."""

    async def decide(
        self, one: str, verb: str, by: Actor, reason: str, changes: dict[str, Any] | None = None
    ) -> KeptUse: ...


class Stock(Protocol):
    """Where the ports keep what they keep, for tests to fill and to look into."""

    @property
    def book(self) -> Book: ...
    async def put(self, *records: Canonical) -> None: ...
    async def opening(
        self, location: str, item: str, quantity: int, lot: str = "", serial: str = "", expires: date | None = None
    ) -> None: ...
    async def block(self, item: str, lot: str = "", serial: str = "", recall: str = "Z-1") -> None: ...
    async def came(self, need: str, *parcels: Parcel) -> None: ...
    async def on_hand(self, location: str, item: str) -> dict[tuple[str, str], int]: ...
    async def moved(self, location: str, item: str) -> int: ...
    async def event(self, number: str) -> KeptUse: ...
    async def needs(self) -> list[dict[str, Any]]: ...
    async def charges(self) -> list[tuple[str, str, str]]: ...
    async def conflicts(self) -> int: ...


class ErpBooks:
    """Books each posting once, and refuses the lines it is told to."""

    def __init__(self) -> None:
        self.booked: dict[str, StockPosting] = {}
        self.refuses: set[str] = set()  # items

    def post(self, posting: StockPosting) -> StockPosted:
        already = posting.key in self.booked
        self.booked[posting.key] = posting
        refused = tuple(
            RefusedLine(key=line.key, reason="the product is locked")
            for line in posting.lines
            if line.item in self.refuses
        )
        number = f"SHP-{list(self.booked).index(posting.key) + 1}"
        receipt = ErpReceipt(system="erp", kind="shipment", id=number, number=number, key=posting.key, already=already)
        return StockPosted(receipts=(receipt,), refused=refused)

    def total(self, location: str, item: str) -> int:
        """What these books say has come and gone at a location."""
        return sum(
            line.quantity * _sign(posting, line.back, location)
            for posting in self.booked.values()
            for line in posting.lines
            if line.item == item and item not in self.refuses
        )


def _sign(posting: StockPosting, back: bool, location: str) -> int:
    if posting.kind == "consume":
        return (1 if back else -1) if posting.location == location else 0
    if posting.location == location:
        return 1
    return -1 if posting.from_location == location else 0


class House:
    """One location's case at work, by hand."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.book = stock.book
        self.erp = ErpBooks()
        self.rounds: dict[str, int] = {}
        self.refused: set[str] = set()  # lines

    async def open(self, *records: Canonical) -> None:
        await self.stock.put(FACILITY, POLICY, *LOCATIONS, *ITEMS, *records)

    async def keep(self, *events: UsageEvent, message: str = "M-1", corrects: str = "") -> Sequence[str]:
        return [kept.outcome for kept in await self.book.keep(events, message, "ORSYS", corrects)]

    async def take(self, location: str = "OR-1", most: int = 200) -> tuple[RoundKey, TakenRound]:
        number = self.rounds.get(location, 0) + 1
        key = round_(number, location)
        taken = await self.book.take(key, most)
        if not taken.empty:
            self.rounds[location] = number
        return key, taken

    async def post(self, key: RoundKey) -> list[StockPosting]:
        postings = list(await self.book.postings(key))
        for posting in postings:
            await self.book.posted(key, posting.key, self.erp.post(posting))
        return postings

    async def round(self, location: str = "OR-1") -> Recorded:
        """Take, post, record and ask, as its case does."""
        key, taken = await self.take(location)
        if taken.empty:
            return Recorded(round=key.round)
        await self.post(key)
        recorded = await self.book.record(key)
        for need in recorded.needs:
            if need.requisition:
                case = f"procure_to_pay/NGH/replenishment/{need.id}"
                await self.book.started(NeedStarted(need=need.id, case=case, as_of=key.as_of))
        return recorded

    async def state(self, number: str) -> tuple[str, str]:
        """An event's state and what was found."""
        event = await self.stock.event(number)
        return event.state, event.finding

    async def total(self, item: str, location: str = "OR-1") -> int:
        """What our balances say; the sum of the movements says the same."""
        total = sum((await self.stock.on_hand(location, item)).values())
        assert total == await self.stock.moved(location, item)
        return total

    async def decide(self, number: str, verb: str, **changes: Any) -> KeptUse:
        event = await self.stock.event(number)
        return await self.book.decide(event.id, verb, MATERIALS, "seen on the shelf", changes or None)
