"""What becomes of a use: posted now, shown to a person first, or put aside until a person mends it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal
from zoneinfo import ZoneInfo

from canonical.errors import Malformed
from canonical.parties import Location
from canonical.shelves import Shelf
from canonical.supply import Item
from canonical.usage import DEFAULT_ROUTES, FINDINGS, OWNER, UsageEvent, UsagePolicy, UsageRule

Route = Literal["post", "review", "park"]

# Without what these miss nothing can be posted, whatever a rule or a person says.
IMPOSSIBLE: Final = frozenset(
    {"unknown-item", "unknown-unit", "not-integral", "unknown-location", "unknown-use", "voided-before"}
)
_WEIGHT: Final[dict[Route, int]] = {"post": 0, "review": 1, "park": 2}


@dataclass(frozen=True, slots=True)
class Use:
    """A use that a void takes back, as our books have it. ``voided_by``: the void that took it back before.

    ``quantity`` in base units, once known; ``amount`` in ``unit`` as it was reported, or corrected.
    """

    id: str
    state: str
    location: str
    item: str
    quantity: int | None
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    cost_centre: str = ""
    procedure: str = ""
    service_line: str = ""
    procedure_code: str = ""
    chargeable: bool = False
    voided_by: str = ""
    amount: Decimal | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known around a use when it is judged.

    ``shelf``: what is free of its item at its location; None where stock is not counted before use (consignment, bill-only).
    ``reported_at``: when it reached us. ``zone``: the facility's; None: the use's own. ``recall``: the number of a recall that
    names its lot or serial. ``use`` and ``used_item``: what a void takes back. ``allowed``: findings a person said yes to.
    """

    policy: UsagePolicy
    reported_at: datetime
    item: Item | None = None
    location: Location | None = None
    shelf: Shelf | None = None
    zone: ZoneInfo | None = None
    used_before: bool = False
    recall: str = ""
    use: Use | None = None
    used_item: Item | None = None
    allowed: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a use. ``finding``: what decided, empty where nothing was found; ``findings`` and ``reason``: all of it.

    ``quantity`` in base units, None where it cannot be said; ``lot``, ``serial`` and ``expires`` as far as they are known.
    """

    route: Route
    finding: str = ""
    findings: tuple[str, ...] = ()
    reason: str = ""
    owner: str = ""
    quantity: int | None = None
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    cost_centre: str = ""
    service_line: str = ""
    chargeable: bool = False


@dataclass(slots=True)
class _Found:
    """Findings as they are made, each with what it is about."""

    codes: dict[str, str] = field(default_factory=dict)

    def say(self, code: str, detail: str = "") -> None:
        self.codes[code] = f"{FINDINGS[code]}: {detail}" if detail else FINDINGS[code]


def judge(event: UsageEvent, around: Circumstances) -> Judged:
    """Judge one use, void or empty bin by what is known around it. Pure: the same for the same arguments."""
    found = _Found()
    if around.location is None:
        found.say("unknown-location", event.location or "none is named")
    elif not around.location.active and around.location.moved_to is None:
        found.say("inactive-location", around.location.code)
    _look_at_times(event, around, found)
    if event.kind == "void":
        return _judge_void(event, around, found)
    lot, serial = _named(event, around)
    expires = event.expires or (event.device.expires if event.device else None)
    if expires is None and around.shelf is not None:
        expires = around.shelf.expires(lot)
    quantity = _quantity(event, around.item, found)
    if event.kind == "use" and around.item is not None:
        _look_at_lot(event, around, found, lot, serial, expires)
        if around.shelf is not None and quantity is not None:
            tracked = around.item.tracking != "none" and (lot or serial)
            available = around.shelf.available(lot, serial) if tracked else around.shelf.total
            if quantity > available:
                found.say("beyond-balance", f"{quantity} used, {max(available, 0)} there")
    centre = event.cost_centre or (around.location.cost_centre if around.location else None) or ""
    if event.kind == "use" and around.location is not None and not centre:
        found.say("no-cost-centre")
    charged = event.chargeable if event.chargeable is not None else bool(around.item and around.item.chargeable)
    route, finding, owner = _routed(event, around, found, quantity)
    return Judged(
        route=route,
        finding=finding,
        findings=tuple(found.codes),
        reason="; ".join(found.codes.values()),
        owner=owner,
        quantity=quantity,
        lot=lot,
        serial=serial,
        expires=expires,
        cost_centre=centre,
        service_line=event.service_line or (around.location.service_line if around.location else ""),
        chargeable=charged and event.kind == "use",
    )


def _judge_void(event: UsageEvent, around: Circumstances, found: _Found) -> Judged:
    use = around.use
    if use is None:
        found.say("unknown-use", f"{event.voids_number}/{event.voids_sequence}")
    elif use.voided_by:
        found.say("voided-before", f"{event.voids_number}/{event.voids_sequence}")
    elif event.amount_stated and _less(event, use, around.used_item):
        was = f"{_plain(use.amount)} {use.unit}" if use.amount is not None else f"{use.quantity} base units"
        found.say("partial-void", f"{_plain(event.amount)} {event.unit}".strip() + f" of {was.strip()}")
    route, finding, owner = _routed(event, around, found, use.quantity if use else None)
    reason = "; ".join(found.codes.values())
    if use is None:
        return Judged(route=route, finding=finding, findings=tuple(found.codes), reason=reason, owner=owner)
    return Judged(
        route=route,
        finding=finding,
        findings=tuple(found.codes),
        reason=reason,
        owner=owner,
        quantity=use.quantity,
        lot=use.lot,
        serial=use.serial,
        expires=use.expires,
        cost_centre=use.cost_centre,
        service_line=use.service_line,
        chargeable=use.chargeable,
    )


def _less(event: UsageEvent, use: Use, item: Item | None) -> bool:
    """Whether a void says fewer than its use; where the two units cannot be compared it may be."""
    if use.amount is not None and event.unit in ("", use.unit):
        return event.amount < use.amount
    if item is None:
        return True
    try:
        back = event.amount * item.base_units(event.unit or item.base_unit)
        if use.quantity is not None:
            return back < use.quantity
        return use.amount is None or back < use.amount * item.base_units(use.unit or item.base_unit)
    except Malformed:
        return True


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _named(event: UsageEvent, around: Circumstances) -> tuple[str, str]:
    """Lot and serial: the event's own, its barcode's, or the lot our books have the serial in."""
    lot = event.lot or (event.device.lot if event.device else "")
    serial = event.serial or (event.device.serial if event.device else "")
    if serial and not lot and around.shelf is not None:
        lot = around.shelf.lot_of(serial)
    return lot, serial


def _quantity(event: UsageEvent, item: Item | None, found: _Found) -> int | None:
    """Base units, a whole number, or None with the finding that says why."""
    if item is None:
        unread = "its barcode cannot be read" if event.barcode_unread else ""
        found.say("unknown-item", event.item or (event.device.device if event.device else unread))
        return None
    if not item.active:
        found.say("inactive-item", item.code)
    unit = event.unit or _packed_as(event, item) or item.base_unit
    try:
        each = item.base_units(unit)
    except Malformed:
        found.say("unknown-unit", f"{item.code} in {unit}")
        return None
    quantity = event.amount * each
    if quantity % 1:
        found.say("not-integral", f"{event.amount.normalize():f} {unit} of {item.code}, {each} {item.base_unit} each")
        return None
    return int(quantity)


def _packed_as(event: UsageEvent, item: Item) -> str:
    """The unit whose own barcode was scanned, where none came with the use."""
    if event.device is None or not event.device.device:
        return ""
    own = (one for sold in item.suppliers for one in sold.packagings)
    return next((one.unit for one in (*item.packagings, *own) if one.gtin and one.gtin == event.device.device), "")


def _look_at_lot(
    event: UsageEvent, around: Circumstances, found: _Found, lot: str, serial: str, expires: date | None
) -> None:
    item = around.item
    assert item is not None
    wanted = {"lot": lot, "serial": serial, "implant": serial or lot}
    if item.tracking in wanted and not wanted[item.tracking]:
        found.say("unreadable-barcode" if event.barcode_unread else "lot-missing", item.code)
    used_on = (event.used_at.astimezone(around.zone) if around.zone else event.used_at).date()
    if expires is not None and expires < used_on:
        found.say("expired", f"lot {lot or serial or 'unknown'} by {expires}, used on {used_on}")
    if around.recall:
        found.say("recalled", f"recall {around.recall}")
    if around.used_before:
        found.say("serial-used-before", serial)


def _look_at_times(event: UsageEvent, around: Circumstances, found: _Found) -> None:
    policy, late = around.policy, around.reported_at - event.used_at
    if -late > timedelta(minutes=policy.ahead_minutes):
        found.say("in-the-future", f"by {int(-late.total_seconds() // 60)} minutes")
    if late > timedelta(days=policy.late_days):
        found.say("too-old", f"{late.days} days")


def _routed(event: UsageEvent, around: Circumstances, found: _Found, quantity: int | None) -> tuple[Route, str, str]:
    """The way that the gravest finding asks for, with it and its owner; what a person allowed is passed over."""
    route, finding, owner = next(_ways(event, around, "", quantity), ("post", "", ""))
    by_rule = route != "post"
    if "by-rule" in around.allowed:
        route, owner = "post", ""
    for code in found.codes:
        if code in around.allowed and code not in IMPOSSIBLE:
            finding = finding or code
            continue
        way, _, whose = next(_ways(event, around, code, quantity), (DEFAULT_ROUTES[code], "", ""))
        if code in IMPOSSIBLE:
            way = "park"
        if _WEIGHT[way] > _WEIGHT[route] or (way == route and not finding):
            route, finding, owner = way, code, whose
        finding = finding or code
    if by_rule:
        found.say("by-rule")
        finding = finding or "by-rule"
    return route, finding, "" if route == "post" else owner or OWNER


def _ways(
    event: UsageEvent, around: Circumstances, code: str, quantity: int | None
) -> Iterator[tuple[Route, str, str]]:
    """What the facility's rules say of a finding, in their order."""
    for rule in around.policy.rules:
        if rule.finding in ("", code) and _fits(rule, event, around, quantity):
            yield rule.route, code, rule.owner


def _fits(rule: UsageRule, event: UsageEvent, around: Circumstances, quantity: int | None) -> bool:
    item = around.item.code if around.item else event.item
    return (
        rule.item in (None, item)
        and rule.location in (None, around.location.code if around.location else event.location)
        and rule.tracking in ("", around.item.tracking if around.item else "")
        and rule.source in (None, event.source)
        and (rule.over is None or (quantity is not None and Decimal(quantity) > rule.over))
    )
