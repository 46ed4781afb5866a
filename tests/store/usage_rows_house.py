"""Rows of use and stock as tests put them there, and a register with an item and its contract."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical, Money
from canonical.parties import Location
from canonical.stock import StockLevel
from canonical.supply import ContractPrice, Item, Packaging, SupplierItem
from store.ids import new_id
from store.usage_tables import charges, stock_balances, stock_movements, stock_needs, usage_conflicts, usage_events
from tests.store import build

DAY = date(2026, 11, 20)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
GLOVE = Item(
    code="ITM-1001",
    description="Glove",
    packagings=(Packaging(unit="BX", base_units=100),),
    suppliers=(SupplierItem(supplier="ALPINE", catalogue_number="A-1", order_unit="BX", preferred=True),),
)
STEM = Item(code="IMP-310", description="Hip stem", tracking="serial", chargeable=True, charge_code="C-90310")


def price(item: str, amount: str, unit: str = "EA", since: date = date(2020, 1, 1), **more: Any) -> ContractPrice:
    given = {"contract": "K-1", "supplier": "ALPINE", "item": item, "unit": unit, "valid_from": since}
    return ContractPrice.model_validate(given | {"price": Money(amount=Decimal(amount))} | more)


async def known(engine: AsyncEngine, *records: Canonical) -> None:
    """Put into the register of NGH."""
    kinds = {Item: "item", StockLevel: "stock_level", ContractPrice: "contract_price", Location: "location"}
    for record in records:
        since = record.valid_from if isinstance(record, ContractPrice) else date(2000, 1, 1)
        code = f"{record.contract}/{record.item}/{since}" if isinstance(record, ContractPrice) else record.code  # type: ignore[attr-defined]
        await build.put(engine, kinds[type(record)], "NGH", code, record, since)


async def put(engine: AsyncEngine, table: Table, **values: Any) -> str:
    """One row, with what it needs."""
    row: dict[str, Any] = {"facility": "NGH", "at": AT, "changed_at": AT} | values
    if "id" in table.c:
        row = {"id": new_id()} | row
    async with engine.begin() as connection:
        await connection.execute(insert(table).values({key: value for key, value in row.items() if key in table.c}))
    return str(row.get("id", ""))


async def use(engine: AsyncEngine, number: str, **values: Any) -> str:
    """A posted use of one glove."""
    row: dict[str, Any] = {"source": "ORSYS", "number": number, "kind": "use", "state": "posted", "location": "NGH-OR"}
    row |= {"item": "ITM-1001", "quantity": 1, "used_at": AT} | values
    said = {"location": row["location"], "item": row["item"], "used_at": row["used_at"].isoformat()}
    content = {"facility": "NGH", "source": "ORSYS", "number": number} | said | row.pop("content", {})
    return await put(engine, usage_events, **row, content=content)


async def charge(engine: AsyncEngine, event: str, state: str = "written", **values: Any) -> str:
    return await put(engine, charges, event=event, state=state, **({"kind": "charge", "again_at": AT} | values))


async def held(engine: AsyncEngine, item: str, on_hand: int, location: str = "NGH-OR", **values: Any) -> None:
    await put(engine, stock_balances, location=location, item=item, on_hand=on_hand, **values)


async def moved(engine: AsyncEngine, key: str, quantity: int, **values: Any) -> None:
    row = {"location": "NGH-OR", "item": "ITM-1001", "kind": "use", "key": key, "quantity": quantity}
    await put(engine, stock_movements, **(row | values))


async def need(engine: AsyncEngine, item: str, quantity: int, state: str = "open", **values: Any) -> str:
    row = {"location": "NGH-OR", "item": item, "supply": "purchase", "state": state, "quantity": quantity}
    return await put(engine, stock_needs, **(row | values))


async def conflict(engine: AsyncEngine, event: str, **content: Any) -> str:
    return await put(engine, usage_conflicts, event=event, hash=new_id(), state="open", content=content)
