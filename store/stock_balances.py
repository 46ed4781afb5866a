"""Balances and the movements that make them: the sum of a balance's movements is the balance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.stock_moves import Move

# Everybody changes balances in one order, so no two transactions wait for each other.
_BALANCES: Final = text("""
INSERT INTO stock_balances AS b (facility, location, item, lot, serial, on_hand, reserved, expires, changed_at)
SELECT g.facility, g.location, g.item, g.lot, g.serial, g.on_hand, g.reserved, g.expires, CAST(:at AS timestamptz) FROM unnest(
    CAST(:facilities AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:lots AS text[]),
    CAST(:serials AS text[]), CAST(:on_hand AS bigint[]), CAST(:reserved AS bigint[]), CAST(:expires AS date[])) AS g
    (facility, location, item, lot, serial, on_hand, reserved, expires)
ORDER BY g.facility COLLATE "C", g.location COLLATE "C", g.item COLLATE "C", g.lot COLLATE "C", g.serial COLLATE "C"
ON CONFLICT (facility, location, item, lot, serial) DO UPDATE SET on_hand = b.on_hand + excluded.on_hand,
    reserved = b.reserved + excluded.reserved, expires = coalesce(b.expires, excluded.expires), changed_at = excluded.changed_at""")
_MOVED: Final = text("""
INSERT INTO stock_movements (key, facility, location, item, lot, serial, quantity, kind, event, need, round, erp_document,
    reason, at)
SELECT g.key, g.facility, g.location, g.item, g.lot, g.serial, g.quantity, g.kind, g.event, g.need, CAST(:round AS bigint),
    g.document, g.reason, CAST(:at AS timestamptz)
FROM unnest(CAST(:keys AS text[]), CAST(:facilities AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
    CAST(:lots AS text[]), CAST(:serials AS text[]), CAST(:quantities AS bigint[]), CAST(:kinds AS text[]),
    CAST(:events AS text[]), CAST(:needs AS text[]), CAST(:documents AS text[]), CAST(:reasons AS text[])) AS g
    (key, facility, location, item, lot, serial, quantity, kind, event, need, document, reason)""")
_TOTALS: Final = text("""
SELECT b.location, b.item, sum(b.on_hand) AS on_hand FROM stock_balances AS b
JOIN unnest(CAST(:locations AS text[]), CAST(:items AS text[])) AS w (location, item) USING (location, item)
WHERE b.facility = :facility GROUP BY b.location, b.item""")

Place = tuple[str, str, str, str, str]  # facility, location, item, lot, serial

_MOVE_NAMES: Final = (
    "keys",
    "facilities",
    "locations",
    "items",
    "lots",
    "serials",
    "quantities",
    "kinds",
    "events",
    "needs",
    "documents",
    "reasons",
)


async def move(
    connection: AsyncConnection,
    moves: Sequence[Move],
    at: datetime,
    round_: int | None = None,
    released: Iterable[Move] = (),
) -> None:
    """Write movements with their balances, and give free what was reserved for them; each once under its key.

    Raises:
        sqlalchemy.exc.IntegrityError: a movement of that key was made before.
    """
    sums: dict[Place, list[int]] = defaultdict(lambda: [0, 0])
    expires = {one.place: one.expires for one in moves if one.expires is not None}
    for one in moves:
        sums[one.place][0] += one.quantity
    for one in released:
        sums[one.place][1] += one.quantity  # below zero: it was taken
    if moves:
        rows = [
            (
                one.key,
                *one.place,
                one.quantity,
                one.kind,
                one.event,
                one.need,
                one.document,
                one.reason,
            )
            for one in moves
        ]
        columns = dict(zip(_MOVE_NAMES, map(list, zip(*rows, strict=True)), strict=True))
        await connection.execute(_MOVED, columns | {"round": round_, "at": at})
    changes = [(*place, *change, expires.get(place)) for place, change in sorted(sums.items())]
    await _change(connection, changes, at)


async def reserve(connection: AsyncConnection, moves: Iterable[Move], at: datetime) -> None:
    """Keep from others what a round is about to take."""
    sums: dict[Place, int] = defaultdict(int)
    for one in moves:
        sums[one.place] -= one.quantity
    await _change(connection, [(*place, 0, quantity, None) for place, quantity in sorted(sums.items())], at)


async def _change(connection: AsyncConnection, changes: Sequence[Sequence[object]], at: datetime) -> None:
    if not changes:
        return
    names = ("facilities", "locations", "items", "lots", "serials", "on_hand", "reserved", "expires")
    columns = dict(zip(names, map(list, zip(*changes, strict=True)), strict=True))
    await connection.execute(_BALANCES, columns | {"at": at})


async def totals(
    connection: AsyncConnection, facility: str, where: Collection[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """What is on hand of items at locations, over lots and serials."""
    if not where:
        return {}
    locations, items = zip(*sorted(where), strict=True)
    given = {"facility": facility, "locations": list(locations), "items": list(items)}
    return {(row.location, row.item): int(row.on_hand) for row in await connection.execute(_TOTALS, given)}
