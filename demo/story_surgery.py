"""The surgical day: forty procedures, what they use, and what becomes of it in the ERP's stock, at billing and at the suppliers.

Everything is reported by the operating room's own system (DFT^P03 over MLLP). The ends are counted in the ERP's stock and in billing's
books; what the platform says of itself is only read to know when the day is over.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from demo import billing
from demo.department import OR_SYSTEM
from demo.department_line import Message
from demo.hl7_plain import Use
from demo.stage import fascia
from demo.story_day import (
    CODES,
    CUP,
    DEVICES,
    GAUZE,
    GLOVES,
    INFUSION,
    MATERIALS,
    PENCIL,
    PLACE,
    PROCEDURES,
    RELOAD,
    STORE,
    TROCAR,
    Day,
    barcode,
    by_item,
    patient,
    shelf,
    until,
)
from demo.story_gateway import preview, teach
from demo.story_outside import Ending
from demo.story_scene import SURGERY, Scenario, Scene

LEFT = 11  # trocars after the procedures, one below their reorder point
BILLING_AWAY = 60.0  # seconds
HANGS_UP = 1.0  # seconds until billing has surely heard that it is to be away
NEW_CODES: Final = "ESP"  # the operating room's own code of a new pencil, another at every playing
REFILLED: Final = (GLOVES, GAUZE, INFUSION)  # from the main store, while the day goes on


async def surgical_day(scene: Scene) -> None:
    """From the first incision to the last charge."""
    day = await _morning(scene)
    away = asyncio.create_task(_billing_away(day))
    try:
        await asyncio.sleep(HANGS_UP)
        await day.report(*_procedures(day))
        scene.also.append(f"{PROCEDURES} procedures acknowledged")
        await _reorder(day)
        scene.also.append(await away)
    finally:
        away.cancel()
    await _exceptions(day)
    await _implant(day)
    await _recall(day)
    await _voided(day)
    await _evening(day)


# -- the morning ----------------------------------------------------------------------------------------------------


async def _morning(scene: Scene) -> Day:
    """What the ERP has on the shelves; the platform must have taken it over before anybody cuts."""
    opening = await shelf(scene, PLACE)
    lots: dict[str, list[str]] = {}
    for item in (INFUSION, PENCIL, TROCAR):
        found = sorted((lot, count) for (what, lot), count in opening.items() if what == item)
        lots[item] = [lot for lot, count in found for _ in range(count)]
    recalled = min(lots[TROCAR])  # that lot is for the afternoon
    lots[TROCAR].sort(key=lambda lot: lot == recalled)

    async def known() -> bool:
        held = await fascia(scene.stage, "stock", "show", PLACE)
        ours = {row["item"]: row["on_hand"] for row in held["items"]}
        return all(ours.get(item) == count for item, count in by_item(opening).items())

    await until(known, "the opening stock in the platform")
    store = await shelf(scene, STORE)
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


async def _billing_away(day: Day) -> str:
    """Billing is away for a minute; what it is to be charged leaves the shelves meanwhile and waits for it."""
    billing.go_down(day.scene.stage.home, BILLING_AWAY)
    await asyncio.sleep(BILLING_AWAY - HANGS_UP)
    before, now = by_item(day.opening), by_item(await day.shelf())
    gone = sum(before[item] - now[item] for item in (PENCIL, TROCAR))
    booked = len(day.booked_at_billing())
    return f"billing was away for {BILLING_AWAY:.0f} s: {'stock moved' if gone > 0 else 'NO stock moved'}, {booked} charges booked"


# -- what goes otherwise --------------------------------------------------------------------------------------------


async def _reorder(day: Day) -> None:
    """Trocars are below their reorder point: a requisition, approved, ordered, delivered, put away and paid."""
    scene = day.scene
    asked = await day.followed(TROCAR)
    await asked.approved(SURGERY.manager)
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await asked.until("closed")
    came = await scene.outside.documents(order.number)
    day.used[TROCAR] -= int(came.received.get(TROCAR, Decimal(0))) * 6  # boxes of six
    scene.also.append("the par level crossed was refilled through an order")


async def _exceptions(day: Day) -> None:
    """An expired lot and a code nobody knows: each waits for materials management, and neither holds up the other."""
    old, good = await _reloads(day.scene)
    expired = Use(day.number(), barcode=barcode(RELOAD, old))
    unknown = Use(day.number(), f"{NEW_CODES}-{day.scene.playing}", lot=day.lots[PENCIL].pop(0))
    of_unknown = day.message(2, unknown)
    await day.report(day.message(1, expired), of_unknown)
    parked = await day.parked(expired.number, "expired")
    await day.decide(parked, "correct", "--lot", good, "--reason", "the label was read from the box beside it")
    day.count(RELOAD, 1)
    day.scene.also.append("an expired lot was stopped; it was another lot")
    await _unknown_code(day, unknown, of_unknown[0])


async def _unknown_code(day: Day, use: Use, number: str) -> None:
    """The operating room's table learns the code; what a replay would do is looked at, then done: the use takes what it says now."""
    scene = day.scene
    shown = await fascia(scene.stage, "usage", "show", await day.parked(use.number, "unknown-item"))
    message = str(shown["message"])
    pencils = by_item(await day.shelf())[PENCIL]
    await teach(scene, OR_SYSTEM, {use.code: PENCIL})
    before = await preview(scene, message)
    await fascia(scene.stage, "journal", "replay", message, "--reason", "the operating room's table has the code now")
    await day.becomes(use.number, "posted")
    day.count(PENCIL, 1)
    scene.also.append(
        f"an unknown code was taught and its message replayed: {before}, then {await preview(scene, message)}"
    )

    async def moved() -> bool:
        return by_item(await day.shelf())[PENCIL] == pencils - 1

    async def charged() -> list[billing.Booked]:
        return [one for one in day.booked_at_billing() if (one.of_patient, one.code) == (patient(2), CODES[PENCIL])]

    await until(moved, "the pencil of the unknown code off the ERP's shelf")
    booked = await until(charged, f"a charge for the pencil of message {number}")
    scene.also.append(
        f"its pencil left the ERP's shelf, and is charged {len(booked)} time{'s' if len(booked) > 1 else ''}"
    )


