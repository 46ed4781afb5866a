"""Counts in the rounds of their location: what should have been there when it was counted, and what is booked of the difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.base import Quantity
from canonical.counting import CAUSES, FAULTS, Counted, Standing, Variance, compared, postings
from canonical.errors import Malformed
from canonical.stock import RoundKey, StockPosted, StockPosting
from canonical.supply import Item
from canonical.usage import UsageEvent, UsagePolicy
from canonical.usage_planning import item_of, lot_and_serial
from canonical.usage_rules import Circumstances, judge
from store.ids import now
from store.register_reading import items_in_force

MOST: Final = 20  # counts of a round

_DUE: Final = text("""
SELECT count_due <= :as_of AS due, count_due IS NULL AND counted_at IS NULL AS new FROM usage_locations
WHERE facility = :facility AND location = :location""")
_NEW: Final = text("""
UPDATE usage_locations AS l SET count_due = :as_of WHERE l.facility = :facility AND l.location = :location
AND EXISTS (SELECT FROM register AS r WHERE r.kind = 'location' AND (r.facility, r.code) = (l.facility, l.location))
RETURNING l.location""")
_WAITING: Final = text("""
UPDATE stock_counts SET state = 'taken', round = :round, changed_at = :now WHERE id IN (
    SELECT id FROM stock_counts WHERE facility = :facility AND location = :location AND state = 'waiting' ORDER BY id LIMIT :most)
RETURNING id, kind, number, counted_at""")
_LINES: Final = text("""
SELECT l.line, l.item, l.lot, l.amount, l.unit FROM stock_count_lines AS l WHERE l.count = :count ORDER BY l.line""")
_BALANCES: Final = text("""
SELECT item, lot, serial, on_hand, expires FROM stock_balances
WHERE facility = :facility AND location = :location AND item = ANY(CAST(:items AS text[]))""")
# What was booked for something that happened after the count. A use happened when it was used, whenever it was booked, what takes one
# back belongs to that, and what a count before this one found was there by then.
_SINCE: Final = text("""
SELECT m.item, m.lot, m.serial, sum(m.quantity) AS quantity FROM stock_movements AS m
LEFT JOIN usage_events AS e ON m.event <> '' AND e.id = m.event
LEFT JOIN usage_events AS u ON e.voids <> '' AND u.id = e.voids
LEFT JOIN stock_counts AS c ON m.kind = 'adjust' AND (c.facility, c.location) = (m.facility, m.location)
    AND position('/adjust/' || c.id || '/' IN m.key) > 0
