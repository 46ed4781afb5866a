"""What our store answers to who holds a thing under a scanner, and to who asks what became of the uses it reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.calendar import BusinessCalendar
from canonical.parties import Facility, Location
from canonical.scans import Holding, Scan, ScanFacts, UseStanding
from canonical.supply import Item
from store.database import transaction
from store.register_reading import all_current, current, other_names, utc_today
from store.usage_tables import stock_balances, usage_events


def _within(code: str, first: str, last: str) -> str:
    """A code within a range whose ends have one length (capitals); an open range has every code, an unknown one is in none."""
    return f"({first} = '' OR (length({code}) = length({first}) AND upper({code}) COLLATE \"C\" BETWEEN {first} AND {last}))"


_BLOCKS: Final = """FROM recall_blocks b WHERE b.active AND b.item = :item AND b.facility IN ('', :facility)"""
_RECALLS: Final = text(f"""SELECT DISTINCT b.recall {_BLOCKS} AND {_within("CAST(:lot AS text)", "b.lot_from", "b.lot_to")}
    AND {_within("CAST(:serial AS text)", "b.serial_from", "b.serial_to")} ORDER BY 1""")
# Uses whose item is not settled yet are found by the barcode they came with.
_USED: Final = text("""SELECT e.number FROM usage_events e WHERE e.facility = :facility AND e.serial = :serial AND e.kind = 'use'
    AND (e.item = :item OR e.content -> 'device' ->> 'device' = ANY(:devices))
    AND e.voided_by = '' AND e.state NOT IN ('voided', 'dismissed') ORDER BY e.id LIMIT 1""")
_HELD: Final = text(f"""SELECT h.lot, h.serial, h.on_hand, h.expires, EXISTS (SELECT 1 {_BLOCKS}
        AND {_within("h.lot", "b.lot_from", "b.lot_to")} AND {_within("h.serial", "b.serial_from", "b.serial_to")}) AS recalled
    FROM stock_balances h WHERE h.facility = :facility AND h.location = :location AND h.item = :item AND h.on_hand <> 0
    ORDER BY h.expires NULLS LAST, h.lot, h.serial LIMIT 500""")  # noqa: S608


class StoredScans:
    """Questions of scanners, to our own database."""

    def __init__(self, engine: AsyncEngine, today: Callable[[], date] = utc_today) -> None:
        self._engine = engine
        self._today = today

    async def facts(self, scan: Scan) -> ScanFacts:
        """What is known of a scan, in one transaction.

        Raises:
            Unavailable: our database does not answer.
        """
        async with transaction(self._engine) as connection:
            today = scan.at.astimezone(await self._zone(connection, scan.facility)).date()
            item = await self._item(connection, scan)
            place = await current(connection, Location, "location", scan.facility, scan.location, self._today())
            about = {
                "location_known": place is not None,
                "location_active": place is not None and (place.active or place.moved_to is not None),
                "expires": scan.expires,
                "today": today,
            }
            if item is None:
                return ScanFacts.model_validate(about)
            location = (place.moved_to if place else None) or scan.location
            given = {"facility": scan.facility, "item": item.code, "location": location}
            rows = (await connection.execute(_HELD, given)).mappings()
            holdings = tuple(Holding.model_validate(dict(row)) for row in rows)
            lot = scan.lot or next((one.lot for one in holdings if scan.serial and one.serial == scan.serial), "")
            recalls = await connection.scalars(_RECALLS, given | {"lot": lot, "serial": scan.serial})
            return ScanFacts.model_validate(
                about
                | {
                    "item": item,
                    "holdings": holdings,
                    "recalls": tuple(recalls),
                    "used_before": await _used(connection, scan, item) if scan.serial else "",
                    "expires": scan.expires or await _expires(connection, scan, item.code, lot),
                }
            )

    async def uses(self, facility: str, source: str, number: str) -> Sequence[UseStanding]:
        """What became of the uses reported under a number, by their sequence."""
        of = usage_events.c
        asked = (
            select(*(of[name] for name in UseStanding.model_fields))
            .where(of.facility == facility, of.source == source, of.number == number)
            .order_by(of.sequence)
        )
        async with transaction(self._engine) as connection:
            return [UseStanding.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def _zone(self, connection: AsyncConnection, facility: str) -> ZoneInfo:
        found = await current(connection, Facility, "facility", facility, facility, self._today())
        if found is None:
            return ZoneInfo("UTC")
        own = await current(connection, BusinessCalendar, "calendar", "", found.calendar.code, self._today())
        return ZoneInfo((own or found.calendar).time_zone)

    async def _item(self, connection: AsyncConnection, scan: Scan) -> Item | None:
        if scan.item:
            return await current(connection, Item, "item", scan.facility, scan.item, self._today())
        if scan.device is None or not scan.device.device:
            return None
        key = f"device:{scan.device.device}"
        found = await all_current(connection, Item, "item", [scan.facility], self._today(), key=key)
        return next((one for one in found if key in other_names(one)), None)


async def _used(connection: AsyncConnection, scan: Scan, item: Item) -> str:
    devices = [name.removeprefix("device:") for name in other_names(item) if name.startswith("device:")]
    given: dict[str, Any] = {"facility": scan.facility, "serial": scan.serial, "item": item.code, "devices": devices}
    return await connection.scalar(_USED, given) or ""


async def _expires(connection: AsyncConnection, scan: Scan, item: str, lot: str) -> date | None:
    """The last day of its lot as our books have it, wherever it lies."""
    of = stock_balances.c
    same = of.lot == lot if lot else of.serial == scan.serial
    if not lot and not scan.serial:
        return None
    asked = select(of.expires).where(of.facility == scan.facility, of.item == item, same, of.expires.is_not(None))
    found: date | None = await connection.scalar(asked.order_by(of.expires).limit(1))
    return found
