"""A hospital with recalled goods on its shelves and in its patients, as its own tables have it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor, CaseChange
from canonical.parties import Employee, Facility
from canonical.recall import RecallNotice, RecallScope, RecallWord
from canonical.supply import Item
from store.acts import Act
from store.cases import StoredCases
from store.database import transaction
from store.recall_words import StoredRecalls
from store.usage_tables import stock_balances, usage_events
from tests.store.build import SEAL_KEY, put

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DEVICE = "00643169007222"
STENT = Item(code="ITM-9001", description="Stent", devices=(DEVICE,), tracking="implant")
ACT = Act(verb="recall load", about="", actor=Actor(id="mito", known_by="os_user"))


class RecallHouse:
    """What a test puts in and looks at."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.cases = StoredCases(engine, SEAL_KEY, NOON.date)
        self.recalls = StoredRecalls(engine, self.cases.person)
        self._uses = 0

    async def open(self) -> None:
        """The register: two facilities, one of which knows the stent's barcode, and a person of materials management."""
        person = Employee(id="E-MAT", facility="NGH", roles=("materials",), os_user="mito")
        for site in ("NGH", "SGH"):
            await put(self.engine, "facility", site, site, Facility(code=site))
        await put(self.engine, "item", "NGH", STENT.code, STENT)
        await put(self.engine, "employee", "NGH", person.id, person)

    async def used(self, lot: str = "", **fields: Any) -> str:
        """A use of the stent in our books; gives its id."""
        self._uses += 1
        row: dict[str, Any] = {
            "id": f"use-{self._uses:06d}",
            "facility": "NGH",
            "source": "OR",
            "number": f"{self._uses}",
            "kind": "use",
        }
        row |= {"state": "posted", "location": "OR-1", "item": STENT.code, "lot": lot, "procedure": "", "quantity": 1}
        row |= {"content": {}, "used_at": NOON, "at": NOON, "changed_at": NOON}
        async with transaction(self.engine) as connection:
            await connection.execute(insert(usage_events).values(row | fields))
        return str(row["id"])

    async def holds(self, quantity: int, lot: str = "", **fields: Any) -> None:
        """What a location holds by our books."""
        row = {"facility": "NGH", "location": "OR-1", "item": STENT.code, "lot": lot, "serial": "", "on_hand": quantity}
        async with transaction(self.engine) as connection:
            await connection.execute(insert(stock_balances).values(row | {"changed_at": NOON} | fields))

    async def now_holds(self, quantity: int) -> None:
        async with transaction(self.engine) as connection:
            await connection.execute(update(stock_balances).values(on_hand=quantity))

    async def load(self, *notices: RecallNotice, dry_run: bool = False, at: datetime = NOON) -> list[Any]:
        return await self.recalls.load(notices, ACT, at, dry_run=dry_run)

    async def opened(self, *scopes: RecallScope, **fields: Any) -> str:
        """A recall of these scopes, loaded and looked for; gives its number."""
        told = notice(*scopes, **fields)
        await self.load(told)
        await self.recalls.match(told.number, NOON)
        return told.number

    async def places(self, number: str) -> set[tuple[str, str]]:
        """Where its tasks are: kind, and location or procedure."""
        return {
            (one.kind, one.procedure or one.location)
            for one in await self.recalls.tasks(number, state="", limit=10_000)
        }

    async def says(self, number: str, verb: str, after: timedelta = timedelta(hours=1), **fields: Any) -> str:
        """A person's word, checked already; what came of it."""
        word = RecallWord.model_validate({"verb": verb, "id": f"{verb}-{self._uses}-{fields.get('task', '')}"} | fields)
        self._uses += 1
        return (await self.recalls.take(number, word, "E-MAT", NOON + after)).message

    async def record(self, change: CaseChange) -> None:
        await self.cases.record(change)


def notice(*scopes: RecallScope, **fields: Any) -> RecallNotice:
    told: dict[str, Any] = {"number": "Z-1234-2026", "classification": "I", "product": "Stent", "scopes": scopes}
    return RecallNotice.model_validate(told | fields)


def lots(*codes: str, **fields: Any) -> tuple[RecallScope, ...]:
    return tuple(RecallScope.model_validate({"device": DEVICE, "lot_from": code} | fields) for code in codes)
