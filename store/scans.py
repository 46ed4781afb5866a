"""What our store answers to who holds a thing under a scanner, and to who asks what became of the uses it reported."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.calendar import BusinessCalendar
from canonical.parties import Facility, Location
from canonical.scans import CountStanding, Holding, Scan, ScanFacts, UseStanding
from canonical.supply import Item
from store.counts import StoredCounts
from store.database import transaction
from store.recall_blocks import recalled
from store.register_reading import all_current, current, other_names, utc_today
from store.usage_tables import stock_balances, usage_events

# Uses whose item is not settled yet are found by the barcode they came with.
_USED: Final = text("""SELECT e.number FROM usage_events e WHERE e.facility = :facility AND e.serial = :serial AND e.kind = 'use'
    AND (e.item = :item OR e.content -> 'device' ->> 'device' = ANY(:devices))
    AND e.voided_by = '' AND e.state NOT IN ('voided', 'dismissed') ORDER BY e.id LIMIT 1""")
_HELD: Final = text("""SELECT h.lot, h.serial, h.on_hand - h.reserved AS on_hand, h.expires FROM stock_balances h
    WHERE h.facility = :facility AND h.location = :location AND h.item = :item AND h.on_hand <> 0
    ORDER BY h.expires NULLS LAST, h.lot, h.serial LIMIT 500""")


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
            rows = (await connection.execute(_HELD, given)).all()
            lot = scan.lot or next((row.lot for row in rows if scan.serial and row.serial == scan.serial), "")
            which = {(item.code, row.lot, row.serial) for row in rows} | {(item.code, lot, scan.serial)}
            which |= {(item.code, "", row.lot) for row in rows}
            recalls = await recalled(connection, scan.facility, which)
            holdings = _holdings(item, rows, scan, recalls.keys())
            recall = recalls.get((item.code, lot, scan.serial))
            return ScanFacts.model_validate(
                about
                | {
                    "item": item,
                    "holdings": holdings,
                    "recalls": (recall,) if recall else (),
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

    async def count(self, facility: str, source: str, number: str) -> CountStanding | None:
        """What became of a count, line by line."""
        return await StoredCounts(self._engine).standing(facility, source, number)

    async def _zone(self, connection: AsyncConnection, facility: str) -> ZoneInfo:
        found = await current(connection, Facility, "facility", facility, facility, self._today())
        if found is None:
            return ZoneInfo("UTC")
        own = await current(connection, BusinessCalendar, "calendar", "", found.calendar.code, self._today())
        return ZoneInfo((own or found.calendar).time_zone)

    async def _item(self, connection: AsyncConnection, scan: Scan) -> Item | None:
        if scan.item and (named := await current(connection, Item, "item", scan.facility, scan.item, self._today())):
            return named
        if scan.device is None or not scan.device.device:
            return None
        key = f"device:{scan.device.device}"
        found = await all_current(connection, Item, "item", [scan.facility], self._today(), key=key)
        return next((one for one in found if key in other_names(one)), None)


def _holdings(
    item: Item, rows: Sequence[Any], scan: Scan, found: Collection[tuple[str, str, str]]
) -> tuple[Holding, ...]:
    """What lies there, by lot and serial. An ERP's first count has a serial as a lot of its own, and a use of it takes from the
    serial: the two are one, which is recalled by either name."""
    one_each = item.tracking in ("serial", "implant")
    lots = {row.lot for row in rows if row.lot and not row.serial} if one_each else set()
    taken = {row.serial: row.on_hand for row in rows if row.serial in lots and not row.lot}
    holdings = []
    for row in rows:
        if not row.lot and row.serial in taken:
            continue
        as_serial = not row.serial and row.lot in lots and (row.lot in taken or row.lot == scan.serial)
        lot, serial = ("", row.lot) if as_serial else (row.lot, row.serial)
        names = {(item.code, row.lot, row.serial), (item.code, lot, serial)}
        names |= {(item.code, "", row.lot)} if row.lot in lots and not row.serial else set()
        on_hand = row.on_hand + (taken.get(row.lot, 0) if as_serial else 0)
        holdings.append(
            Holding(lot=lot, serial=serial, on_hand=on_hand, expires=row.expires, recalled=not names.isdisjoint(found))
        )
    return tuple(holdings)


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