WHERE m.facility = :facility AND m.location = :location AND m.item = ANY(CAST(:items AS text[]))
AND coalesce(u.used_at, e.used_at, c.counted_at, m.at) > :at GROUP BY m.item, m.lot, m.serial""")
# Used by then and not booked: what waits, is under way, or waits for a person; what is taken back before it was booked is none.
_NOT_BOOKED: Final = text("""
SELECT e.content, e.corrected, e.item, e.lot, e.serial, e.quantity FROM usage_events AS e
WHERE e.facility = :facility AND e.location = :location AND e.kind = 'use' AND e.voided_by = '' AND e.used_at <= :at
AND e.state IN ('waiting', 'taken', 'review', 'parked')
AND NOT EXISTS (SELECT FROM usage_events AS v WHERE v.voids = e.id AND v.voids <> '' AND v.state IN ('waiting', 'taken'))""")
# Booked, and taken back by what is not booked yet: it never was used.
_COMES_BACK: Final = text("""
SELECT u.item, u.lot, u.serial, coalesce(u.quantity, 0) AS quantity FROM usage_events AS v JOIN usage_events AS u ON u.id = v.voids
WHERE v.facility = :facility AND v.location = :location AND v.kind = 'void' AND v.state IN ('waiting', 'taken')
AND u.state = 'posted' AND u.used_at <= :at""")
_TO_PUT_AWAY: Final = text("""
SELECT item, sum(received - put_away) AS quantity FROM stock_needs
WHERE facility = :facility AND location = :location AND received > put_away AND item = ANY(CAST(:items AS text[])) GROUP BY item""")
# Booked since the last count of the item was, of before it: that count had found it missing already.
_LATE: Final = text("""
WITH last AS (
    SELECT DISTINCT ON (l.code) l.code, c.counted_at, c.changed_at FROM stock_counts AS c JOIN stock_count_lines AS l ON l.count = c.id
    WHERE c.facility = :facility AND c.location = :location AND c.kind <> 'erp' AND c.state IN ('reconciled', 'parked')
    AND l.code = ANY(CAST(:items AS text[])) AND l.adjusted < 0 AND c.counted_at < :at ORDER BY l.code, c.counted_at DESC
)
SELECT e.item, sum(e.quantity) AS quantity FROM last JOIN usage_events AS e ON e.item = last.code
WHERE e.facility = :facility AND e.location = :location AND e.kind = 'use' AND e.state = 'posted'
AND e.used_at <= last.counted_at AND e.posted_at > last.changed_at GROUP BY e.item""")
_PARKED: Final = text("""
SELECT DISTINCT ON (l.code, l.lot) l.code, l.lot, l.counted, l.cause
FROM stock_counts AS c JOIN stock_count_lines AS l ON l.count = c.id
WHERE c.facility = :facility AND c.location = :location AND c.kind <> 'erp' AND c.state IN ('reconciled', 'parked')
AND l.code = ANY(CAST(:items AS text[])) ORDER BY l.code, l.lot, c.counted_at DESC""")
_WRITTEN: Final = text("""
INSERT INTO stock_count_lines AS t (count, line, item, code, lot, serial, counted, expected, adjusted, state, cause, reason, expires)
SELECT :count, g.line, g.item, g.item, g.lot, g.serial, g.counted, g.expected, g.adjusted, g.state, g.cause, g.reason, g.expires
FROM unnest(CAST(:numbers AS int[]), CAST(:items AS text[]), CAST(:lots AS text[]), CAST(:serials AS text[]),
    CAST(:counted AS bigint[]), CAST(:expected AS bigint[]), CAST(:adjusted AS bigint[]), CAST(:states AS text[]),
    CAST(:causes AS text[]), CAST(:reasons AS text[]), CAST(:expires AS date[])) AS g
    (line, item, lot, serial, counted, expected, adjusted, state, cause, reason, expires)
ON CONFLICT (count, line) DO UPDATE SET code = excluded.code, serial = excluded.serial, counted = excluded.counted,
    expected = excluded.expected, adjusted = excluded.adjusted, state = excluded.state, cause = excluded.cause,
    reason = excluded.reason""")
_WRONG: Final = text("""
UPDATE stock_count_lines SET state = 'parked', cause = :cause, reason = :reason WHERE count = :count AND line = :line""")
_REFUSED: Final = text("""
UPDATE stock_count_lines SET state = 'parked', adjusted = 0, cause = 'refused-by-erp', reason = :reason
WHERE count = :count AND line = ANY(CAST(:lines AS int[])) AND state = 'adjusted'""")
_OVER: Final = text("""
UPDATE stock_counts AS c SET changed_at = :now, state = CASE WHEN EXISTS (
    SELECT FROM stock_count_lines AS l WHERE l.count = c.id AND l.state = 'parked') THEN 'parked' ELSE 'reconciled' END
