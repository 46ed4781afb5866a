"""Stock of a location: what it should hold, what moves, what is needed, and what the ERP is told of it.

Quantities are base units of the item (:attr:`canonical.supply.Item.base_unit`), whole numbers.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from canonical.base import (
    Canonical,
    CostCentreCode,
    FacilityCode,
    ItemCode,
    LocationCode,
    LotOrSerial,
    SupplierCode,
    Text,
    case_id,
)
from canonical.erp_steps import ErpReceipt


class StockLevel(Canonical):
    """How one item is kept at one location, as the hospital's register has it.

    ``par``: filled up to ``par`` at each look; ``reorder``: below ``reorder_point`` (daily use times ``lead_days`` plus
    ``safety``, where the point itself is not given) up to ``par``; ``two-bin``: an empty bin asks for ``bin_quantity``.
    ``supply``: warehouse (another location of ours, ``warehouse``), purchase (a requisition), consignment or bill-only (an
    order after use, no receipt). ``package``: base units asked for in whole multiples; 0 takes the supplier's order unit.
    """

    facility: FacilityCode
    location: LocationCode
    item: ItemCode
    method: Literal["par", "reorder", "two-bin", "none"] = "par"
    par: int = Field(default=0, ge=0, le=10_000_000)
    reorder_point: int | None = Field(default=None, ge=0, le=10_000_000)
    daily_use: Decimal = Field(default=Decimal(0), ge=0, max_digits=12, decimal_places=3)
    lead_days: int = Field(default=1, ge=0, le=365)
    safety: int = Field(default=0, ge=0, le=10_000_000)
    bin_quantity: int = Field(default=0, ge=0, le=10_000_000)
    package: int = Field(default=0, ge=0, le=10_000_000)
    supply: Literal["warehouse", "purchase", "consignment", "bill-only"] = "purchase"
    warehouse: LocationCode | None = None
    supplier: SupplierCode | None = None
    active: bool = True

    @model_validator(mode="after")
    def _makes_sense(self) -> StockLevel:
        if self.supply == "warehouse" and self.warehouse is None:
            raise ValueError("supply from a warehouse names the warehouse")
        if self.warehouse is not None and self.warehouse == self.location:
            raise ValueError("no location supplies itself")
        if self.method == "two-bin" and self.bin_quantity <= 0:
            raise ValueError("two bins hold more than nothing")
        return self

    @property
    def code(self) -> str:
        """Its name in the register."""
        return f"{self.location}/{self.item}"

    @property
    def point(self) -> int:
        """The reorder point in base units, rounded up (ROP = daily use x lead time + safety)."""
        if self.reorder_point is not None:
            return self.reorder_point
        return int((self.daily_use * self.lead_days).to_integral_value(rounding="ROUND_CEILING")) + self.safety


class RoundKey(Canonical):
    """One round of one location's case: everything a step of it needs to find the rest in our store."""

    facility: FacilityCode
    location: LocationCode
    round: int = Field(ge=1)
    as_of: datetime

    @property
    def key(self) -> str:
        """Our key outward: ``<case>/<round>``."""
        return f"{case_id('consumption_to_replenishment', self.facility, self.location)}/{self.round}"


class LocationOpening(Canonical):
    """A run of a location's case begins. ``case``: the name it runs under."""

    case: str
    facility: FacilityCode
    location: LocationCode
    as_of: datetime


class LocationOpened(Canonical):
    """Where the case of a location stands by our own store. ``round``: the last it closed; one that was only taken comes again.

    ``known``: the register has the location, or something waits there. ``step_timeout``: seconds one try at the ERP may take.
    """

    known: bool
    name: Text = ""
    round: int = Field(default=0, ge=0)
    step_timeout: int = Field(default=30, gt=0)


class WakeDue(Canonical):
    """A location that has something to do and was not woken for it."""

    facility: str
    location: str


class TakenRound(Canonical):
    """What a round holds once taken and judged; the lines themselves stay in our store.

    ``lines``: movements to post; ``parked``: events put aside in this round; ``waiting``: events left for later rounds;
    ``per_second``: how fast they came over the last minute; ``supplies``: transfers from a warehouse or the dock to make;
    ``counts``: counts to reconcile; ``needs``: needs judged again, whose requisition is to be started; ``moved_to``: the location is
    now that one, and its events went there; ``count_due``: nothing is taken before our books of the location are held against the
    ERP's.
    """

    round: int
    lines: int = 0
    parked: int = 0
    waiting: int = 0
    per_second: float = 0.0
    fuller_after: int = 10
    supplies: int = 0
    counts: int = 0
    needs: int = 0
    moved_to: str = ""
    count_due: bool = False

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        return not (self.lines or self.parked or self.supplies or self.counts or self.needs)


