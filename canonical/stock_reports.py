"""What people are shown of use and stock: what lies where, what comes, what moved, what was consumed and what was charged."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final

from pydantic import Field

from canonical.base import Canonical
from canonical.scans import CountLineStanding

DIMENSIONS: Final = (
    "facility",
    "service_line",
    "item",
    "procedure",
    "procedure_code",
    "location",
    "cost_centre",
    "day",
    "month",
)
BY_DEFAULT: Final = ("facility", "service_line", "item")


class LotHeld(Canonical):
    """What is there of one lot or serial, in base units; ``days``: until it expires, below zero once it has."""

    lot: str = ""
    serial: str = ""
    on_hand: int
    expires: date | None = None
    days: int | None = None


class HeldItem(Canonical):
    """One item at one location, in base units. ``on_order``: asked for and not come yet; ``arrived``: come, and not put away yet.

    ``par`` and ``point`` as the location's level has them; ``below``: what is there and on its way is less than the point.
    """

    facility: str
    location: str
    item: str
    description: str = ""
    unit: str = ""
    on_hand: int = 0
    on_order: int = 0
    arrived: int = 0
    method: str = ""
    supply: str = ""
    par: int | None = None
    point: int | None = None
    below: bool = False
    expires: date | None = None
    days: int | None = None
    lots: tuple[LotHeld, ...] = ()


class NeedRow(Canonical):
    """Something to be brought to a location, and how far it is; base units."""

    id: str
    facility: str
    location: str
    item: str
    supply: str
    state: str
    quantity: int
    received: int = 0
    put_away: int = 0
    case: str = ""
    orders: str = ""
    reason: str = ""
    event: str = ""
    expected: date | None = None
    at: datetime
    changed_at: datetime


class CountRow(Canonical):
    """A count of a location, and which of its lines are not booked. ``kind``: par, warehouse, erp; ``lines``: how many it has."""

    id: str
    facility: str
    location: str
    source: str
    number: str
    kind: str
    state: str
    reason: str = ""
    counted_at: datetime
    lines: int = 0
    parked: tuple[CountLineStanding, ...] = ()


class MovementRow(Canonical):
    """One change of one balance: base units, above zero in. ``key`` is its own and never again another's."""

    key: str
    facility: str
    location: str
    item: str
    lot: str = ""
    serial: str = ""
    quantity: int
    kind: str
    event: str = ""
    need: str = ""
    erp_document: str = ""
    reason: str = ""
    round: int | None = None
    at: datetime


class MovementFilter(Canonical):
    """Which movements of a location a list is about; empty fields let everything through. ``before``: go on below this key."""

    facility: str
    location: str
    item: str = ""
    lot: str = ""
    serial: str = ""
    kind: str = ""
    since: datetime | None = None
    before: str = Field(default="", max_length=1000)


class ConflictRow(Canonical):
    """A use that came again under a known number with other content. ``event`` stands; ``differs``: what the other says instead."""

    id: str
    event: str
    facility: str
    location: str = ""
    source: str = ""
    number: str = ""
    sequence: int = 1
    state: str
    message: str = ""
    differs: tuple[str, ...] = ()
    at: datetime


class ConsumedRow(Canonical):
    """What was consumed of one group; what the report is not by is empty.

    ``uses``: events that stand in the ERP, taken back ones left out. ``quantity`` in base units of the items; ``wasted`` and
    ``charged`` are parts of it. ``value``: at contract price, of what a price is known of; ``unpriced``: the base units nobody
    knows the price of.
    """

    facility: str = ""
    service_line: str = ""
    item: str = ""
    description: str = ""
    procedure: str = ""
    procedure_code: str = ""
    location: str = ""
    cost_centre: str = ""
    day: date | None = None
    month: str = ""
    uses: int = 0
    quantity: int = 0
    unit: str = ""
    wasted: int = 0
    charged: int = 0
    value: Decimal | None = None
    currency: str = ""
    unpriced: int = 0


class ReportOf(Canonical):
    """What a report is about: uses from ``since`` on and before ``until``; ``by``: what its rows are grouped by."""

    since: datetime
    until: datetime
    by: tuple[str, ...] = BY_DEFAULT
    facility: str = ""
    location: str = ""
    item: str = ""
    procedure: str = ""
    service_line: str = ""


class ChargeRow(Canonical):
    """A charge as lists show it; nothing of a patient is in it."""

    id: str
    facility: str
    kind: str
    event: str
    item: str = ""
    location: str = ""
    quantity: int | None = None
    channel: str = ""
    state: str
    message: str = ""
    reason: str = ""
    owner: str = ""
    attempts: int = 0
    at: datetime
    again_at: datetime | None = None
    changed_at: datetime
