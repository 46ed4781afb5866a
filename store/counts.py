"""Counts of stock in our own database: kept once under their sender's number, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import content_hash
from canonical.parties import Location
from canonical.scans import CountLineStanding, CountStanding
from canonical.stock import StockCount
from canonical.stock_ports import UsageKept
from canonical.usage import FINDINGS
from store.count_tables import stock_count_lines, stock_counts
from store.database import at_once, transaction
from store.ids import new_id, now
from store.register_reading import current, utc_today
from store.tables import fit

UNKNOWN: Final = "unknown-location"
# Locations that hold something, or should, and were never compared with the ERP; and each night those whose last count is older.
_MARK: Final = text("""
WITH due AS (
    SELECT DISTINCT facility, split_part(code, '/', 1) AS location FROM register
    WHERE kind = 'stock_level' AND facility = :facility AND valid_from <= :as_of
    UNION SELECT facility, CAST(document AS jsonb) ->> 'warehouse' FROM register
    WHERE kind = 'stock_level' AND facility = :facility AND valid_from <= :as_of
    UNION SELECT facility, location FROM usage_locations WHERE facility = :facility
    UNION SELECT facility, location FROM stock_balances WHERE facility = :facility
)
INSERT INTO usage_locations AS l (facility, location, count_due)
SELECT d.facility, d.location, :at FROM due AS d
WHERE EXISTS (SELECT FROM register AS r WHERE r.kind = 'location' AND r.facility = d.facility AND r.code = d.location)
ORDER BY d.facility, d.location
ON CONFLICT (facility, location) DO UPDATE SET count_due = excluded.count_due
WHERE l.count_due IS NULL AND (l.counted_at IS NULL OR l.counted_at < :before)
RETURNING location""")


class StoredCounts:
    """Where counts are kept until their location's case takes them."""

    def __init__(self, engine: AsyncEngine, today: Callable[[], date] = utc_today) -> None:
        self._engine = engine
        self._today = today

    async def keep(self, count: StockCount, message: str, sender: str) -> UsageKept:
        """Keep a count: new, the same as before, or a conflict with the one of its number. Of a location nobody knows it is parked.

        Raises:
            Unavailable: our database does not answer.
        """
        at = now()
        hashed = content_hash(count)
        async with transaction(self._engine) as connection:
            place = await current(connection, Location, "location", count.facility, count.location, self._today())
            row: dict[str, Any] = {
                "id": new_id(at),
                **count.model_dump(include={"facility", "source", "number", "kind", "counted_at"}),
                "location": (place.moved_to if place else None) or count.location,
                "hash": hashed,
                "message": message,
                "sender": sender,
                "state": "waiting" if place else "parked",
                "reason": "" if place else f"{FINDINGS[UNKNOWN]}: {count.location}",
                "at": at,
                "changed_at": at,
            }
            fresh = await connection.scalar(
                upsert(stock_counts).values(row).on_conflict_do_nothing().returning(stock_counts.c.id)
            )
            if fresh is None:
                return await _known(connection, count, hashed)
            await connection.execute(insert(stock_count_lines), _lines(fresh, count))
            return UsageKept(id=fresh, outcome="new", state=row["state"])

    async def standing(self, facility: str, source: str, number: str) -> CountStanding | None:
        """What became of a count, line by line; None where there is none of that number."""
        of, line = stock_counts.c, stock_count_lines.c
        asked = select(stock_counts).where(of.facility == facility, of.source == source, of.number == number)
        async with transaction(self._engine) as connection:
            row = (await connection.execute(asked)).mappings().one_or_none()
            if row is None:
                return None
            lines = await connection.execute(
                select(stock_count_lines).where(line.count == row["id"]).order_by(line.line <= 0, line.line)
            )
            told = tuple(CountLineStanding.model_validate(dict(one)) for one in lines.mappings())
            return CountStanding.model_validate(dict(row) | {"lines": told})

    async def mark_due(self, facility: str, at: datetime, before: datetime) -> Sequence[str]:
        """Let each location of a facility that holds stock be compared with the ERP; those compared since ``before`` are left out."""
        given = {"facility": facility, "at": at, "before": before, "as_of": at.date()}
        async with at_once(self._engine) as connection:
            return sorted(await connection.scalars(_MARK, given))


async def _known(connection: AsyncConnection, count: StockCount, hashed: str) -> UsageKept:
    of = stock_counts.c
    same = (of.facility == count.facility, of.source == count.source, of.number == count.number)
    row = (await connection.execute(select(of.id, of.hash, of.state).where(*same))).one()
    return UsageKept(id=row.id, outcome="same" if row.hash == hashed else "conflict", state=row.state)


def _lines(count: str, counted: StockCount) -> list[dict[str, Any]]:
    return [
        {
            "count": count,
            "line": number,
            "item": fit(one.item),
            "lot": fit(one.lot),
            "amount": one.amount,
            "unit": fit(one.unit),
            "state": "waiting",
        }
        for number, one in enumerate(counted.lines, start=1)
    ]