class StockLine(Canonical):
    """One movement of one item, lot or serial. ``key`` is ours and its line's alone; ``quantity`` in base units, above zero.

    ``back``: the other way, as the counter movement of a use taken back is. ``procedure``: opaque, for implants. An ERP that counts by
    lot alone holds a serial as a lot of its own.
    """

    key: str
    item: ItemCode
    quantity: int = Field(gt=0)
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    cost_centre: CostCentreCode | None = None
    procedure: str = ""
    back: bool = False


class StockPosting(Canonical):
    """One ERP document with many lines. ``key``: ours, one document each, however often it is posted.

    ``kind``: consume (location to used, and ``back`` lines the other way), transfer (``from_location`` to ``location``; empty
    ``from_location`` is the facility's store where the ERP puts what was received), adjust (a count: lines are lost, or found
    with ``back``), consign (goods of a supplier come to be ours at ``location``, just before they are used). A line that names no
    lot is taken from the lots that are there, first expired first.
    """

    facility: FacilityCode
    key: str
    kind: Literal["consume", "transfer", "adjust", "consign"]
    location: LocationCode
    from_location: LocationCode | None = None
    posted_on: date
    reason: Text = ""
    lines: tuple[StockLine, ...] = Field(min_length=1, max_length=1000)

    def refused(self, reason: str, code: str) -> StockPosted:
        """The ERP booked nothing of it: each of its lines is refused, for the same reason."""
        return StockPosted(refused=tuple(RefusedLine(key=line.key, reason=reason, code=code) for line in self.lines))


class RefusedLine(Canonical):
    """A line the ERP would not take; the others of its document were."""

    key: str
    reason: Text
    code: str = "rejected"


class PickedLot(Canonical):
    """A lot (or serial) the ERP took for a line that named none; a line may be made up of several."""

    key: str
    lot: str
    quantity: int = Field(gt=0)
    expires: date | None = None


class StockPosted(Canonical):
    """What the ERP made of a posting: its documents (out and back), the lines it refused, and the lots it chose itself."""

    receipts: tuple[ErpReceipt, ...] = ()
    refused: tuple[RefusedLine, ...] = ()
    picked: tuple[PickedLot, ...] = ()


class OnHand(Canonical):
    """What the ERP says is at a location: one item and lot (or serial). Base units; may be below zero."""

    item: ItemCode
    lot: str = ""
    quantity: int
    expires: date | None = None


class RoundPosted(Canonical):
    """A round's word from the ERP, as its step gives it to the case: how many lines stand and how many it refused."""

    posted: int = 0
    refused: int = 0
    receipts: tuple[str, ...] = ()


class Need(Canonical):
    """Something to be brought to a location: open until it has come or was given up. ``id`` is ours.

    ``quantity`` in base units; ``requisition``: what a purchase asks for, ready to start ``ProcureToPay`` with; empty for a transfer.
    """

    id: str
    facility: FacilityCode
    location: LocationCode
    item: ItemCode
    quantity: int = Field(gt=0)
    supply: Literal["warehouse", "purchase", "consignment", "bill-only"]
    requisition: str = ""


class Recorded(Canonical):
    """What recording a round came to: ``needs`` that begin with it (those of a purchase have a requisition)."""

    round: int
    posted: int = 0
    needs: tuple[Need, ...] = ()


class RoundRefusal(Canonical):
    """The ERP will hear no more of a round: every line of a posting it has not answered waits for a person, with the reason."""

    key: RoundKey
    reason: Text
    code: str = "rejected"


class NeedStarted(Canonical):
    """A need's order is under way: the case that brings it."""

    need: str
    case: str
    as_of: datetime


class CountLine(Canonical):
    """What somebody counted of one item (and lot) at a location; in ``unit``, exactly."""

    item: str = Field(min_length=1, max_length=80)
    lot: LotOrSerial = ""
    amount: Decimal = Field(ge=0, allow_inf_nan=False, max_digits=15, decimal_places=6)
    unit: str = Field(default="", max_length=20)


class StockCount(Canonical):
    """A count of a location: on the shelf (par), in the store (warehouse), or by the ERP's books (erp)."""

    facility: FacilityCode
    location: LocationCode
    source: str = Field(min_length=1, max_length=40)
    number: str = Field(min_length=1, max_length=80)
    kind: Literal["par", "warehouse", "erp"] = "par"
    counted_at: datetime
    lines: tuple[CountLine, ...] = Field(min_length=1, max_length=5000)
