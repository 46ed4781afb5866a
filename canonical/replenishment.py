"""When a location needs more of an item, how much, and the requisition that asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import lcm

from pydantic import ValidationError

from canonical.base import Quantity
from canonical.errors import Malformed
from canonical.parties import Location
from canonical.purchasing import Requisition, RequisitionLine
from canonical.stock import StockLevel
from canonical.supply import Item, SupplierItem
from canonical.usage import UsagePolicy

SOURCE = "replenishment"  # of the requisitions we write ourselves
AFTER_USE = ("consignment", "bill-only")


def short_of(level: StockLevel, on_hand: int, on_order: int, *, empty_bin: bool = False) -> int:
    """How many base units are to be asked for, before packages: par (or two bins) less on hand and on order; 0 for none.

    Par fills up at each look; a reorder point only once what is there and coming is below it; two bins only where one is empty.
    """
    there = on_hand + on_order
    if not level.active or level.supply in AFTER_USE or level.method == "none":
        return 0
    if level.method == "two-bin":
        return level.bin_quantity if empty_bin and on_order <= 0 else 0
    if level.method == "reorder" and there >= level.point:
        return 0
    return max(0, max(level.par, level.point if level.method == "reorder" else 0) - there)


@dataclass(frozen=True, slots=True)
class NewNeed:
    """A need that begins. ``refused``: why its requisition cannot be written; a person mends the register, and it is tried again."""

    id: str
    level: StockLevel
    quantity: int
    package: int = 1
    event: str = ""
    requisition: Requisition | None = None
    refused: str = ""

    @property
    def state(self) -> str:
        """As it begins."""
        return "refused" if self.refused else "open"


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A use whose goods are ordered after it, with what its order says of it; what is not known is empty."""

    event: str
    quantity: int
    lot: str = ""
    serial: str = ""
    procedure: str = ""
    cost_centre: str = ""


def need_of_level(
    number: str, level: StockLevel, item: Item, location: Location, policy: UsagePolicy, day: date, short: int
) -> NewNeed:
    """The need of a location that is short of so much, rounded up to whole packages."""
    package = package_of(level, item, day)
    quantity = rounded_up(short, package)
    if level.supply == "warehouse":
        return NewNeed(number, level, quantity, package)
    try:
        asked = requisition(number, item, level, location, policy, quantity)
    except Malformed as wrong:
        return NewNeed(number, level, quantity, package, refused=wrong.message)
    return NewNeed(number, level, quantity, package, requisition=asked)


def need_after_use(
    number: str, level: StockLevel, item: Item, location: Location, policy: UsagePolicy, used: UsedUp
) -> NewNeed:
    """The need that follows one use of consigned or bill-only goods."""
    told = {name: getattr(used, name) for name in ("cost_centre", "lot", "serial", "procedure")}
    try:
        asked = requisition(number, item, level, location, policy, used.quantity, **told)
    except Malformed as wrong:
        return NewNeed(number, level, used.quantity, event=used.event, refused=wrong.message)
    return NewNeed(number, level, used.quantity, event=used.event, requisition=asked)


def sold_as(item: Item, level: StockLevel, day: date) -> SupplierItem | None:
    """Who sells it to this location on a day."""
    return item.at_supplier(level.supplier, day) if level.supplier else item.preferred_supplier(day)


def package_of(level: StockLevel, item: Item, day: date) -> int:
    """The base units a need is rounded up to: the level's package; of what is bought, whole order units of its supplier too."""
    package = level.package or 1
    sold = sold_as(item, level, day) if level.supply == "purchase" else None
    if sold is None:
        return package
    try:
        return lcm(package, item.base_units(sold.order_unit, sold.supplier))
    except Malformed:  # said by who checks the requisition, with the unit's name
        return package


def rounded_up(quantity: int, package: int) -> int:
    """The least multiple of a package that holds so much."""
    return -(-quantity // package) * package


def requisition(
    number: str,
    item: Item,
    level: StockLevel,
    location: Location,
    policy: UsagePolicy,
    quantity: int,
    *,
    cost_centre: str = "",
    lot: str = "",
    serial: str = "",
    procedure: str = "",
) -> Requisition:
    """What a purchase asks for under its need's number; for an order after use with what was used, and for whom by reference.

    Asked for in base units: what is wanted does not change with how its supplier packs it.

    Raises:
        Malformed: the register does not say who asks, for which department, or at whose cost.
    """
    centre = cost_centre or location.cost_centre
    for value, what in (
        (centre, f"location {location.code} has no cost centre"),
        (policy.department, f"the usage policy of {location.facility} names no department for requisitions"),
        (policy.requester, f"the usage policy of {location.facility} names no requester"),
    ):
        if not value:
            raise Malformed(what, code="data-missing")
    after_use = level.supply in AFTER_USE
    used = {"lot": lot, "serial": serial, "procedure": procedure} if after_use else {}
    told = ", ".join(f"{name} {value}" for name, value in used.items() if value)
    try:
        line = RequisitionLine(
            id="1",
            item=item.code,
            description=f"{item.description or item.code} ({told})"[:2000] if told else item.description,
            quantity=Quantity(value=Decimal(quantity), unit=item.base_unit),
            supplier=level.supplier,
            deliver_to=location.code,
            **used,
        )
        return Requisition.model_validate(
            {
                "facility": location.facility,
                "source": SOURCE,
                "number": number,
                "department": policy.department,
                "cost_centre": centre,
                "requester": policy.requester,
                "deliver_to": location.code,
                "note": f"{level.supply}, used" if after_use else f"{level.method} level of {location.code}",
                "after_use": after_use,
                "lines": (line,),
            }
        )
    except ValidationError as wrong:
        raise Malformed(wrong.errors()[0]["msg"], code="data-invalid") from None
