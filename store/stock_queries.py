"""What lies where: on hand by item and lot, what is on its way, what each location should hold, and every movement of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import Select, and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.scans import CountLineStanding
from canonical.stock import StockLevel
from canonical.stock_reports import CountRow, HeldItem, LotHeld, MovementFilter, MovementRow, NeedRow
from canonical.supply import Item
from store.count_tables import counted_again, stock_count_lines, stock_counts
from store.database import transaction
from store.register_reading import all_current
from store.tables import register
from store.usage_tables import stock_balances, stock_movements, stock_needs, usage_locations

OPEN: Final = ("open", "ordered", "back-ordered")


class StoredStock:
    """Questions about stock to our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def facilities(self, location: str) -> Sequence[str]:
        """The facilities that have a location of this code, in the register or in our books."""
        known = select(register.c.facility).where(register.c.kind == "location", register.c.code == location)
        booked = select(usage_locations.c.facility).where(usage_locations.c.location == location)
        held = select(stock_balances.c.facility).where(stock_balances.c.location == location)
        async with transaction(self._engine) as connection:
            return sorted(await connection.scalars(known.union(booked, held)))

    async def held(self, facility: str, location: str, as_of: date) -> Sequence[HeldItem]:
        """What is at a location, what comes, and what should be there: each item once, those with a level and nothing there too."""
        async with transaction(self._engine) as connection:
            return await _held(connection, facility, location, as_of)

    async def levels(
        self, facility: str, as_of: date, *, location: str = "", item: str = "", below: bool = False
    ) -> Sequence[HeldItem]:
        """What locations should hold, with what they have; ``below``: only where something is to be asked for."""
        async with transaction(self._engine) as connection:
            found = await _held(connection, facility, location, as_of, item=item, levels_only=True)
        return [one for one in found if one.below or not below]

    async def needs(
        self,
        *,
        facility: str = "",
        location: str = "",
        item: str = "",
        state: str = "",
        event: str = "",
        everything: bool = False,
        before: str = "",
        limit: int = 100,
    ) -> Sequence[NeedRow]:
        """Needs, newest first; without ``everything`` or a state those that have not come yet, and those that were refused."""
        asked = select(stock_needs).order_by(stock_needs.c.at.desc(), stock_needs.c.id.desc()).limit(limit)
        wanted = {"facility": facility, "location": location, "item": item, "state": state, "event": event}
        for column, value in wanted.items():
            if value:
                asked = asked.where(stock_needs.c[column] == value)
        if not everything and not state:
            asked = asked.where(stock_needs.c.state.in_((*OPEN, "refused")))
        if before:
            start = select(stock_needs.c.at, stock_needs.c.id).where(stock_needs.c.id == before)
            asked = asked.where(tuple_(stock_needs.c.at, stock_needs.c.id) < start.scalar_subquery())
        async with transaction(self._engine) as connection:
            return [NeedRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def need(self, need: str) -> NeedRow | None:
        """One by its id."""
        async with transaction(self._engine) as connection:
            found = await connection.execute(select(stock_needs).where(stock_needs.c.id == need))
            row = found.mappings().one_or_none()
        return NeedRow.model_validate(dict(row)) if row is not None else None

    async def counts(
        self,
        *,
        facility: str = "",
        location: str = "",
        everything: bool = False,
        before: str = "",
        limit: int = 100,
    ) -> Sequence[CountRow]:
        """Counts, newest first, with their parked lines; without ``everything`` those parked that nobody has answered by another."""
        of, line = stock_counts.c, stock_count_lines.c
        many = select(func.count()).where(line.count == of.id).scalar_subquery()
        asked = select(stock_counts, many.label("lines")).order_by(of.id.desc()).limit(limit)
        for column, value in {"facility": facility, "location": location}.items():
            if value:
                asked = asked.where(of[column] == value)
        if not everything:
            asked = asked.where(of.state == "parked", ~counted_again())
        if before:
            asked = asked.where(of.id < before)
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked)).mappings().all()
            ids = [row["id"] for row in rows]
            parked = select(stock_count_lines).where(line.count.in_(ids), line.state == "parked").order_by(line.line)
            found: dict[str, list[CountLineStanding]] = {one: [] for one in ids}
            for one in (await connection.execute(parked)).mappings():
                found[one["count"]].append(CountLineStanding.model_validate(dict(one)))
        return [CountRow.model_validate(dict(row) | {"parked": tuple(found[row["id"]])}) for row in rows]

    async def movements_of(self, event: str) -> Sequence[MovementRow]:
        """What moved for one use, in its order."""
        asked = select(stock_movements).where(stock_movements.c.event == event, stock_movements.c.event != "")
        asked = asked.order_by(stock_movements.c.at, stock_movements.c.key)
        async with transaction(self._engine) as connection:
            return [MovementRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def movements(self, which: MovementFilter, limit: int = 100) -> Sequence[MovementRow]:
        """Movements of a location, newest first."""
        moved = stock_movements.c
        asked = select(stock_movements).where(moved.facility == which.facility, moved.location == which.location)
        for column in ("item", "lot", "serial", "kind"):
            if value := getattr(which, column):
                asked = asked.where(moved[column] == value)
        if which.since is not None:
            asked = asked.where(moved.at >= which.since)
        if which.before:
            start = select(moved.at, moved.key).where(moved.key == which.before)
            asked = asked.where(tuple_(moved.at, moved.key) < start.scalar_subquery())
        asked = asked.order_by(moved.at.desc(), moved.key.desc()).limit(limit)
        async with transaction(self._engine) as connection:
            return [MovementRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]


async def _held(
    connection: AsyncConnection,
    facility: str,
    location: str,
    as_of: date,
    *,
    item: str = "",
    levels_only: bool = False,
) -> list[HeldItem]:
    levels = {
        (one.location, one.item): one
        for one in await all_current(connection, StockLevel, "stock_level", [facility], as_of)
        if one.active and location in ("", one.location) and item in ("", one.item)
    }
    lots: dict[tuple[str, str], list[LotHeld]] = {}
    for row in await connection.execute(_balances(facility, location, item)):
        days = (row.expires - as_of).days if row.expires else None
        one = LotHeld(lot=row.lot, serial=row.serial, on_hand=row.on_hand, expires=row.expires, days=days)
        lots.setdefault((row.location, row.item), []).append(one)
    coming = {
        (row.location, row.item): (int(row.on_order), int(row.arrived))
        for row in await connection.execute(_coming(facility, location, item))
    }
    places = set(levels) if levels_only else {*levels, *lots, *coming}
    items = await items_of(connection, facility, as_of, {code for _, code in places})
    return [
        _one(facility, place, levels.get(place), lots.get(place, []), coming.get(place, (0, 0)), items.get(place[1]))
        for place in sorted(places)
    ]


def _balances(facility: str, location: str, item: str) -> Select[Any]:
    held = stock_balances.c
    asked = select(held.location, held.item, held.lot, held.serial, held.on_hand, held.expires)
    asked = asked.where(held.facility == facility, held.on_hand != 0)
    asked = asked.where(held.location == location) if location else asked
    asked = asked.where(held.item == item) if item else asked
    return asked.order_by(held.location, held.item, held.expires.nulls_last(), held.lot, held.serial)


def _coming(facility: str, location: str, item: str) -> Select[Any]:
    """What was asked for: not come yet while it is open; come, and not on the shelf yet, whatever became of the rest."""
    need = stock_needs.c
    short = case((need.state.in_(OPEN), func.greatest(need.quantity - need.received, 0)), else_=0)
    asked = select(
        need.location,
        need.item,
        func.sum(short).label("on_order"),
        func.sum(func.greatest(need.received - need.put_away, 0)).label("arrived"),
    )
    asked = asked.where(need.facility == facility, need.event == "")
    asked = asked.where(or_(need.state.in_(OPEN), and_(need.state != "refused", need.received > need.put_away)))
    asked = asked.where(need.location == location) if location else asked
    asked = asked.where(need.item == item) if item else asked
    return asked.group_by(need.location, need.item)


async def items_of(connection: AsyncConnection, facility: str, as_of: date, codes: set[str]) -> dict[str, Item]:
    """The rows of these items alone: a facility has many more."""
    newest = (
        select(register.c.code, func.max(register.c.valid_from).label("valid_from"))
        .where(register.c.kind == "item", register.c.facility == facility, register.c.code.in_(codes))
        .where(register.c.valid_from <= as_of)
        .group_by(register.c.code)
        .subquery()
    )
    same = and_(register.c.code == newest.c.code, register.c.valid_from == newest.c.valid_from)
    asked = select(register.c.code, register.c.document).join(newest, same)
    asked = asked.where(register.c.kind == "item", register.c.facility == facility)
    return {row.code: Item.model_validate_json(row.document) for row in await connection.execute(asked)}


def _one(
    facility: str,
    place: tuple[str, str],
    level: StockLevel | None,
    lots: list[LotHeld],
    coming: tuple[int, int],
    item: Item | None,
) -> HeldItem:
    on_hand, (on_order, arrived) = sum(one.on_hand for one in lots), coming
    ends = [one.expires for one in lots if one.expires and one.on_hand > 0]
    first = min(ends, default=None)
    days = next((one.days for one in lots if one.expires == first), None) if first else None
    about: dict[str, Any] = {}
    if level is not None:
        point = level.par if level.method == "par" else level.point
        below = level.method in ("par", "reorder") and on_hand + on_order + arrived < point
        about = {"method": level.method, "supply": level.supply, "par": level.par, "point": level.point, "below": below}
    return HeldItem(
        facility=facility,
        location=place[0],
        item=place[1],
        description=item.description if item else "",
        unit=item.base_unit if item else "",
        on_hand=on_hand,
        on_order=on_order,
        arrived=arrived,
        expires=first,
        days=days,
        lots=tuple(lots),
        **about,
    )
