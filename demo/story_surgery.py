"""The surgical day: forty procedures, what they use, and what becomes of it in the ERP's stock, at billing and at the suppliers.

Everything is reported by the operating room's own system (DFT^P03 over MLLP). The ends are counted in the ERP's stock and in billing's
books; what the platform says of itself is only read to know when the day is over.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from canonical.base import case_id
from demo import billing
from demo.department import OR_SYSTEM
from demo.department_line import Message, send
from demo.hl7_plain import Use
from demo.stage import FACILITY, fascia
from demo.story_doors import LOOK_EVERY, WITHIN, StoryError
from demo.story_outside import Ending
from demo.story_scene import BUYER, SURGERY, Requisition, Scenario, Scene

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
LEFT = 11  # trocars after the procedures, one below their reorder point
CODES: Final = {  # what billing books of what, as the item master has it
    INFUSION: "27000107",
    PENCIL: "27200114",
    RELOAD: "27200111",
    TROCAR: "27200112",
    CUP: "27800127",
}
BILLING_AWAY = 20.0  # seconds of the demonstration's minute
MATERIALS = "E-8101"

Shelf = dict[tuple[str, str], int]
"""What is at a place, by item and lot."""


def barcode(item: str, lot: str = "", serial: str = "", expires: date | None = None) -> str:
    """A GS1 barcode as a scanner shows it to people."""
    day = f"(17){expires:%y%m%d}" if expires else ""
    return f"(01){DEVICES[item]}{day}{f'(10){lot}' if lot else ''}{f'(21){serial}' if serial else ''}"


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
        """What the system writes of a procedure; none of these patients exists."""
        self.messages += 1
        number = f"{self.scene.playing}U{self.messages:04d}"
        visit = f"V-{self.scene.playing}-{procedure:02d}"
        return number, OR_SYSTEM.writer.charges(number, f"{910000 + procedure}", visit, *uses)

    async def report(self, *messages: Message) -> None:
        """Send them; each must be acknowledged."""
        await send(self.scene.stage.gateway, *(messages[at::CONNECTIONS] for at in range(CONNECTIONS)))


async def surgical_day(scene: Scene) -> None:
    """From the first incision to the last charge."""
    day = await _morning(scene)
    billing.go_down(scene.stage.home, BILLING_AWAY)
    await day.report(*_procedures(day))
    scene.also.append(f"{PROCEDURES} procedures acknowledged")
    await _reorder(day)
    await _exceptions(day)
    await _implant(day)
    await _recall(day)
    await _voided(day)
    await _evening(day)


# -- the morning ----------------------------------------------------------------------------------------------------


async def _morning(scene: Scene) -> Day:
    """What the ERP has on the shelves; the platform must have taken it over before anybody cuts."""
    opening = await _shelf(scene, PLACE)
    lots: dict[str, list[str]] = {}
    for item in (INFUSION, PENCIL, TROCAR):
        found = sorted((lot, count) for (what, lot), count in opening.items() if what == item)
        lots[item] = [lot for lot, count in found for _ in range(count)]
    recalled = min(lots[TROCAR])  # that lot is for the afternoon
    lots[TROCAR].sort(key=lambda lot: lot == recalled)

    async def known() -> bool:
        held = await fascia(scene.stage, "stock", "show", PLACE)
        ours = {row["item"]: row["on_hand"] for row in held["items"]}
        return all(ours.get(item) == count for item, count in _by_item(opening).items())

    await _until(known, "the opening stock in the platform")
    store = await _shelf(scene, STORE)
    return Day(scene, opening, store, len(billing.booked(scene.stage.home)), lots)


def _procedures(day: Day) -> list[Message]:
    """Forty procedures: gloves and gauze in each, an infusion set in every second, a pencil in every fourth, trocars in many."""
    trocars = len(day.lots[TROCAR]) - LEFT
    found = []
    for procedure in range(1, PROCEDURES + 1):
        uses = [day.take("GLV-NIT-M", GLOVES, 4), day.take("GZ-44", GAUZE, 5)]
        if procedure % 2 == 0:
            uses.append(day.scan(INFUSION))
        if procedure % 4 == 0:
            uses.append(day.scan(PENCIL))
        if procedure <= trocars:
            uses.append(day.scan(TROCAR))
        found.append(day.message(procedure, *uses))
    return found


# -- what goes otherwise --------------------------------------------------------------------------------------------


async def _reorder(day: Day) -> None:
    """Trocars are below their reorder point: a requisition, approved, ordered, delivered, put away and paid."""
    scene = day.scene
    asked = await _followed(day, TROCAR)
    await asked.approved(SURGERY.manager)
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await asked.until("closed")
    came = await scene.outside.documents(order.number)
    day.used[TROCAR] -= int(came.received.get(TROCAR, Decimal(0))) * 6  # boxes of six
    scene.also.append("the par level crossed was refilled through an order")


async def _exceptions(day: Day) -> None:
    """An expired lot, a serial scanned twice, a code nobody knows: each waits for materials management, and none holds up another."""
    scene = day.scene
    old, good = await _reloads(scene)
    expired = Use(day.number(), barcode=barcode(RELOAD, old))
    unknown = Use(day.number(), f"GLV-{scene.playing}", 4)
    await day.report(day.message(1, expired), day.message(2, unknown))
    parked = await _parked(day, expired.number, "expired")
    await _decide(day, parked, "correct", "--lot", good, "--reason", "the label was read from the box beside it")
    day.count(RELOAD, 1)
    scene.also.append("an expired lot was stopped; it was another lot")
    parked = await _parked(day, unknown.number, "unknown-item")
    await _decide(day, parked, "correct", "--item", GLOVES, "--reason", "gloves, by a new code")
    day.count(GLOVES, 4)
    scene.also.append("an unknown code was corrected")


async def _implant(day: Day) -> None:
    """A bill-only implant: used, ordered after, billed without a receipt; its serial scanned a second time is stopped."""
    scene, serial = day.scene, f"CUP-{day.scene.playing}-{int(time.time()) % 100000}"
    first = Use(day.number(), barcode=barcode(CUP, serial=serial))
    await day.report(day.message(3, first))
    day.count(CUP, 1)
    asked = await _followed(day, CUP)
    twice = Use(day.number(), barcode=barcode(CUP, serial=serial))
    await day.report(day.message(4, twice))
    parked = await _parked(day, twice.number, "serial-used-before")
    await _decide(day, parked, "dismiss", "--reason", "scanned twice")
    scene.also.append("a serial scanned twice was used once")
    await asked.approved(SURGERY.manager)
    (order,) = await asked.ordered()
    await order.at_supplier("the order", lambda held: held.times >= 1)
    await order.until("used")
    order.tell_supplier("810", ahead=True)
    await order.paid()
    await asked.until("closed")
    documents = await scene.outside.documents(order.number)
    scene.also.append(f"a bill-only implant was ordered after its use and paid with {len(documents.receipts)} receipts")


async def _recall(day: Day) -> None:
    """In the afternoon the oldest lot of trocars is recalled: it is blocked at once, found on its shelf, and answered for."""
    scene, lot = day.scene, min(lot for item, lot in day.opening if item == TROCAR)
    number = f"Z-{scene.playing}-{int(time.time()) % 100000}"
    notice = {
        "number": number,
        "classification": "II",
        "firm": "Boreal Surgical",
        "product": "Trocar 12 mm bladeless",
        "reason": "the seal may leak",
        "initiated": f"{datetime.now(UTC):%Y-%m-%d}",
        "scopes": [{"device": DEVICES[TROCAR], "lot_from": lot, "lot_to": lot}],
    }
    path = scene.stage.stack.home.folder("departments") / "recall.json"
    path.write_text(json.dumps(notice), encoding="utf-8")
    await fascia(scene.stage, "recall", "load", str(path), "--reason", "the firm's letter", who=MATERIALS)
    late = Use(day.number(), barcode=barcode(TROCAR, lot))
    await day.report(day.message(5, late))
    parked = await _parked(day, late.number, "recalled")
    await _decide(day, parked, "dismiss", "--reason", "it was put aside, another was taken")
    scene.also.append("a recalled lot was stopped at its use")

    async def asked() -> list[dict[str, Any]]:
        shown = await fascia(scene.stage, "recall", "show", number)
        return [task for task in shown["tasks"] if task["state"] == "open"]

    tasks = await _until(asked, "tasks of the recall")
    for task in tasks:
        there = ("quarantined", "--found", str(task["expected"]))
        outcome = there if task["kind"] == "location" else ("clinician-informed",)
        words = (str(task["id"]), *outcome, "--reason", "seen to")
        await fascia(scene.stage, "recall", "answer", number, *words, who=MATERIALS)
    why = ("--reason", "the firm found the seals to be sound", "--yes")
    await fascia(scene.stage, "recall", "close", number, "--lift", *why, who=MATERIALS)
    places = sum(1 for task in tasks if task["kind"] == "location")
    scene.also.append(
        f"the recall found {places} place{'s' if places > 1 else ''} that held it; every task was answered"
    )


async def _voided(day: Day) -> None:
    """A pencil that was scanned and not opened: back on its shelf, and credited."""
    use = day.scan(PENCIL)
    await day.report(day.message(6, use))
    await _state(day, use.number, "posted")
    back = Use(use.number, quantity=1, barcode=use.barcode, back=True)
    await day.report(day.message(6, back))
    await _state(day, use.number, "voided")
    day.not_used(PENCIL)
    day.scene.also.append("a use was voided, its stock and its charge taken back")


# -- the evening ----------------------------------------------------------------------------------------------------


async def _evening(day: Day) -> None:
    """Counted outside: the ERP's shelves to the unit, billing's books to the charge."""
    scene = day.scene
    expected = _by_item(day.opening)
    for item, count in day.used.items():
        if item != CUP:
            expected[item] -= count

    async def shelves() -> bool:
        now = _by_item(await _shelf(scene, PLACE))
        return all(now[item] == expected[item] for item in (INFUSION, PENCIL, RELOAD, TROCAR) if item not in _STOCKED)

    async def charges() -> bool:
        return billing.net(_ours(day)) == +day.charged

    await _until(charges, f"the charges at billing ({dict(day.charged)})")
    scene.also.append("billing was away and has every chargeable use once")
    await _until(shelves, "the ERP's stock")
    moved = await _conserved(day)
    scene.also.append(f"the ERP's stock is the opening less what was used{moved}")
    taken_back = sum(1 for one in _ours(day) if one.kind == billing.CREDITED)
    scene.also.append(f"credits: {taken_back}")
    scene.said = "the day is over"


_STOCKED = (GLOVES, GAUZE, INFUSION)  # refilled from the main store while the day goes on


async def _conserved(day: Day) -> str:
    """What comes from the main store is taken there: theatre and store together hold what they held, less what was used."""
    scene = day.scene
    before = {item: count for item, count in _by_item(day.opening).items() if item in _STOCKED}
    store_before = _by_item(day.store)

    async def even() -> bool:
        here, there = _by_item(await _shelf(scene, PLACE)), _by_item(await _shelf(scene, STORE))
        filled = all(here[item] >= before[item] for item in (GLOVES, GAUZE))
        return filled and all(
            here[item] + there[item] == before[item] + store_before[item] - day.used[item] for item in _STOCKED
        )

    await _until(even, "what the main store gave in the ERP")
    return "; gloves and gauze are refilled from the main store"


def _ours(day: Day) -> list[billing.Booked]:
    """What billing booked of this day's patients."""
    patients = {f"{910000 + procedure}" for procedure in range(1, PROCEDURES + 1)}
    return [one for one in billing.booked(day.scene.stage.home)[day.booked :] if one.of_patient in patients]


