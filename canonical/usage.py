"""What was used in care: each event is one thing taken from one stock location, by the number its own system gave it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from canonical.base import (
    SAFE,
    Canonical,
    CostCentreCode,
    DepartmentCode,
    EmployeeId,
    FacilityCode,
    ItemCode,
    LocationCode,
    LotOrSerial,
    SourceSystem,
    Text,
    case_id,
    exact,
)
from canonical.udi import Udi

OWNER: Final = "materials management"  # whose parked usage events are, unless a rule names another
YEARS: Final = range(1900, 2200)  # a time outside these is a program's smallest or largest, not when something was used
STATES: Final = ("waiting", "taken", "posted", "review", "parked", "voided", "dismissed")
"""Waiting for its location's case; taken into a round; in the ERP; a person says yes first; a person mends it first; taken back;
not for us by a person's word."""


class UsageEvent(Canonical):
    """One use, or the taking back of one, as its source reports it. Its name is (facility, source, number, sequence).

    ``location``, ``item`` and ``unit`` are ours where the sender's tables know them, else as it wrote them: who validates says what
    is unknown. ``amount`` is how many ``unit``, exactly, above zero. ``encounter`` is the sender's own number of the visit or
    procedure and leaves the door's process as ``procedure`` alone, a keyed hash of it. ``voids_number`` with
    ``voids_sequence`` name the use that a ``void`` takes back, of the same source; a correction is a void and a new use.
    ``amount_stated``: a void says itself how many it takes back; without, it takes back all of its use, whatever ``amount`` is.
    An ``empty-bin`` moves nothing: it asks for the other bin's refill.
    ``barcode_unread``: a barcode came with it that cannot be read; what it says stays in its message, since it may be a
    patient's wristband.
    ``device``: what the barcode said; lot, serial and expiry stand in the event's own fields too. ``used_at`` is when it was
    used, with its zone. ``chargeable`` None: the item's own row says.
    """

    facility: FacilityCode
    source: SourceSystem
    number: Annotated[str, SAFE]
    sequence: int = Field(default=1, ge=0, le=999_999)
    kind: Literal["use", "void", "empty-bin"] = "use"
    voids_number: str = Field(default="", max_length=80)
    voids_sequence: int = Field(default=1, ge=0, le=999_999)
    location: str = Field(default="", max_length=80)
    item: str = Field(default="", max_length=80)
    description: Text = ""
    device: Udi | None = None
    barcode_unread: bool = False
    amount: Decimal = Field(default=Decimal(1), allow_inf_nan=False, max_digits=15, decimal_places=6)
    amount_stated: bool = False
    unit: str = Field(default="", max_length=20)
    lot: LotOrSerial = ""
    serial: LotOrSerial = ""
    expires: date | None = None
    used_at: datetime
    encounter: str = Field(default="", max_length=200, exclude=True, repr=False)
    procedure: str = Field(default="", max_length=80)
    procedure_code: str = Field(default="", max_length=40)
    service_line: str = Field(default="", max_length=40)
    cost_centre: CostCentreCode | None = None
    chargeable: bool | None = None
    wasted: bool = False

    @field_validator("amount", mode="before")
    @classmethod
    def _no_float(cls, value: object) -> object:
        return exact(value, "an amount")

    @model_validator(mode="after")
    def _says_something(self) -> UsageEvent:
        if self.used_at.tzinfo is None:
            raise ValueError("used_at needs its zone")
        if self.used_at.year not in YEARS:
            raise ValueError("used_at is in no year things are used")
        if self.kind == "use" and self.amount <= 0:
            raise ValueError("a use is of more than nothing")
        if self.kind != "void" and not (self.item or self.device or self.barcode_unread):
            raise ValueError("what was used is named by an item or a device")
        if self.kind == "void" and not self.voids_number:
            raise ValueError("a void names the use it takes back")
        return self


class LocationCase(Canonical):
    """What opens (or continues) the case of one stock location. ``round`` is the last round it closed."""

    facility: FacilityCode
    location: LocationCode
    round: int = Field(default=0, ge=0)
    generation: int = Field(default=1, ge=1)

    @property
    def case_id(self) -> str:
        """The case's one name."""
        return case_id("consumption_to_replenishment", self.facility, self.location)


class UsageRule(Canonical):
    """One rule of what becomes of a usage event; the first that fits decides. Empty conditions fit everything.

    ``finding`` is a code of :data:`FINDINGS`; ``tracking`` of the item; ``over``: a use of more base units than this; ``route``: post
    now, review (a person says yes first), park (a person mends it first).
    """

    finding: str = ""
    item: ItemCode | None = None
    location: LocationCode | None = None
    tracking: str = Field(default="", pattern="^(none|lot|serial|implant)?$")
    source: SourceSystem | None = None
    over: Decimal | None = Field(default=None, ge=0)
    route: Literal["post", "review", "park"]
    owner: Text = ""


FINDINGS: Final[dict[str, str]] = {
    "unknown-item": "the item is not in the register",
    "inactive-item": "the item is not used any more",
    "unknown-unit": "the item is not packed in that unit",
    "not-integral": "it is not a whole number of base units",
    "unknown-location": "the location is not in the register",
    "inactive-location": "the location is closed",
    "unreadable-barcode": "its barcode cannot be read",
    "lot-missing": "the item is tracked and no lot or serial came with it",
    "expired": "its lot was past its date when it was used",
    "recalled": "its lot or serial is recalled",
    "serial-used-before": "this serial was used before",
    "beyond-balance": "more was used than is there",
    "unknown-use": "the use it takes back is not known yet",
    "voided-before": "the use it takes back was taken back before",
    "partial-void": "it takes back less than was used",
    "in-the-future": "it was used after it was reported",
    "too-old": "it was used longer ago than late reports are taken",
    "refused-by-erp": "the ERP refused it",
    "no-cost-centre": "nobody knows whose cost centre it is charged to",
    "by-rule": "a rule of the facility wants a person's word on it",
}

# What happens where no rule of the facility fits: what harms nobody is posted with its finding noted.
DEFAULT_ROUTES: Final[dict[str, Literal["post", "review", "park"]]] = {
    **dict.fromkeys(FINDINGS, "park"),
    "inactive-item": "post",
    "beyond-balance": "review",
    "too-old": "review",
    "by-rule": "review",
}


class UsagePolicy(Canonical):
    """A facility's rules for what is used, in force on a day.

    ``late_days``: how late a use may be reported before a person says yes; ``ahead_minutes``: how far the clocks of sources may
    go ahead of ours; ``warn_days`` before expiry; ``recall_hours``: until when each task of a recall must be answered, by
    class (21 CFR 7.3(m)); ``bill_to``: the channel charges leave by; ``fuller_after``: seconds a busy location waits for a
    fuller round. ``department`` and ``requester`` stand on the requisitions that refill its locations.
    """

    facility: FacilityCode
    valid_from: date = date(2000, 1, 1)
    valid_to: date | None = None
    rules: tuple[UsageRule, ...] = ()
    late_days: int = Field(default=7, ge=0, le=365)
    ahead_minutes: int = Field(default=15, ge=0, le=1440)
    warn_days: tuple[int, ...] = (90, 60, 30)
    recall_hours: dict[str, int] = Field(default_factory=lambda: {"I": 24, "II": 72, "III": 168})
    bill_to: str = Field(default="", max_length=40)
    fuller_after: int = Field(default=10, ge=0, le=60)
    department: DepartmentCode | None = None
    requester: EmployeeId | None = None