WHERE c.id = ANY(CAST(:counts AS text[])) AND c.state = 'taken'""")
_OF_ROUND: Final = text("""
SELECT id FROM stock_counts WHERE facility = :facility AND location = :location AND round = :round AND state = 'taken'""")


@dataclass(slots=True)
class _Read:
    """The lines of a count in base units; what cannot be counted, by its line."""

    lines: list[Counted] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    wrong: dict[int, tuple[str, str]] = field(default_factory=dict)


class StoredCountRounds:
    """Counts that join the rounds of their location, each step in the round's own transaction."""

    async def erp_due(self, connection: AsyncConnection, key: RoundKey) -> bool:
        """Whether our books are to be held against the ERP's before this round.

        Of a location that never was, they are at once: judged by an empty balance, its first uses would all be beyond it.
        """
        where = {"facility": key.facility, "location": key.location, "as_of": key.as_of}
        stands = (await connection.execute(_DUE, where)).one()
        if stands.new:
            return await connection.scalar(_NEW, where) is not None
        return bool(stands.due)

    async def take(self, connection: AsyncConnection, key: RoundKey) -> Sequence[StockPosting]:
        """Hold the counts that wait against what should be there; what is to be booked of them, one ``adjust`` each.

        One of which nothing is to be booked is reconciled by that.
        """
        given = _of(key) | {"most": MOST, "now": now()}
        found = (await connection.execute(_WAITING, given)).all()
        told: list[StockPosting] = []
        for count in sorted(found, key=lambda one: (one.counted_at, one.id)):
            to_book = await self._reconciled(connection, key, count)
            if not to_book:
                await _over(connection, [count.id])
            told += to_book
        return told

    async def recorded(self, connection: AsyncConnection, key: RoundKey, outcomes: Mapping[str, StockPosted]) -> None:
        """Their movements are made, but for the lines the ERP refused, which wait for a person."""
        counts = list(await connection.scalars(_OF_ROUND, _of(key)))
        for count in counts:
            name = adjust_key(key, count)
            own = (outcome for posted, outcome in outcomes.items() if posted == name or posted.startswith(f"{name}/"))
            for line in (line for outcome in own for line in outcome.refused):
                number = int(line.key.rsplit("/", 1)[-1])
                given = {"count": count, "lines": [number], "reason": f"{FAULTS['refused-by-erp']}: {line.reason}"}
                await connection.execute(_REFUSED, given)
        await _over(connection, counts)

    async def _reconciled(self, connection: AsyncConnection, key: RoundKey, count: Row[Any]) -> list[StockPosting]:
        read = await _read(connection, key, count.id)
        for line, (cause, reason) in read.wrong.items():
            await connection.execute(_WRONG, {"count": count.id, "line": line, "cause": cause, "reason": reason})
        if not read.lines:
            return []
        standings = await standings_of(connection, key, read.items, count.counted_at)
        found = _numbered(compared(count.kind, read.lines, standings))
        await write(connection, count.id, found)
        reason = f"count {count.number} of {count.counted_at.date().isoformat()}"
        return postings(adjust_key(key, count.id), key.facility, key.location, key.as_of.date(), reason, found)


def adjust_key(key: RoundKey, count: str) -> str:
    """What the ERP's document of a count is called."""
    return f"{key.key}/adjust/{count}"


async def standings_of(
    connection: AsyncConnection, key: RoundKey, items: Mapping[str, Item], at: datetime
) -> dict[str, Standing]:
    """What should have been at the location of each item at a moment, and what may explain that it is not."""
    standings = {code: Standing(item) for code, item in items.items()}
    given: dict[str, Any] = {"facility": key.facility, "location": key.location, "items": sorted(items), "at": at}
    for row in await connection.execute(_BALANCES, given):
        standings[row.item].expected[row.lot, row.serial] = row.on_hand
        if row.expires is not None:
            standings[row.item].expires[row.lot] = row.expires
    for row in await connection.execute(_SINCE, given):
        _add(standings[row.item], row.lot, row.serial, -int(row.quantity))
    for item, lot, serial, quantity in await _not_booked(connection, given, items, key):
        standings[item].waiting += quantity
        _add(standings[item], lot, serial, -quantity)
    for row in await connection.execute(_COMES_BACK, given):
        if row.item in standings:
            _add(standings[row.item], row.lot, row.serial, int(row.quantity))
    for row in await connection.execute(_TO_PUT_AWAY, given):
        standings[row.item].to_put_away = int(row.quantity)
    for row in await connection.execute(_LATE, given):
        standings[row.item].late = int(row.quantity)
    return standings


