"""Our books of a location held against the ERP's, each night and at first sight: drift is repaired by movements with their cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import structlog
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import case_id
from canonical.counting import CAUSES, Counted, Standing, Variance, compared
from canonical.stock import Need, OnHand, Recorded, RoundKey, StockPosting
from canonical.stock_moves import Move, rose
from store.count_rounds import write
from store.count_tables import stock_counts
from store.database import transaction
from store.ids import new_id, now
from store.register_reading import items_in_force
from store.stock_balances import move
from store.stock_needs import Looked, new_needs, try_again
from store.usage_taking import rules

SOURCE: Final = "erp"
SKEW: Final = timedelta(minutes=1)  # between the clocks of workers
AGAIN_AFTER: Final = timedelta(days=1)  # where the ERP said no

_LOCKED: Final = text("""
SELECT count_due, counted_at FROM usage_locations WHERE facility = :facility AND location = :location FOR UPDATE""")
_COUNTED: Final = text("""
UPDATE usage_locations SET count_due = NULL, counted_at = :as_of WHERE facility = :facility AND location = :location""")
_LATER: Final = text("""
UPDATE usage_locations SET count_due = :again WHERE facility = :facility AND location = :location""")
_BALANCES: Final = text("""
SELECT item, lot, serial, on_hand, reserved, expires FROM stock_balances
WHERE facility = :facility AND location = :location ORDER BY facility, location, item, lot, serial FOR UPDATE""")
# What other locations' rounds bring here or take from here may stand in the ERP's books and not in ours yet.
_UNDER_WAY: Final = text("""
SELECT postings FROM usage_rounds WHERE facility = :facility AND location <> :location AND state = 'taken'""")
# What they brought or took since the ERP was asked stands in our books and not in its answer.
_SINCE: Final = text("""
SELECT DISTINCT item FROM stock_movements WHERE facility = :facility AND location = :location AND item = ANY(CAST(:items AS text[]))
AND kind = 'supply' AND at > :since""")
_OPEN: Final = text("""
SELECT id, facility, location, item, quantity, supply, CAST(requisition AS text) AS requisition FROM stock_needs
WHERE facility = :facility AND location = :location AND state = 'open' AND "case" = '' AND requisition IS NOT NULL ORDER BY id""")

log = structlog.get_logger(__name__)


class StoredErpCounts:
    """The port :class:`canonical.stock_ports.ErpCounts` in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def compared(self, key: RoundKey, on_hand: Sequence[OnHand]) -> Recorded:
        """Bring our books to what the ERP's said, once for each time it was due; gives what is to be brought since."""
        where = {"facility": key.facility, "location": key.location}
        async with transaction(self._engine) as connection:
            stands = (await connection.execute(_LOCKED, where)).one_or_none()
            if stands is None or stands.count_due is None or stands.count_due > key.as_of:
                return Recorded(round=key.round, needs=tuple(await _open(connection, key)))
            moves = await self._repaired(connection, key, on_hand, first=stands.counted_at is None)
            await connection.execute(_COUNTED, where | {"as_of": key.as_of})
            at = now()
            await move(connection, moves, at)
            await try_again(connection, key.facility, {(place, item) for _, place, item in rose(moves)}, at)
            by = await rules(connection, key.facility, key.location, key.as_of.date())
            looked = Looked({(one.location, one.item) for one in moves})
            await new_needs(connection, key, by.policy, looked, at)
            return Recorded(round=key.round, needs=tuple(await _open(connection, key)))

    async def skipped(self, key: RoundKey, reason: str) -> None:
        """The ERP has no such location, or says no: it is asked again the next night, and what it said is kept."""
        at = now()
        async with transaction(self._engine) as connection:
            where = {"facility": key.facility, "location": key.location}
            stands = (await connection.execute(_LOCKED, where)).one_or_none()
            if stands is None or stands.count_due is None or stands.count_due > key.as_of:
                return
            await connection.execute(_LATER, where | {"again": key.as_of + AGAIN_AFTER})
            await _kept(connection, key, at, "parked", reason)

    async def _repaired(
        self, connection: AsyncConnection, key: RoundKey, on_hand: Sequence[OnHand], *, first: bool
    ) -> list[Move]:
        where = {"facility": key.facility, "location": key.location}
        rows = (await connection.execute(_BALANCES, where)).all()
        codes = {row.item for row in rows} | {one.item for one in on_hand}
        under_way = {row.item for row in rows if row.reserved} | await _under_way(connection, key)
        since = where | {"items": sorted(codes), "since": key.as_of - SKEW}
        under_way |= set(await connection.scalars(_SINCE, since))
        items = await items_in_force(connection, key.facility, codes, set(), key.as_of.date())
        standings = {code: Standing(item) for code, item in items.items() if code not in under_way}
        for row in rows:
            if row.item in standings:
                standings[row.item].expected[row.lot, row.serial] = row.on_hand
        said = [
            Counted(number, one.item, one.quantity, one.lot, expires=one.expires)
            for number, one in enumerate(on_hand, start=1)
            if one.item in standings
        ]
        unknown = {one.item for one in on_hand if one.item not in items}
        if unknown:
            log.warning("the ERP holds items the register does not have", location=key.location, count=len(unknown))
        found = [one for one in compared("erp", said, standings, first=first) if one.adjusted]
        count = await _kept(connection, key, now(), "reconciled", "")
        await write(connection, count, _in_order(found))
        return [_move(key, count, one, first=first) for one in found]


async def _under_way(connection: AsyncConnection, key: RoundKey) -> set[str]:
    found = set()
    for told in await connection.scalars(_UNDER_WAY, {"facility": key.facility, "location": key.location}):
        for one in map(StockPosting.model_validate, told):
            if key.location in (one.location, one.from_location):
                found |= {line.item for line in one.lines}
    return found


async def _kept(connection: AsyncConnection, key: RoundKey, at: datetime, state: str, reason: str) -> str:
    count = new_id(at)
    row: dict[str, Any] = {
        "id": count,
        "facility": key.facility,
        "location": key.location,
        "source": SOURCE,
        "number": f"{key.location}/{key.as_of.isoformat()}",
        "kind": "erp",
        "state": state,
        "reason": reason,
        "counted_at": key.as_of,
        "at": at,
        "changed_at": at,
    }
    await connection.execute(insert(stock_counts), [row])
    return count


def _in_order(found: Sequence[Variance]) -> list[Variance]:
    """One line for each difference, numbered by their places."""
    return [replace(one, line=number) for number, one in enumerate(found, start=1)]


def _move(key: RoundKey, count: str, one: Variance, *, first: bool) -> Move:
    case = case_id("consumption_to_replenishment", key.facility, key.location)
    name = f"{quote(one.item, safe='')}/{quote(one.lot, safe='')}/{quote(one.serial, safe='')}"
    return Move(
        key=f"{case}/erp/{count}/{name}",
        facility=key.facility,
        location=key.location,
        item=one.item,
        quantity=one.adjusted,
        kind="opening" if first else "drift",
        lot=one.lot,
        serial=one.serial,
        expires=one.expires,
        reason=CAUSES[one.cause],
    )


async def _open(connection: AsyncConnection, key: RoundKey) -> list[Need]:
    """Needs whose requisition nobody has started yet; starting one again changes nothing."""
    where = {"facility": key.facility, "location": key.location}
    rows = (await connection.execute(_OPEN, where)).mappings()
    return [Need.model_validate(dict(row)) for row in rows]
