"""Usage and stock in our own database, as the suites look into it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical
from canonical.cases import Actor
from canonical.parties import Facility, Location
from canonical.shelves import Parcel
from canonical.stock import StockLevel
from canonical.stock_moves import Move
from canonical.stock_ports import UsageKept
from canonical.supply import Item
from canonical.usage import UsageEvent, UsagePolicy
from canonical.usage_kept import KeptUse
from store.ids import new_id, now
from store.stock_balances import move
from store.tables import register, register_keys
from store.usage import StoredUsage
from store.usage_rounds import StoredUsageBook
from store.usage_tables import (
    charges,
    recall_blocks,
    stock_balances,
    stock_movements,
    stock_needs,
    usage_conflicts,
    usage_events,
)
from tests.store import build
from tests.store.usage_house import NOW

KINDS: dict[type[Canonical], str] = {
    Item: "item",
    Location: "location",
    StockLevel: "stock_level",
    UsagePolicy: "usage_policy",
    Facility: "facility",
}


class StoredBook(StoredUsageBook):
    """Both halves; what is kept is kept at the moment the tests take for now."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._events = StoredUsage(engine)

    async def keep(
        self, events: Sequence[UsageEvent], message: str, sender: str, corrects: str = ""
    ) -> Sequence[UsageKept]:
        kept = await self._events.keep(events, message, sender, corrects)
        async with self._engine.begin() as connection:
            new = [one.id for one in kept if one.outcome == "new"]
            await connection.execute(update(usage_events).where(usage_events.c.id.in_(new)).values(at=NOW))
        return kept

    async def decide(
        self, one: str, verb: str, by: Actor, reason: str, changes: dict[str, Any] | None = None
    ) -> KeptUse:
        return await self._events.decide(one, verb, by, reason, changes)


class StoredStock:
    """Everything in PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.events = StoredUsage(engine)
        self._book = StoredBook(engine)

    @property
    def book(self) -> StoredBook:
        return self._book

    async def put(self, *records: Canonical) -> None:
        for record in records:
            code = getattr(record, "code", "") or getattr(record, "facility", "")
            since = record.valid_from if isinstance(record, UsagePolicy) else date(2000, 1, 1)
            facility = getattr(record, "facility", "NGH")
            same = (
                (register.c.kind == KINDS[type(record)]) & (register.c.code == code) & (register.c.valid_from == since)
            )
            async with self.engine.begin() as connection:
                await connection.execute(delete(register).where(same))
                named = (register_keys.c.kind == KINDS[type(record)]) & (register_keys.c.code == code)
                await connection.execute(delete(register_keys).where(named))
            await build.put(self.engine, KINDS[type(record)], facility, code, record, since)

    async def opening(
        self, location: str, item: str, quantity: int, lot: str = "", serial: str = "", expires: date | None = None
    ) -> None:
        key = f"opening/NGH/{location}/{item}/{lot}/{serial}/{new_id()}"
        async with self.engine.begin() as connection:
            await move(connection, [Move(key, "NGH", location, item, quantity, "opening", lot, serial, expires)], now())

    async def block(self, item: str, lot: str = "", serial: str = "", recall: str = "Z-1") -> None:
        row = {"id": new_id(), "item": item, "lot_from": lot, "serial_from": serial, "recall": recall}
        async with self.engine.begin() as connection:
            await connection.execute(insert(recall_blocks).values(**row, at=now(), changed_at=now()))

    async def came(self, need: str, *parcels: Parcel) -> None:
        received = sum(parcel.quantity for parcel in parcels)
        lots = [
            {"lot": p.lot, "quantity": p.quantity, "expires": p.expires.isoformat() if p.expires else None}
            for p in parcels
        ]
        async with self.engine.begin() as connection:
            await connection.execute(
                update(stock_needs).where(stock_needs.c.id == need).values(received=received, lots=lots)
            )
            over = (stock_needs.c.id == need) & (stock_needs.c.quantity <= received)
            await connection.execute(update(stock_needs).where(over).values(state="received"))

    async def on_hand(self, location: str, item: str) -> dict[tuple[str, str], int]:
        here = (stock_balances.c.location == location) & (stock_balances.c.item == item)
        async with self.engine.begin() as connection:
            rows = (await connection.execute(select(stock_balances).where(here))).all()
        return {(row.lot, row.serial): row.on_hand for row in rows}

    async def moved(self, location: str, item: str) -> int:
        here = (stock_movements.c.location == location) & (stock_movements.c.item == item)
        async with self.engine.begin() as connection:
            return int(await connection.scalar(select(func.sum(stock_movements.c.quantity)).where(here)) or 0)

    async def event(self, number: str) -> KeptUse:
        async with self.engine.begin() as connection:
            one = await connection.scalar(select(usage_events.c.id).where(usage_events.c.number == number))
        found = await self.events.event(str(one))
        assert found is not None
        return found

    async def needs(self) -> list[dict[str, Any]]:
        asked = select(stock_needs, usage_events.c.number).order_by(stock_needs.c.id)
        joined = stock_needs.outerjoin(usage_events, usage_events.c.id == stock_needs.c.event)
        async with self.engine.begin() as connection:
            rows = (await connection.execute(asked.select_from(joined))).mappings().all()
        return [dict(row) | {"event": row["number"] or ""} for row in rows]

    async def charges(self) -> list[tuple[str, str, str]]:
        asked = select(usage_events.c.number, charges.c.kind, charges.c.channel).order_by(charges.c.id)
        async with self.engine.begin() as connection:
            joined = charges.join(usage_events, usage_events.c.id == charges.c.event)
            return [(row[0], row[1], row[2]) for row in await connection.execute(asked.select_from(joined))]

    async def conflicts(self) -> int:
        async with self.engine.begin() as connection:
            return int(await connection.scalar(select(func.count()).select_from(usage_conflicts)) or 0)

    async def reserved(self) -> int:
        """What rounds under way keep from others, everywhere."""
        async with self.engine.begin() as connection:
            return int(await connection.scalar(select(func.sum(stock_balances.c.reserved))) or 0)