async def _shelf(scene: Scene, place: str) -> Shelf:
    return await asyncio.to_thread(scene.stage.erp.stock, place)


def _by_item(shelf: Shelf) -> Counter[str]:
    found: Counter[str] = Counter()
    for (item, _), count in shelf.items():
        found[item] += count
    return found


async def _reloads(scene: Scene) -> tuple[str, str]:
    """The stapler reloads' lot that is past its date, and one that is not, as the platform shows them."""
    held = await fascia(scene.stage, "stock", "show", PLACE)
    (reloads,) = [row for row in held["items"] if row["item"] == RELOAD]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    lots = sorted(reloads["lots"], key=lambda lot: lot["expires"])
    return lots[0]["lot"], next(lot["lot"] for lot in lots if lot["expires"] > today)


async def _followed(day: Day, item: str) -> Requisition:
    """The requisition that brings an item, once its need has one."""
    scene, known = day.scene, {asked.name for asked in day.scene.requisitions}

    async def begun() -> str:
        listed = await fascia(scene.stage, "stock", "needs", "--location", PLACE, "--item", item, "--limit", "20")
        return next((row["case"] for row in listed["items"] if row["case"] and row["case"] not in known), "")

    name = await _until(begun, f"a requisition for {item}")
    number = name.rpartition("/")[2]
    assert name == case_id("procure_to_pay", FACILITY, "replenishment", number)
    asked = Requisition(scene.doors, BUYER, f"/v1/requisitions/replenishment/{number}", name, scene, SURGERY)
    scene.requisitions.append(asked)
    return asked


