"""What expires: warnings as each of our balances comes near its date. Which lot to take first: store.scans, gateway.scans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ARRAY, Date, DateTime, Integer, Text, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.usage import UsagePolicy
from store.database import transaction
from store.register_reading import all_codes, current


class Expiring(Canonical):
    """Stock that expires or has: ``days`` left (below zero: since then), ``warned``: the nearest warning given of it."""

    facility: str
    location: str
    item: str
    lot: str = ""
    serial: str = ""
    quantity: int
    expires: date
    days: int
    warned: int | None = None


# Of each balance the nearest threshold it has passed, once: what is loaded late or comes in short-dated is told once, not thrice.
_WARN: Final = text("""
    INSERT INTO expiry_warnings (facility, location, item, lot, serial, expires, days, quantity, at)
    SELECT h.facility, h.location, h.item, h.lot, h.serial, h.expires, min(w.days), h.on_hand, :at
    FROM stock_balances h JOIN unnest(:sites, :days) AS w (site, days) ON w.site = h.facility
    WHERE h.on_hand > 0 AND h.expires IS NOT NULL AND h.facility = ANY (:sites)
        AND h.expires <= :today + CAST(:furthest AS int) AND h.expires <= :today + w.days
    GROUP BY h.facility, h.location, h.item, h.lot, h.serial, h.expires, h.on_hand
    ON CONFLICT DO NOTHING""")
_EXPIRING: Final = text("""
    SELECT h.facility, h.location, h.item, h.lot, h.serial, h.on_hand AS quantity, h.expires, h.expires - :today AS days,
        (SELECT min(w.days) FROM expiry_warnings w WHERE (w.facility, w.location, w.item, w.lot, w.serial, w.expires)
            = (h.facility, h.location, h.item, h.lot, h.serial, h.expires)) AS warned
    FROM stock_balances h WHERE h.on_hand > 0 AND h.expires IS NOT NULL AND h.expires <= :today + CAST(:within AS int)
        AND (h.facility = :facility OR :facility = '') AND (h.location = :location OR :location = '')
    ORDER BY h.expires, h.facility, h.location, h.item, h.lot, h.serial LIMIT :most""")


def _typed(statement: TextClause) -> TextClause:
    kinds: dict[str, Any] = {
        "at": DateTime(timezone=True),
        "today": Date(),
        "sites": ARRAY(Text),
        "days": ARRAY(Integer),
        "within": Integer(),
        "furthest": Integer(),
    }
    asked = [bindparam(name, type_=kinds[name]) for name in kinds if f":{name}" in statement.text]
    return statement.bindparams(*asked)


WARN, EXPIRING = _typed(_WARN), _typed(_EXPIRING)


class StoredExpiry:
    """Expiry dates of our own balances."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def warn(self, as_of: datetime) -> int:
        """Note which balances have come within a number of days their facility warns at; how many are new."""
        today = as_of.date()
        async with transaction(self._engine) as connection:
            thresholds = [
                (site, days)
                for site in await all_codes(connection, "facility", today)
                for days in await _days(connection, site, today)
            ]
            if not thresholds:
                return 0
            sites, days = [site for site, _ in thresholds], [days for _, days in thresholds]
            given = {"at": as_of, "today": today, "sites": sites, "days": days, "furthest": max(days)}
            return (await connection.execute(WARN, given)).rowcount

    async def expiring(
        self, as_of: date, *, within: int, facility: str = "", location: str = "", limit: int = 100
    ) -> Sequence[Expiring]:
        """What is expired or expires within so many days, the soonest first."""
        given = {"today": as_of, "within": within, "facility": facility, "location": location, "most": limit}
        async with transaction(self._engine) as connection:
            return [
                Expiring.model_validate(dict(row)) for row in (await connection.execute(EXPIRING, given)).mappings()
            ]


async def _days(connection: AsyncConnection, site: str, today: date) -> Sequence[int]:
    found = await current(connection, UsagePolicy, "usage_policy", site, site, today)
    in_force = found is not None and (found.valid_to is None or today <= found.valid_to)
    return found.warn_days if found is not None and in_force else UsagePolicy(facility=site).warn_days
