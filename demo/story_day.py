"""One day of the operating rooms as their own system keeps it: what was used of what, and where that must be found outside."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, TypeVar

from canonical.base import case_id
from demo import billing
from demo.department import OR_SYSTEM
from demo.department_line import Message, send
from demo.hl7_plain import Use
from demo.stage import FACILITY, fascia
from demo.story_doors import LOOK_EVERY, WITHIN, StoryError
from demo.story_scene import BUYER, SURGERY, Requisition, Scene

PLACE, STORE = "NGH-OR", "NGH-STORE"
PROCEDURES, CONNECTIONS = 40, 4
GLOVES, GAUZE = "ITM-1001", "ITM-1003"
INFUSION, PENCIL, RELOAD, TROCAR, CUP = "ITM-1007", "ITM-1014", "ITM-1011", "ITM-1012", "ITM-1027"
DEVICES: Final = {
    INFUSION: "00614141010073",
    PENCIL: "00614141010141",
    RELOAD: "00614141010110",
    TROCAR: "00614141010127",
    CUP: "00614141010271",
}
CODES: Final = {  # what billing books of what, as the item master has it
    INFUSION: "27000107",
    PENCIL: "27200114",
    RELOAD: "27200111",
    TROCAR: "27200112",
    CUP: "27800127",
}
MATERIALS = "E-8101"

Shelf = dict[tuple[str, str], int]
"""What is at a place, by item and lot."""


def barcode(item: str, lot: str = "", serial: str = "", expires: date | None = None) -> str:
    """A GS1 barcode as a scanner shows it to people."""
    day = f"(17){expires:%y%m%d}" if expires else ""
    return f"(01){DEVICES[item]}{day}{f'(10){lot}' if lot else ''}{f'(21){serial}' if serial else ''}"


def patient(procedure: int) -> str:
    """Whose procedure it is, by number; none of these patients exists."""
    return f"{910000 + procedure}"


@dataclass
class Day:
    """The day as the operating room keeps it: what it used of what, to be found in the ERP and at billing."""

    scene: Scene
    opening: Shelf
    store: Shelf  # the main store's
    booked: int  # what billing had booked before
    lots: dict[str, list[str]]  # of each tracked item one for each piece, the earliest to expire first
    used: Counter[str] = field(default_factory=Counter)
    charged: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    numbers: int = 0

    def number(self) -> str:
        """The next number of a use (FT1-2)."""
        self.numbers += 1
        return f"{self.scene.playing}-{self.numbers:04d}"

    def scan(self, item: str, lot: str = "", **more: Any) -> Use:
        """Something scanned, of a lot that is there; it counts as used."""
        self.count(item, 1)
        return Use(self.number(), barcode=barcode(item, lot or self.lots[item].pop(0), **more))

    def take(self, code: str, item: str, quantity: int) -> Use:
        """Something taken by the system's own code."""
        self.count(item, quantity)
        return Use(self.number(), code, quantity)

    def count(self, item: str, quantity: int) -> None:
        """So many were used, and are charged where they are."""
        self.used[item] += quantity
        if item in CODES:
            self.charged[CODES[item]] += quantity

    def not_used(self, item: str) -> None:
        """One that was counted as used is not, after all."""
        self.count(item, -1)

    def message(self, procedure: int, *uses: Use) -> Message:
        """What the system writes of a procedure."""
        self.messages += 1
        number = f"{self.scene.playing}U{self.messages:04d}"
        visit = f"V-{self.scene.playing}-{procedure:02d}"
        return number, OR_SYSTEM.writer.charges(number, patient(procedure), visit, *uses)

    async def report(self, *messages: Message) -> None:
        """Send them; each must be acknowledged."""
        await send(self.scene.stage.gateway, *(messages[at::CONNECTIONS] for at in range(CONNECTIONS)))

    # -- what is asked of the platform meanwhile ---------------------------------------------------------------------

    async def parked(self, number: str, finding: str) -> str:
        """The event of a use, once it waits for a person for this reason."""
        row = await self._event(number, lambda row: row["state"] == "parked")
        if row["finding"] != finding:
            raise StoryError(f"use {number} should be parked as {finding}, but is {row['finding']}: {row['reason']}")
        return str(row["id"])

    async def becomes(self, number: str, state: str) -> None:
        """Wait until a use is in this state."""
        await self._event(number, lambda row: row["state"] == state)

    async def _event(self, number: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def found() -> dict[str, Any] | None:
            listed = await fascia(self.scene.stage, "usage", "list", "--all", "--since", "2h", "--limit", "5000")
            mine = [row for row in listed["items"] if row["number"] == number and row["kind"] == "use"]
            return next(filter(fits, mine), None)

        return await until(found, f"use {number} as it should be")

    async def decide(self, event: str, verb: str, *words: str) -> None:
        """Materials management's word on a parked use."""
        await fascia(self.scene.stage, "usage", "decide", event, verb, *words, who=MATERIALS)

    async def followed(self, item: str) -> Requisition:
        """The requisition that brings an item, once its need has one."""
        scene, known = self.scene, {asked.name for asked in self.scene.requisitions}

        async def begun() -> str:
            listed = await fascia(scene.stage, "stock", "needs", "--location", PLACE, "--item", item, "--limit", "20")
            return next((row["case"] for row in listed["items"] if row["case"] and row["case"] not in known), "")

        name = await until(begun, f"a requisition for {item}")
        number = name.rpartition("/")[2]
        assert name == case_id("procure_to_pay", FACILITY, "replenishment", number)
        asked = Requisition(scene.doors, BUYER, f"/v1/requisitions/replenishment/{number}", name, scene, SURGERY)
        scene.requisitions.append(asked)
        return asked

    # -- where it must be found --------------------------------------------------------------------------------------

    async def shelf(self, place: str = PLACE) -> Shelf:
        """What the ERP has at a place."""
        return await shelf(self.scene, place)

    def booked_at_billing(self) -> list[billing.Booked]:
        """What billing booked of this day's patients."""
        patients = {patient(procedure) for procedure in range(1, PROCEDURES + 1)}
        return [one for one in billing.booked(self.scene.stage.home)[self.booked :] if one.of_patient in patients]


async def shelf(scene: Scene, place: str) -> Shelf:
    """What the ERP has at a place."""
    return await asyncio.to_thread(scene.stage.erp.stock, place)


def by_item(there: Shelf) -> Counter[str]:
    """A shelf without its lots."""
    found: Counter[str] = Counter()
    for (item, _), count in there.items():
        found[item] += count
    return found


T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """Wait until somebody shows it."""
    give_up = time.monotonic() + WITHIN
    while time.monotonic() < give_up:
        if found := await look():
            return found
        await asyncio.sleep(LOOK_EVERY)
    raise StoryError(f"nobody shows {what}")
