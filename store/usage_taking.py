"""What a round is judged by: its events, and what the register, the balances, recalls and earlier uses say of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.calendar import BusinessCalendar
from canonical.parties import Facility, Location
from canonical.replenishment import AFTER_USE
from canonical.shelves import Parcel, Shelf
from canonical.stock import RoundKey, StockLevel
from canonical.supplies import DueSupply
from canonical.supply import Item
from canonical.usage import UsageEvent, UsagePolicy
from canonical.usage_planning import Known, UseName, WaitingUse, item_of, lot_and_serial
from canonical.usage_rules import Use
from store.recall_blocks import Which, recalled
from store.register_reading import current, in_force, items_in_force, read_document

Where = tuple[str, str]  # location, item

_WAITING: Final = text("""
SELECT id, CAST(content AS text) AS content, corrected, allowed, at FROM usage_events
WHERE facility = :facility AND location = :location AND state = 'waiting' ORDER BY id LIMIT :most FOR UPDATE""")
_LEFT: Final = text("""
SELECT count(*) FROM (SELECT FROM usage_events
WHERE facility = :facility AND location = :location AND state = 'waiting' LIMIT 10000) AS w""")
_RULES: Final = text("""
SELECT DISTINCT ON (kind) kind, document FROM register
WHERE facility = :facility AND valid_from <= :as_of AND (kind, code) IN
    (('location', :location), ('usage_policy', :facility), ('facility', :facility))
ORDER BY kind, valid_from DESC""")
_BALANCES: Final = text("""
SELECT location, item, lot, serial, on_hand - reserved AS free, expires FROM stock_balances
WHERE facility = :facility AND (location, item) IN (
    SELECT w.location, w.item FROM unnest(CAST(:locations AS text[]), CAST(:items AS text[])) AS w (location, item))
ORDER BY facility, location, item, lot, serial FOR UPDATE""")
_ALL_BALANCES: Final = text("""
SELECT location, item, lot, serial, on_hand - reserved AS free, expires FROM stock_balances
WHERE facility = :facility AND location = :location ORDER BY facility, location, item, lot, serial FOR UPDATE""")
_LOCK: Final = text("""
SELECT pg_advisory_xact_lock(hashtextextended(name, 21)) FROM unnest(CAST(:names AS text[])) AS n (name)""")
_USED: Final = text("""
SELECT DISTINCT u.item, u.serial FROM usage_events AS u
JOIN unnest(CAST(:items AS text[]), CAST(:serials AS text[])) AS g (item, serial) USING (item, serial)
WHERE u.facility = :facility AND u.serial <> '' AND u.kind = 'use' AND u.state IN ('taken', 'posted') AND u.voided_by = ''""")
_USES: Final = text("""
SELECT u.source, u.number, u.sequence, u.id, u.state, u.location, u.item, u.quantity, u.lot, u.serial, u.expires,
    u.cost_centre, u.procedure, u.service_line, u.procedure_code, u.chargeable, u.voided_by,
    CAST(coalesce(u.corrected ->> 'amount', u.content ->> 'amount', '1') AS numeric) AS amount,
    coalesce(u.corrected ->> 'unit', u.content ->> 'unit', '') AS unit
