"""What locations need: one open need of an item at a time, however many look at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.parties import Location
from canonical.replenishment import AFTER_USE, NewNeed, UsedUp, need_after_use, need_of_level, short_of
from canonical.stock import Need, RoundKey, StockLevel
from canonical.supply import Item
from canonical.usage import UsagePolicy
from canonical.usage_settling import after_supply
from store.ids import new_id
from store.register_reading import in_force
from store.stock_balances import totals

Where = tuple[str, str]  # location, item
TAKEN_BACK: Final = "its use was taken back"

_ON_ORDER: Final = text("""
SELECT n.location, n.item,
    sum(CASE WHEN n.state IN ('open', 'ordered', 'back-ordered') THEN n.quantity - n.put_away
        ELSE greatest(n.received - n.put_away, 0) END) AS on_order,
    bool_or(n.state IN ('open', 'ordered', 'back-ordered')) AS unfinished,
    max(CASE WHEN n.state = 'refused' AND n.case = '' THEN n.id ELSE '' END) AS refused
FROM stock_needs AS n JOIN unnest(CAST(:locations AS text[]), CAST(:items AS text[])) AS w (location, item) USING (location, item)
WHERE n.facility = :facility AND n.event = ''
AND (n.state IN ('open', 'ordered', 'back-ordered') OR n.received > n.put_away OR (n.state = 'refused' AND n.case = ''))
GROUP BY n.location, n.item""")
_AGAIN: Final = text(
    """DELETE FROM stock_needs WHERE id = ANY(CAST(:ids AS text[])) AND state = 'refused' AND "case" = '' """
)
_NEW: Final = text("""
INSERT INTO stock_needs (id, facility, location, item, supply, event, warehouse, package, state, quantity, reason, round,
    requisition, at, changed_at)
SELECT g.id, :facility, g.location, g.item, g.supply, g.event, g.warehouse, g.package, g.state, g.quantity, g.reason,
    CAST(:round AS bigint), CAST(g.requisition AS jsonb), CAST(:at AS timestamptz), CAST(:at AS timestamptz)
FROM unnest(CAST(:ids AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:supplies AS text[]),
    CAST(:events AS text[]), CAST(:warehouses AS text[]), CAST(:packages AS bigint[]), CAST(:states AS text[]),
    CAST(:quantities AS bigint[]), CAST(:reasons AS text[]), CAST(:requisitions AS text[])) AS g
    (id, location, item, supply, event, warehouse, package, state, quantity, reason, requisition)
ON CONFLICT DO NOTHING RETURNING id, location, item""")
_NO_MORE: Final = text("""
UPDATE stock_needs SET state = CASE "case" WHEN '' THEN 'cancelled' ELSE state END, reason = :reason, changed_at = :at
WHERE event = ANY(CAST(:events AS text[])) AND event <> '' AND state <> 'cancelled'""")
_TRY_AGAIN: Final = text("""
UPDATE stock_needs AS n SET state = 'open', changed_at = :at
FROM unnest(CAST(:locations AS text[]), CAST(:items AS text[])) AS w (location, item)
WHERE n.facility = :facility AND n.state = 'back-ordered' AND n.warehouse <> '' AND (n.warehouse, n.item) = (w.location, w.item)""")
_BROUGHT: Final = text("""
SELECT id, quantity, put_away, warehouse, state FROM stock_needs
WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE""")
_PUT_AWAY: Final = text("""
UPDATE stock_needs SET put_away = :put_away, received = greatest(received, :put_away), state = :state, changed_at = :at
WHERE id = :id""")
_AWAY_AGAIN: Final = text("""
UPDATE stock_needs AS n SET reason = '', changed_at = :at, state = CASE WHEN n.received >= n.quantity OR EXISTS (
        SELECT FROM stock_needs AS o WHERE (o.facility, o.location, o.item) = (n.facility, n.location, n.item) AND o.event = ''
        AND o.state IN ('open', 'ordered', 'back-ordered')) THEN 'received' ELSE 'ordered' END