async def _parked(day: Day, number: str, finding: str) -> str:
    """The event of a use, once it waits for a person for this reason."""
    row = await _event(day, number, lambda row: row["state"] == "parked")
    if row["finding"] != finding:
        raise StoryError(f"use {number} should be parked as {finding}, but is {row['finding']}: {row['reason']}")
    return str(row["id"])


async def _state(day: Day, number: str, state: str) -> None:
    await _event(day, number, lambda row: row["state"] == state)


async def _event(day: Day, number: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async def found() -> dict[str, Any] | None:
        listed = await fascia(day.scene.stage, "usage", "list", "--all", "--since", "2h", "--limit", "5000")
        mine = [row for row in listed["items"] if row["number"] == number and row["kind"] == "use"]
        return next(filter(fits, mine), None)

    return await _until(found, f"use {number} as it should be")


async def _decide(day: Day, event: str, verb: str, *words: str) -> None:
    await fascia(day.scene.stage, "usage", "decide", event, verb, *words, who=MATERIALS)


T = TypeVar("T")


async def _until(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    give_up = time.monotonic() + WITHIN
    while time.monotonic() < give_up:
        if found := await look():
            return found
        await asyncio.sleep(LOOK_EVERY)
    raise StoryError(f"nobody shows {what}")


SURGERY_SCENES: tuple[Scenario, ...] = (
    Scenario(
        "surgical_day",
        f"{PROCEDURES} procedures over MLLP: stock, charges, refills, an expired, a recalled and a doubled scan, a void",
        surgical_day,
        Ending(
            "closed",
            *(2, 2, 2, 1, 2, Decimal("2786.00"), Decimal("2786.00"), 0),
            also=(
                f"{PROCEDURES} procedures acknowledged",
                "the par level crossed was refilled through an order",
                "an expired lot was stopped; it was another lot",
                "an unknown code was corrected",
                "a serial scanned twice was used once",
                "a bill-only implant was ordered after its use and paid with 0 receipts",
                "a recalled lot was stopped at its use",
                "the recall found 1 place that held it; every task was answered",
                "a use was voided, its stock and its charge taken back",
                "billing was away and has every chargeable use once",
                "the ERP's stock is the opening less what was used; gloves and gauze are refilled from the main store",
                "credits: 1",
            ),
        ),
        process="consumption_to_replenishment",
    ),
)