FROM unnest(CAST(:sources AS text[]), CAST(:numbers AS text[]), CAST(:sequences AS int[])) AS g (source, number, sequence)
JOIN usage_events AS u USING (source, number, sequence) WHERE u.facility = :facility AND u.kind <> 'void'
ORDER BY u.id FOR UPDATE OF u""")
# Voids of these uses that another round has under way: its location is not this one's where a person said where the goods went.
_COMING_BACK: Final = text("""
SELECT voids, id FROM usage_events WHERE voids = ANY(CAST(:uses AS text[])) AND voids <> '' AND kind = 'void' AND state = 'taken'""")
_CONSIGNED: Final = text("""
SELECT DISTINCT event FROM stock_movements WHERE event = ANY(CAST(:events AS text[])) AND event <> '' AND kind = 'receipt'""")
_DUE: Final = text("""
SELECT id, item, quantity, received, put_away, warehouse, package, lots FROM stock_needs
WHERE facility = :facility AND location = :location AND state <> 'refused'
AND (received > put_away OR (warehouse <> '' AND state = 'open')) ORDER BY id""")
_PUT: Final = text("""
SELECT need, lot, sum(quantity) AS quantity FROM stock_movements
WHERE need = ANY(CAST(:needs AS text[])) AND need <> '' AND facility = :facility AND location = :location GROUP BY need, lot""")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Rules:
    """What the register says of a location and its facility on a day."""

    policy: UsagePolicy
    location: Location | None
    zone: ZoneInfo | None


@dataclass(slots=True)
class Gathered:
    """All that a round is judged by. ``supplies`` with the shelf of the warehouse each comes from, and what recalls forbid of it."""

    known: Known
    waiting: list[WaitingUse]
    supplies: list[DueSupply] = field(default_factory=list)
    warehouses: dict[Where, Shelf] = field(default_factory=dict)
    blocked: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


async def rules(connection: AsyncConnection, facility: str, location: str, as_of: date) -> Rules:
    """Policy, location and time zone as in force on a day."""
    given = {"facility": facility, "location": location, "as_of": as_of}
    found = {row.kind: row.document for row in await connection.execute(_RULES, given)}
    policy = read_document(UsagePolicy, found["usage_policy"]) if "usage_policy" in found else None
    if policy is None or (policy.valid_to is not None and as_of > policy.valid_to):
        policy = UsagePolicy(facility=facility)
    place = read_document(Location, found["location"]) if "location" in found else None
    if place is not None and place.moved_to is not None and await _comes_round(connection, place, as_of):
        log.error("location moved in a circle", alert=True, facility=facility, location=location)
        place = place.model_copy(update={"moved_to": None})
    zone = None
    if "facility" in found:
        calendar = read_document(Facility, found["facility"]).calendar
        if calendar.code != BusinessCalendar().code:
            calendar = await current(connection, BusinessCalendar, "calendar", "", calendar.code, as_of) or calendar
        zone = ZoneInfo(calendar.time_zone)
    return Rules(policy, place, zone)


async def _comes_round(connection: AsyncConnection, place: Location, as_of: date) -> bool:
    """Whether a location moved, in the end, to itself: its goods would go round for ever, a document of the ERP each time."""
    seen, to = set[str](), place.moved_to
    while to is not None and to not in seen and to != place.code:
        seen.add(to)
        there = await current(connection, Location, "location", place.facility, to, as_of)
        to = there.moved_to if there is not None else None
    return to == place.code


async def waiting_of(connection: AsyncConnection, key: RoundKey, most: int) -> list[WaitingUse]:
    """The oldest events that wait at a location, locked."""
    given = {"facility": key.facility, "location": key.location, "most": most}
    return [
        WaitingUse(row.id, _event(row.content, row.corrected), row.at, tuple(row.allowed))
        for row in await connection.execute(_WAITING, given)
    ]


def _event(content: str, corrected: dict[str, Any] | None) -> UsageEvent:
    if corrected is None:
        return UsageEvent.model_validate_json(content)
    return UsageEvent.model_validate(json.loads(content) | corrected)


async def left(connection: AsyncConnection, key: RoundKey) -> int:
    """How many wait, those of a round not written yet among them."""
    given = {"facility": key.facility, "location": key.location}
    return int(await connection.scalar(_LEFT, given) or 0)


async def gather(connection: AsyncConnection, key: RoundKey, by: Rules, waiting: list[WaitingUse]) -> Gathered:
    """Look everything up, each kind of thing in one question; balances are locked, in one order for everybody."""
    events = [one.event for one in waiting]
    due = await _due(connection, key)
    day = key.as_of.date()
    codes = {event.item for event in events if event.item} | {one.item for one in due}
    devices = {event.device.device for event in events if event.device and event.device.device}
    uses = await _uses(connection, key, events)
    codes |= {use.item for use in uses.values() if use.item}
    items = await items_in_force(connection, key.facility, codes, devices, day) if codes or devices else {}
    known = Known(key=key, policy=by.policy, location=by.location, zone=by.zone, items=items, uses=uses)
    named = {item.code for item in items.values()}
    known.levels = await levels(connection, key.facility, {(key.location, item) for item in named}, day)
    wanted = {(key.location, item) for item in named} | {(one.warehouse, one.item) for one in due if one.warehouse}
    shelves = await _shelves(connection, key, wanted, everything=bool(by.location and by.location.moved_to))
    known.shelves = {item: shelf for (location, item), shelf in shelves.items() if location == key.location}
    warehouses = {where: shelf for where, shelf in shelves.items() if where[0] != key.location}
    which = _which(events, items)
    stored = {(where[1], *place) for where, shelf in warehouses.items() for place in shelf.places()}
    known.recalls = await recalled(connection, key.facility, which | stored)
    known.used = await _used(connection, key, {(item, serial) for item, _, serial in which if serial})
    known.consigned = await _consigned(connection, waiting, items, known.levels)
    blocked: dict[str, set[tuple[str, str]]] = {}
    for item, lot, serial in known.recalls:
        blocked.setdefault(item, set()).add((lot, serial))
    return Gathered(known, waiting, due, warehouses, blocked)


async def levels(
    connection: AsyncConnection, facility: str, where: Collection[Where], as_of: date
) -> dict[str, StockLevel]:
    """How items are kept at one location, by item."""
    codes = {f"{location}/{item}" for location, item in where}
    found = await in_force(connection, StockLevel, "stock_level", facility, codes, as_of)
    return {level.item: level for level in found.values()}


def _which(events: Sequence[UsageEvent], items: Mapping[str, Item]) -> set[Which]:
    found = set()
    for event in events:
        if event.kind == "use" and (item := item_of(event, items)) is not None:
            found.add((item.code, *lot_and_serial(event)))
    return found


async def _shelves(
    connection: AsyncConnection, key: RoundKey, wanted: Collection[Where], *, everything: bool
) -> dict[Where, Shelf]:
    if everything:
        given: dict[str, Any] = {"facility": key.facility, "location": key.location}
        rows = (await connection.execute(_ALL_BALANCES, given)).all()
    elif wanted:
        locations, items = zip(*sorted(wanted), strict=True)
        given = {"facility": key.facility, "locations": list(locations), "items": list(items)}
        rows = (await connection.execute(_BALANCES, given)).all()
    else:
        return {}
    parcels: dict[Where, list[Parcel]] = {where: [] for where in wanted}
    for row in rows:
        parcels.setdefault((row.location, row.item), []).append(Parcel(row.free, row.lot, row.serial, row.expires))
    return {where: Shelf(there) for where, there in parcels.items()}


async def _used(connection: AsyncConnection, key: RoundKey, which: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which serials were used before; two locations that take one serial at once do so one after the other."""
    if not which:
        return set()
    items, serials = zip(*sorted(which), strict=True)
    names = [f"{key.facility}/{item}/{serial}" for item, serial in sorted(which)]
    await connection.execute(_LOCK, {"names": names})
    given = {"facility": key.facility, "items": list(items), "serials": list(serials)}
    return {(row.item, row.serial) for row in await connection.execute(_USED, given)}


