"""The hospital's everyday staff, at work when the story is over: what suppliers ship is taken in, what is to be paid is paid.

So a visitor's own requisition comes to its end, and so do cases a stop of the demonstration interrupted.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable
from decimal import Decimal

import httpx

from demo.erp_rpc import ErpRefused
from demo.partner_script import SEED
from demo.partner_state import OrderHeld
from demo.stage import FACILITY, Stage
from demo.story_doors import Doors, StoryError
from demo.story_outside import Outside

LOOK_EVERY = 4.0
WHO = "E-7001"
GOES_WRONG = (StoryError, ErpRefused, LookupError, httpx.HTTPError)


class Staff:
    """Storekeeper and bank, looking again and again at what is open."""

    def __init__(self, stage: Stage, doors: Doors, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._doors = doors
        self._say = say
        self._outside = Outside(stage.erp, stage.home)
        with (SEED / "supplier_items.csv").open(encoding="utf-8", newline="") as file:
            self._items = {row["catalogue_number"]: row["item"] for row in csv.DictReader(file)}

    async def work(self) -> None:
        """Work until cancelled; what goes wrong is said and tried again."""
        said = ""
        while True:
            try:
                await self.once()
            except GOES_WRONG as wrong:
                if str(wrong) != said:
                    said = str(wrong)
                    self._say(f"the staff could not go on: {said[:200]}")
            await asyncio.sleep(LOOK_EVERY)

    async def once(self) -> None:
        """One look at every open order."""
        page = await self._doors.look(WHO, "/v1/orders?open=true&limit=200") or {"cases": []}
        for row in page["cases"]:
            if row["business_state"].startswith("cancel"):
                continue
            await self._take_in(row["case"].rsplit("/", 1)[-1])
            if row["business_state"] == "paid, waiting for bank":
                await self._pay(row["case"].rsplit("/", 1)[-1])

    async def _take_in(self, number: str) -> None:
        held = self._outside.held(number)
        if held is None or not held.shipments:
            return
        received = (await self._outside.documents(number)).received
        missing = {item: n - received.get(item, Decimal(0)) for item, n in self._shipped(held).items()}
        missing = {item: quantity for item, quantity in missing.items() if quantity > 0}
        if missing:
            receipt = await asyncio.to_thread(self._stage.erp.receive, number, missing)
            self._say(f"the storekeeper took in what came of order {number} at {FACILITY} (receipt {receipt})")

    def _shipped(self, held: OrderHeld) -> dict[str, Decimal]:
        shipped: dict[str, Decimal] = {}
        for line in held.lines:
            item = self._items.get(line.catalogue)
            if item is not None and line.shipped:
                shipped[item] = shipped.get(item, Decimal(0)) + line.shipped
        return shipped

    async def _pay(self, number: str) -> None:
        if await asyncio.to_thread(self._stage.erp.bank_confirms, number):
            self._say(f"the bank paid for order {number}")