async def write(connection: AsyncConnection, count: str, found: Sequence[Variance]) -> None:
    """What came of each line of a count."""
    if not found:
        return
    rows = [
        (
            one.line,
            one.item,
            one.lot,
            one.serial,
            one.counted,
            one.expected,
            one.adjusted,
            one.state,
            one.cause,
            CAUSES.get(one.cause) or FAULTS.get(one.cause, ""),
            one.expires,
        )
        for one in found
    ]
    names = ("numbers", "items", "lots", "serials", "counted", "expected", "adjusted", "states", "causes", "reasons")
    columns = dict(zip((*names, "expires"), map(list, zip(*rows, strict=True)), strict=True))
    await connection.execute(_WRITTEN, columns | {"count": count})


def _of(key: RoundKey) -> dict[str, Any]:
    return {"facility": key.facility, "location": key.location, "round": key.round}


async def _over(connection: AsyncConnection, counts: Collection[str]) -> None:
    if counts:
        await connection.execute(_OVER, {"counts": sorted(counts), "now": now()})


def _add(standing: Standing, lot: str, serial: str, quantity: int) -> None:
    standing.expected[lot, serial] = standing.expected.get((lot, serial), 0) + quantity


def _numbered(found: Sequence[Variance]) -> list[Variance]:
    """Lots that nobody named get numbers of their own below the lines: 0, -1, -2."""
    below = 0
    numbered = []
    for one in found:
        numbered.append(one if one.line else replace(one, line=below))
        below -= not one.line
    return numbered


async def _read(connection: AsyncConnection, key: RoundKey, count: str) -> _Read:
    """The lines in base units of items the register has, each of which is packed in the unit it was counted in."""
    rows = (await connection.execute(_LINES, {"count": count})).all()
    items = await items_in_force(connection, key.facility, {row.item for row in rows}, set(), key.as_of.date())
    read = _Read(items=items)
    given: dict[str, Any] = {"facility": key.facility, "location": key.location, "items": sorted(items)}
    before = {(row.code, row.lot): row for row in await connection.execute(_PARKED, given)}
    for row in rows:
        item = items.get(row.item)
        if item is None:
            read.wrong[row.line] = ("unknown-item", f"{FAULTS['unknown-item']}: {row.item}")
            continue
        try:
            amount = Quantity(value=row.amount, unit=row.unit or item.base_unit)
            each = item.base_units(amount.unit)
        except (Malformed, ValueError):
            read.wrong[row.line] = ("unknown-unit", f"{FAULTS['unknown-unit']}: {row.unit}")
            continue
        if row.amount * each % 1:
            read.wrong[row.line] = ("not-integral", FAULTS["not-integral"])
            continue
        quantity = int(row.amount * each)
        last = before.get((item.code, row.lot))
        again = last is not None and last.cause == "unit-slip" and last.counted == quantity
        read.lines.append(Counted(row.line, item.code, quantity, row.lot, again=again))
    return read


async def _not_booked(
    connection: AsyncConnection, given: Mapping[str, Any], items: Mapping[str, Item], key: RoundKey
) -> list[tuple[str, str, str, int]]:
    """Item, lot, serial and base units of uses that are not booked yet; what nobody can count is left out."""
    rows = (await connection.execute(_NOT_BOOKED, dict(given))).all()
    events: list[tuple[Row[Any], UsageEvent]] = []
    for row in rows:
        content = row.content | (row.corrected or {})
        events.append((row, UsageEvent.model_validate(content)))
    devices = {event.device.device for _, event in events if event.device and event.device.device}
    codes = {event.item for _, event in events if event.item}
    known = await items_in_force(connection, key.facility, codes, devices, key.as_of.date()) if events else {}
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for row, event in events:
        item = item_of(event, known)
        if item is None or item.code not in items:
            continue
        quantity = row.quantity
        if quantity is None:
            around = Circumstances(UsagePolicy(facility=key.facility), event.used_at, item=item)
            quantity = judge(event, around).quantity
        lot, serial = lot_and_serial(event)
        if quantity:
            found[item.code, row.lot or lot, row.serial or serial] += int(quantity)
    return [(*place, quantity) for place, quantity in sorted(found.items())]