async def _uses(connection: AsyncConnection, key: RoundKey, events: Sequence[UsageEvent]) -> dict[UseName, Use]:
    names = sorted({(e.source, e.voids_number, e.voids_sequence) for e in events if e.kind == "void"})
    if not names:
        return {}
    sources, numbers, sequences = zip(*names, strict=True)
    given = {"facility": key.facility, "sources": list(sources), "numbers": list(numbers)}
    found = (await connection.execute(_USES, given | {"sequences": list(sequences)})).all()
    under_way = await connection.execute(
        _COMING_BACK, {"uses": [row.id for row in found]}
    )  # seen once the uses are locked
    coming = {row.voids: row.id for row in under_way}
    uses = {(row[0], row[1], row[2]): Use(*row[3:]) for row in found}
    return {name: replace(use, voided_by=use.voided_by or coming.get(use.id, "")) for name, use in uses.items()}


async def _consigned(
    connection: AsyncConnection,
    waiting: Sequence[WaitingUse],
    items: Mapping[str, Item],
    by_item: Mapping[str, StockLevel],
) -> frozenset[str]:
    events = []
    for one in waiting:
        item = item_of(one.event, items)
        level = by_item.get(item.code) if item else None
        if level is not None and level.supply in AFTER_USE:
            events.append(one.id)
    if not events:
        return frozenset()
    return frozenset(await connection.scalars(_CONSIGNED, {"events": events}))


async def _due(connection: AsyncConnection, key: RoundKey) -> list[DueSupply]:
    where = {"facility": key.facility, "location": key.location}
    rows = (await connection.execute(_DUE, where)).all()
    if not rows:
        return []
    put: dict[str, dict[str, int]] = {}
    for row in await connection.execute(_PUT, where | {"needs": [row.id for row in rows]}):
        put.setdefault(row.need, {})[row.lot] = int(row.quantity)
    return [
        DueSupply(
            need=row.id,
            item=row.item,
            quantity=row.quantity,
            received=row.received,
            put_away=row.put_away,
            warehouse=row.warehouse,
            package=row.package,
            came=_parcels(row.lots),
            put=put.get(row.id, {}),
        )
        for row in rows
    ]


def _parcels(lots: Sequence[Mapping[str, Any]]) -> list[Parcel]:
    """What came of a need, as who follows its orders wrote it (:class:`store.replenishment.LotCame`)."""
    return [
        Parcel(
            int(lot["quantity"]),
            lot.get("lot", ""),
            lot.get("serial", ""),
            date.fromisoformat(lot["expires"]) if lot.get("expires") else None,
        )
        for lot in lots
    ]
