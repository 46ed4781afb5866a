"""Which stock locations have something to do and were not woken for it; where the rounds of one stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.stock import WakeDue
from canonical.stock_ports import PlaceStands
from store.database import at_once

# Events by location: one step of the index for each location, however many wait there. A location whose last look was a round
# with more than one event a second comes by itself (workflows.consumption_to_replenishment): it is woken only when overdue.
_DUE: Final = text("""
WITH RECURSIVE waiting AS (
    (SELECT facility, location FROM usage_events WHERE state = 'waiting' ORDER BY facility, location LIMIT 1)
    UNION ALL
    SELECT next.facility, next.location FROM waiting CROSS JOIN LATERAL (
        SELECT e.facility, e.location FROM usage_events AS e
        WHERE e.state = 'waiting' AND (e.facility, e.location) > (waiting.facility, waiting.location)
        ORDER BY e.facility, e.location LIMIT 1
    ) AS next
), due AS (
    SELECT facility, location FROM waiting
    UNION
    SELECT facility, location FROM stock_needs
    WHERE state <> 'refused' AND (received > put_away OR (warehouse <> '' AND state = 'open'))
    UNION
    SELECT facility, location FROM stock_needs
    WHERE state = 'open' AND round IS NULL AND "case" = '' AND requisition IS NOT NULL
    UNION
    SELECT facility, location FROM usage_locations WHERE count_due <= :at
    UNION
    SELECT facility, location FROM stock_counts WHERE state = 'waiting'
)
SELECT due.facility, due.location FROM due
LEFT JOIN usage_locations AS l USING (facility, location)
LEFT JOIN usage_rounds AS r ON (r.facility, r.location, r.round) = (l.facility, l.location, l.round)
WHERE (l.woken_at IS NULL OR l.woken_at < :repeat_before)
  AND NOT coalesce(
    (r.taken ->> 'per_second')::float > 1 AND l.answered_at <= r.at
    AND r.at > :at - make_interval(secs => (r.taken ->> 'fuller_after')::float + 20), false)
ORDER BY due.facility, due.location LIMIT :most
""")
_WOKEN: Final = text("""
INSERT INTO usage_locations (facility, location, woken_at)
SELECT facility, location, :at FROM unnest(CAST(:facilities AS text[]), CAST(:locations AS text[])) AS p (facility, location)
ORDER BY facility, location
ON CONFLICT (facility, location) DO UPDATE SET woken_at = excluded.woken_at
""")
_NOT_WOKEN: Final = text("""
UPDATE usage_locations AS l SET woken_at = NULL
FROM unnest(CAST(:facilities AS text[]), CAST(:locations AS text[])) AS p (facility, location)
WHERE (l.facility, l.location) = (p.facility, p.location) AND l.woken_at = :at
""")
# Only where a case has looked before or something lies: a place nobody ever used has nothing to hand over.
_LOOK: Final = text("""
INSERT INTO usage_locations (facility, location, count_due) SELECT :facility, :location, CAST(:at AS timestamptz)
WHERE EXISTS (SELECT FROM usage_locations WHERE facility = :facility AND location = :location)
OR EXISTS (SELECT FROM stock_balances WHERE facility = :facility AND location = :location AND on_hand > 0)
ON CONFLICT (facility, location) DO UPDATE SET count_due = excluded.count_due
""")
_STANDS: Final = text("""
SELECT coalesce(
    (SELECT min(round) - 1 FROM usage_rounds
     WHERE state = 'taken' AND facility = :facility AND location = :location),
    (SELECT round FROM usage_locations WHERE facility = :facility AND location = :location),
    0) AS round,
    EXISTS (SELECT FROM usage_events
     WHERE state = 'waiting' AND facility = :facility AND location = :location) AS waiting
""")


async def moves(connection: AsyncConnection, facility: str, location: str, at: datetime) -> None:
    """A location moves: its case is woken from then on, holds its books against the ERP's and hands its stock over.

    Once: what the ERP refuses is tried again as ever, at the next use or the nightly count.
    """
    await connection.execute(_LOOK, {"facility": facility, "location": location, "at": at})


class StoredUsagePlaces:
    """The port :class:`canonical.stock_ports.UsagePlaces` in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def stands(self, facility: str, location: str) -> PlaceStands:
        """The last round closed, and whether anything waits."""
        async with at_once(self._engine) as connection:
            row = (await connection.execute(_STANDS, {"facility": facility, "location": location})).one()
        return PlaceStands(round=row.round, waiting=row.waiting)

    async def due(self, at: datetime, repeat_before: datetime, most: int = 1000) -> Sequence[WakeDue]:
        """Locations to wake, by name."""
        given = {"at": at, "repeat_before": repeat_before, "most": most}
        async with at_once(self._engine) as connection:
            return [
                WakeDue(facility=row.facility, location=row.location) for row in await connection.execute(_DUE, given)
            ]

    async def woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        """Note that these are being woken."""
        await self._write(_WOKEN, places, at)

    async def not_woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        """Take that back."""
        await self._write(_NOT_WOKEN, places, at)

    async def _write(self, asked: TextClause, places: Sequence[WakeDue], at: datetime) -> None:
        if not places:
            return
        given = {"facilities": [p.facility for p in places], "locations": [p.location for p in places], "at": at}
        async with at_once(self._engine) as connection:
            await connection.execute(asked, given)