WHERE n.id IN (SELECT min(m.id) FROM stock_needs AS m
    JOIN unnest(CAST(:locations AS text[]), CAST(:items AS text[])) AS w (location, item) USING (location, item)
    WHERE m.facility = :facility AND m.event = '' AND m.state = 'refused' AND m.received > m.put_away
    AND NOT m.id = ANY(CAST(:but AS text[])) GROUP BY m.location, m.item)""")
_REFUSED: Final = text("""
UPDATE stock_needs AS n SET state = 'refused', reason = g.reason, changed_at = :at
FROM unnest(CAST(:ids AS text[]), CAST(:reasons AS text[])) AS g (id, reason) WHERE n.id = g.id""")


@dataclass(slots=True)
class Looked:
    """What is looked at once a round is recorded: wherever something moved, bins that are empty, and uses ordered after them."""

    places: Collection[Where]
    empty: Collection[Where] = ()
    used: Mapping[str, UsedUp] = field(default_factory=dict)
    used_items: Mapping[str, str] = field(default_factory=dict)  # event: item


async def new_needs(
    connection: AsyncConnection, key: RoundKey, policy: UsagePolicy, looked: Looked, at: datetime
) -> list[Need]:
    """Write the needs that begin; those whose requisition cannot be written are kept refused, and tried again at the next look."""
    day = key.as_of.date()
    places = {*looked.places, *((key.location, item) for item in looked.used_items.values())}
    if not places:
        return []
    codes = {f"{location}/{item}" for location, item in places}
    found = await in_force(connection, StockLevel, "stock_level", key.facility, codes, day)
    levels = {(level.location, level.item): level for level in found.values() if level.active}
    if not levels:
        return []
    items = await in_force(connection, Item, "item", key.facility, {item for _, item in levels}, day)
    names = {location for location, _ in levels}
    locations = await in_force(connection, Location, "location", key.facility, names, day)
    begun = await _short(connection, key, policy, looked, levels, items, locations)
    for event, used in looked.used.items():
        item = looked.used_items[event]
        level = levels.get((key.location, item))
        if level is not None and level.supply in AFTER_USE and item in items and key.location in locations:
            begun.append(need_after_use(new_id(), level, items[item], locations[key.location], policy, used))
    return await _begin(connection, key, begun, at)


async def _short(
    connection: AsyncConnection,
    key: RoundKey,
    policy: UsagePolicy,
    looked: Looked,
    levels: Mapping[Where, StockLevel],
    items: Mapping[str, Item],
    locations: Mapping[str, Location],
) -> list[NewNeed]:
    wanted = {where for where in looked.places if where in levels and levels[where].supply not in AFTER_USE}
    on_hand = await totals(connection, key.facility, wanted)
    coming_to = await on_order(connection, key.facility, wanted)
    begun = []
    for where in sorted(wanted):
        level, item, location = levels[where], items.get(where[1]), locations.get(where[0])
        coming, unfinished, refused = coming_to.get(where, (0, False, ""))
        if item is None or location is None or location.moved_to or unfinished:
            continue
        short = short_of(level, on_hand.get(where, 0), coming, empty_bin=where in looked.empty)
        if short:
            number = refused or new_id()
            begun.append(need_of_level(number, level, item, location, policy, key.as_of.date(), short))
    return begun


async def on_order(
    connection: AsyncConnection, facility: str, where: Collection[Where]
) -> dict[Where, tuple[int, bool, str]]:
    """What is on its way, by location and item; whether a need is unfinished, and the one that was refused."""
    if not where:
        return {}
    locations, items = zip(*sorted(where), strict=True)
    given = {"facility": facility, "locations": list(locations), "items": list(items)}
    return {
        (row.location, row.item): (int(row.on_order), row.unfinished, row.refused)
        for row in await connection.execute(_ON_ORDER, given)
    }


async def _begin(connection: AsyncConnection, key: RoundKey, begun: Sequence[NewNeed], at: datetime) -> list[Need]:
    if not begun:
        return []
    told = {new.id: new.requisition.model_dump_json() if new.requisition else None for new in begun}
    rows = [
        (
            new.id,
            new.level.location,
            new.level.item,
            new.level.supply,
            new.event,
            (new.level.warehouse or "") if new.level.supply == "warehouse" else "",
            new.package,
            new.state,
            new.quantity,
            new.refused,
            told[new.id],
        )
        for new in begun
    ]
    names = ("ids", "locations", "items", "supplies", "events", "warehouses", "packages", "states", "quantities")
    columns: dict[str, Any] = dict(
        zip((*names, "reasons", "requisitions"), map(list, zip(*rows, strict=True)), strict=True)
    )
    await connection.execute(_AGAIN, {"ids": columns["ids"]})
    written = await connection.execute(_NEW, columns | {"facility": key.facility, "round": key.round, "at": at})
    new_ones = {row.id for row in written}
    return [
        Need(
            id=new.id,
            facility=key.facility,
            location=new.level.location,
            item=new.level.item,
            quantity=new.quantity,
            supply=new.level.supply,
            requisition=told[new.id] or "",
        )
        for new in begun
        if new.id in new_ones and not new.refused
    ]


async def no_more_wanted(connection: AsyncConnection, events: Collection[str], at: datetime) -> None:
    """Uses that were taken back are not ordered; of an order that was placed a person is told: it may be billed already."""
    if events:
        await connection.execute(_NO_MORE, {"events": sorted(events), "reason": TAKEN_BACK, "at": at})


async def try_again(connection: AsyncConnection, facility: str, risen: Collection[Where], at: datetime) -> None:
    """Needs a warehouse could not fill are tried again where it has more now."""
    if risen:
        locations, items = zip(*sorted(risen), strict=True)
        given = {"facility": facility, "locations": list(locations), "items": list(items), "at": at}
        await connection.execute(_TRY_AGAIN, given)


async def brought(connection: AsyncConnection, put: Mapping[str, int], at: datetime) -> None:
    """So much was put away for each need."""
    if not put:
        return
    rows = (await connection.execute(_BROUGHT, {"ids": sorted(put)})).all()
    for row in rows:
        there = row.put_away + put[row.id]
        state = after_supply(row.quantity, there, warehouse=bool(row.warehouse), state=row.state)
        await connection.execute(_PUT_AWAY, {"id": row.id, "put_away": there, "state": state, "at": at})


async def put_away_again(
    connection: AsyncConnection, facility: str, moved: Collection[Where], but: Collection[str], at: datetime
) -> None:
    """What the ERP would not put away is tried again where the item moved since; ``but``: what it has just refused."""
    if moved:
        locations, items = zip(*sorted(moved), strict=True)
        given = {"facility": facility, "locations": list(locations), "items": list(items), "but": sorted(but), "at": at}
        await connection.execute(_AWAY_AGAIN, given)


async def not_brought(connection: AsyncConnection, reasons: Mapping[str, str], at: datetime) -> None:
    """The ERP would not move these; they wait for a person."""
    if reasons:
        given = {"ids": list(reasons), "reasons": list(reasons.values()), "at": at}
        await connection.execute(_REFUSED, given)
