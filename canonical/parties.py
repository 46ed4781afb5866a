"""Who takes part: facilities, departments, suppliers, cost centres, employees, and the rules each side works by."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from pydantic import Field

from canonical.base import (
    Canonical,
    CostCentreCode,
    Currency,
    DepartmentCode,
    EmployeeId,
    FacilityCode,
    LocationCode,
    Money,
    SourceSystem,
    SupplierCode,
    Text,
)
from canonical.calendar import BusinessCalendar

ROLES = (
    "requester",
    "buyer",
    "manager",
    "director",
    "vp",
    "cfo",
    "finance",
    "capital_committee",
    "support",
    "admin",
    "materials",
    "hr",
    "medical_staff",
    "credentials_committee",
)


class Location(Canonical):
    """A place goods are delivered to or kept at.

    ``cost_centre`` and ``service_line``: whose use it is where an event names none; ``moved_to``: the location that keeps its
    stock since, and answers what still comes under the old code.
    """

    code: LocationCode
    facility: FacilityCode
    name: Text = ""
    erp_code: str = ""
    cost_centre: CostCentreCode | None = None
    service_line: str = Field(default="", max_length=40)
    moved_to: LocationCode | None = None
    active: bool = True


class Department(Canonical):
    """A department and the system it orders with."""

    code: DepartmentCode
    facility: FacilityCode
    name: Text = ""
    source: SourceSystem | None = None


class CostCentre(Canonical):
    """Where money is charged, with its budget for a period. Budget left = budget - actual - committed."""

    code: CostCentreCode
    facility: FacilityCode
    name: Text = ""
    budget: Money | None = None
    period_from: date | None = None
    period_to: date | None = None
    actual: Money | None = None
    active: bool = True


class Employee(Canonical):
    """A person who asks, approves or pays, by id only. ``os_user`` maps a shell login to the person."""

    id: EmployeeId
    facility: FacilityCode
    roles: tuple[str, ...] = ()
    department: DepartmentCode | None = None
    cost_centres: tuple[CostCentreCode, ...] = ()
    substitute: EmployeeId | None = None
    away_from: date | None = None
    away_to: date | None = None
    os_user: str = ""
    active: bool = True

    def away(self, as_of: date) -> bool:
        """Whether the person is on leave on that day."""
        return (
            self.away_from is not None and self.away_from <= as_of and (self.away_to is None or as_of <= self.away_to)
        )


class Terms(Canonical):
    """Payment terms: ``2/10 net 30`` is discount_percent 2 within discount_days 10, else net_days 30.

    ``net_seconds`` replaces the days where a facility or partner runs on short clocks.
    """

    net_days: int = Field(default=30, ge=0, le=365)
    discount_percent: Decimal = Field(default=Decimal(0), ge=0, le=100)
    discount_days: int = Field(default=0, ge=0, le=365)
    net_seconds: int | None = Field(default=None, ge=0)
    discount_seconds: int | None = Field(default=None, ge=0)


class Supplier(Canonical):
    """Who sells to us. Blocked suppliers get no order and no payment without a person.

    Of bank details there is a fingerprint only: which there is now, by whom it was changed (an employee's id or a login,
    where that is known), and which one a person confirmed with the supplier, who and when.
    """

    code: SupplierCode
    name: Text = ""
    status: str = Field(default="active", pattern="^(active|blocked|inactive)$")
    status_reason: Text = ""
    currency: Currency = "USD"
    terms: Terms = Terms()
    bank_fingerprint: str = ""
    bank_changed_by: str = ""
    bank_confirmed_fingerprint: str = ""
    bank_confirmed_by: str = ""
    bank_confirmed_at: datetime | None = None
    erp_code: str = ""

    @property
    def bank_changed_unseen(self) -> bool:
        """Whether the bank details differ from those a person has confirmed."""
        return self.bank_fingerprint != self.bank_confirmed_fingerprint


class Partner(Canonical):
    """Who we exchange messages with and how: X12 ids, separators, mailbox and times, all as data.

    Times are seconds, counted in the partner's calendar. ``window`` is when its mailbox is served; outside it nothing is put
    or fetched, and what is due waits. ``facility`` is whose mailbox it is, where one facility alone exchanges through it.
    """

    code: SupplierCode
    supplier: SupplierCode | None = None
    facility: FacilityCode | None = None
    dialect: str = "x12"
    version: str = "004010"
    qualifier: str = "ZZ"
    id: str = Field(max_length=15)
    group_id: str = ""
    our_qualifier: str = "ZZ"
    our_id: str = Field(max_length=15)
    our_group_id: str = ""
    usage: str = Field(default="P", pattern="^[PT]$")
    element_separator: str = "*"
    segment_terminator: str = "~"
    component_separator: str = ">"
    line_break: bool = True
    allow_unknown: bool = False
    mailbox_host: str = ""
    mailbox_port: int = 22
    mailbox_user: str = ""
    mailbox_key_file: str = ""
    mailbox_host_key: str = ""
    mailbox_put: str = "/inbound"
    mailbox_get: str = "/outbound"
    window: BusinessCalendar = BusinessCalendar()
    calendar: BusinessCalendar = BusinessCalendar()
    acknowledge_within: int = Field(default=24 * 3600, gt=0)
    respond_within: int = Field(default=24 * 3600, gt=0)
    change_within: int = Field(default=24 * 3600, gt=0)
    hold_within: int = Field(default=72 * 3600, gt=0)
    active: bool = True


class ApprovalLevel(Canonical):
    """One level of approval: needed when the amount is above ``over`` (of the requisition's currency)."""

    role: str
    over: Decimal = Field(ge=0)


class ApprovalPolicy(Canonical):
    """Who must approve, as data with dates. Defaults are those of the platform's policy.

    Auto-approval: at most ``auto_limit``, every line on contract and at par. ``capital_over`` or an off-contract line adds
    one step by ``extra_role``. Times are seconds of the facility's business time.
    """

    auto_limit: Decimal = Decimal(500)
    levels: tuple[ApprovalLevel, ...] = (
        ApprovalLevel(role="manager", over=Decimal(0)),
        ApprovalLevel(role="director", over=Decimal(5_000)),
        ApprovalLevel(role="vp", over=Decimal(25_000)),
        ApprovalLevel(role="cfo", over=Decimal(100_000)),
    )
    capital_over: Decimal = Decimal(5_000)
    extra_role: str = "buyer"
    remind_after: int = Field(default=8 * 3600, gt=0)
    substitute_after: int = Field(default=24 * 3600, gt=0)
    escalate_after: int = Field(default=48 * 3600, gt=0)
    emergency_within: int = Field(default=8 * 3600, gt=0)


class Tolerances(Canonical):
    """Three-way match limits. A price variance passes only inside both the percent and the amount, per line."""

    price_percent: Decimal = Decimal(2)
    price_amount: Decimal = Decimal(50)
    quantity_percent: Decimal = Decimal(0)
    bulk_quantity_percent: Decimal = Decimal(5)
    freight_amount: Decimal = Decimal(25)
    header_amount: Decimal = Decimal(5)
    tax_percent: Decimal = Decimal(15)


class PaymentPolicy(Canonical):
    """When a matched invoice may be paid without a person, and how long we wait for the bank, in seconds.

    ``net_seconds`` and ``discount_seconds`` replace the days of every supplier's terms at a facility on short clocks.
    """

    auto_release: bool = True
    auto_release_up_to: Decimal = Decimal(25_000)
    reconcile_within: int = Field(default=5 * 24 * 3600, gt=0)
    net_seconds: int | None = Field(default=None, ge=0)
    discount_seconds: int | None = Field(default=None, ge=0)

    def on_our_clock(self, terms: Terms) -> Terms:
        """A supplier's terms, on this facility's clock where it has one of its own."""
        if self.net_seconds is None:
            return terms
        discount = self.discount_seconds if terms.discount_percent > 0 else None
        return terms.model_copy(update={"net_seconds": self.net_seconds, "discount_seconds": discount})


class Policy(Canonical):
    """The rules of a facility in force on a day.

    Whatever is parked and nobody answers is reminded of each ``attention_reminder`` seconds of the facility's business time;
    from the second reminder on it is owned by the role ``attention_escalate_to``, where one is named.
    """

    facility: FacilityCode
    valid_from: date = date(2000, 1, 1)
    valid_to: date | None = None
    approval: ApprovalPolicy = ApprovalPolicy()
    tolerances: Tolerances = Tolerances()
    payment: PaymentPolicy = PaymentPolicy()
    unverified_verbs: tuple[str, ...] = ("hold", "resume")
    receipt_within: int = Field(default=14 * 24 * 3600, gt=0)
    invoice_within: int = Field(default=60 * 24 * 3600, gt=0)
    attention_reminder: int = Field(default=24 * 3600, gt=0)
    attention_escalate_to: str = Field(default="", max_length=40)
    step_timeout: int = Field(default=30, gt=0)
    currency: Currency = "USD"


class Facility(Canonical):
    """A hospital site: its calendar and currency."""

    code: FacilityCode
    name: Text = ""
    currency: Currency = "USD"
    calendar: BusinessCalendar = BusinessCalendar()