async def _implant(day: Day) -> None:
    """A bill-only implant: used, ordered after, billed without a receipt; its serial scanned a second time is stopped."""
    scene, serial = day.scene, f"CUP-{day.scene.playing}-{int(time.time()) % 100000}"
    first = Use(day.number(), barcode=barcode(CUP, serial=serial))
    await day.report(day.message(3, first))
    day.count(CUP, 1)
    asked = await day.followed(CUP)
    twice = Use(day.number(), barcode=barcode(CUP, serial=serial))
    await day.report(day.message(4, twice))
    parked = await day.parked(twice.number, "serial-used-before")
    await day.decide(parked, "dismiss", "--reason", "scanned twice")
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
    parked = await day.parked(late.number, "recalled")
    await day.decide(parked, "dismiss", "--reason", "it was put aside, another was taken")
    scene.also.append("a recalled lot was stopped at its use")

    async def asked() -> list[dict[str, Any]]:
        shown = await fascia(scene.stage, "recall", "show", number)
        return [task for task in shown["tasks"] if task["state"] == "open"]

    tasks = await until(asked, "tasks of the recall")
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
    await day.becomes(use.number, "posted")
    back = Use(use.number, quantity=1, barcode=use.barcode, back=True)
    await day.report(day.message(6, back))
    await day.becomes(use.number, "voided")
    day.not_used(PENCIL)
    day.scene.also.append("a use was voided, its stock and its charge taken back")


# -- the evening ----------------------------------------------------------------------------------------------------


async def _evening(day: Day) -> None:
    """Counted outside: the ERP's shelves to the unit, billing's books to the charge."""
    scene = day.scene
    expected = by_item(day.opening)
    for item, count in day.used.items():
        if item != CUP:
            expected[item] -= count

    async def shelves() -> bool:
        now = by_item(await day.shelf())
        return all(now[item] == expected[item] for item in (INFUSION, PENCIL, RELOAD, TROCAR) if item not in REFILLED)

    async def charges() -> bool:
        return billing.net(day.booked_at_billing()) == +day.charged

    await until(charges, f"the charges at billing ({dict(day.charged)})")
    scene.also.append("billing has every chargeable use once")
    await until(shelves, "the ERP's stock")
    moved = await _conserved(day)
    scene.also.append(f"the ERP's stock is the opening less what was used{moved}")
    taken_back = sum(1 for one in day.booked_at_billing() if one.kind == billing.CREDITED)
    scene.also.append(f"credits: {taken_back}")
    scene.said = "the day is over"


async def _conserved(day: Day) -> str:
    """What comes from the main store is taken there: theatre and store together hold what they held, less what was used."""
    before = {item: count for item, count in by_item(day.opening).items() if item in REFILLED}
    store_before = by_item(day.store)

    async def even() -> bool:
        here, there = by_item(await day.shelf()), by_item(await day.shelf(STORE))
        filled = all(here[item] >= before[item] for item in (GLOVES, GAUZE))
        return filled and all(
            here[item] + there[item] == before[item] + store_before[item] - day.used[item] for item in REFILLED
        )

    await until(even, "what the main store gave in the ERP")
    return "; gloves and gauze are refilled from the main store"


async def _reloads(scene: Scene) -> tuple[str, str]:
    """The stapler reloads' lot that is past its date, and one that is not, as the platform shows them."""
    held = await fascia(scene.stage, "stock", "show", PLACE)
    (reloads,) = [row for row in held["items"] if row["item"] == RELOAD]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    lots = sorted(reloads["lots"], key=lambda lot: lot["expires"])
    return lots[0]["lot"], next(lot["lot"] for lot in lots if lot["expires"] > today)


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
                f"billing was away for {BILLING_AWAY:.0f} s: stock moved, 0 charges booked",
                "an expired lot was stopped; it was another lot",
                "an unknown code was taught and its message replayed: new effect, then already done",
                "its pencil left the ERP's shelf, and is charged 1 time",
                "a serial scanned twice was used once",
                "a bill-only implant was ordered after its use and paid with 0 receipts",
                "a recalled lot was stopped at its use",
                "the recall found 1 place that held it; every task was answered",
                "a use was voided, its stock and its charge taken back",
                "billing has every chargeable use once",
                "the ERP's stock is the opening less what was used; gloves and gauze are refilled from the main store",
                "credits: 1",
            ),
        ),
        process="consumption_to_replenishment",
    ),
)
