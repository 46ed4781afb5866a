"""The story the demonstration plays: 23 ways things go between departments, ERP and suppliers, each with the end it must come to.

Each scene reads as what people do. Endings are counted in the ERP, in the suppliers' books and in what departments heard. The scenes
at the gateway are in ``demo/story_gateway.py``, those in which something breaks for everybody in ``demo/story_faults.py``.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import Any

from demo.story_doors import StoryError
from demo.story_faults import FAULTS
from demo.story_gateway import GATEWAY_SCENES
from demo.story_outside import Ending
from demo.story_people import PEOPLE_SCENES
from demo.story_scene import (
    BUYER,
    DIRECTOR,
    LABORATORY,
    OTHER_PAYER,
    PAYER,
    PHARMACY,
    SUBSTITUTE,
    SURGERY,
    Ask,
    Scenario,
    Scene,
)
from demo.story_surgery import SURGERY_SCENES

CLOSED = "closed"


async def three_lines(scene: Scene) -> None:
    """Gloves by the piece, syringes by the box, stapler reloads by the piece: two suppliers, one approval."""
    asked = await scene.start(
        SURGERY, Ask("ITM-1001", 1000), Ask("ITM-1005", 8, "BX"), Ask("ITM-1011", 12), note="theatre 4, Tuesday's list"
    )
    await asked.approved()
    orders = await asked.ordered(2)
    await asyncio.gather(*(order.delivered_and_paid() for order in orders))
    await asked.until(CLOSED)


async def small_order(scene: Scene) -> None:
    """On contract, at par and small: nobody is asked."""
    asked = await scene.post(PHARMACY, Ask("ITM-1018", 5, "BX"))
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await asked.until(CLOSED)


async def refused(scene: Scene) -> None:
    """Above five thousand the director is asked too, and says no."""
    asked = await scene.start(SURGERY, Ask("ITM-1011", 4, "BX"))
    await asked.approved(SURGERY.manager)
    await asked.until("pending approval", owner="director")
    await asked.decide(DIRECTOR, "reject", "no budget this quarter")
    await asked.until("refused")


async def approver_on_leave(scene: Scene) -> None:
    """The pharmacy's manager is away; the substitute approves, nobody else may."""
    asked = await scene.post(PHARMACY, Ask("ITM-1016", 12, "BX"))
    await asked.until("pending approval")
    await asked.refuses(SURGERY.manager, "approve")
    await asked.approved(SUBSTITUTE)
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await asked.until(CLOSED)


async def unknown_item(scene: Scene) -> None:
    """A mistyped item stops the requisition until a buyer corrects it."""
    asked = await scene.post(LABORATORY, Ask("ITM-9999", 1, "BX"))
    await asked.until("needs attention")
    correction = {"lines": [{"line": "1", "item": "ITM-1022"}]}
    await asked.decide(BUYER, "correct", "the control they always order", correction=correction)
    await asked.approved()
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await asked.until(CLOSED)


async def blocked_supplier(scene: Scene) -> None:
    """Nothing is ordered from a blocked supplier."""
    asked = await scene.post(SURGERY, Ask("ITM-1026", 1))
    await asked.until("needs attention")
    await asked.decide(BUYER, "cancel", "the supplier is blocked; another model is being sought")
    await asked.until("cancelled")


async def back_order(scene: Scene) -> None:
    """Six cases now, four later: two receipts, two invoices, both paid."""
    asked = await scene.post(SURGERY, Ask("ITM-1004", 10, "CA"))
    (order,) = await asked.ordered()
    await order.shipped()
    await order.receive({"ITM-1004": 6})
    await order.shipped(times=2)
    await order.receive({"ITM-1004": 4})
    await order.bank_pays(times=2)
    await order.until(CLOSED)
    await asked.until(CLOSED)


async def price_change(scene: Scene) -> None:
    """The supplier asks more than the contract; a buyer accepts."""
    asked = await scene.post(SURGERY, Ask("ITM-1006", 10, "BX"))
    (order,) = await asked.ordered()
    await order.decide_what_is_asked(BUYER, "accept", "the new list price is known")
    await order.delivered_and_paid()
    await asked.until(CLOSED)


async def substitution(scene: Scene) -> None:
    """The supplier offers another suture; a buyer refuses and the line ends, here and there."""
    asked = await scene.post(SURGERY, Ask("ITM-1009", 2, "BX"))
    (order,) = await asked.ordered()
    await order.decide_what_is_asked(BUYER, "refuse", "the surgeon wants this thread")
    await order.at_supplier("the ended line", lambda held: all(line.ended for line in held.lines))
    await order.until(CLOSED)
    await asked.until(CLOSED)


async def over_invoice(scene: Scene) -> None:
    """Billed above the contract: held, paid short by a buyer's word, released by another person, the rest claimed."""
    asked = await scene.post(SURGERY, Ask("ITM-1010", 4, "CA"))
    (order,) = await asked.ordered()
    await order.shipped()
    await order.receive()
    await order.until("invoice blocked")
    await order.decide_what_is_asked(PAYER, "pay_short", "the contract says 87.50")
    await order.until("payment to release")
    await order.refuses(PAYER, "release")
    await order.decide_what_is_asked(OTHER_PAYER, "release")
    await order.paid()
    await asked.until(CLOSED)


async def duplicate_invoice(scene: Scene) -> None:
    """The same invoice comes twice, in two interchanges: it is paid once."""
    asked = await scene.post(LABORATORY, Ask("ITM-1020", 5, "BX"))
    (order,) = await asked.ordered()
    await order.shipped()
    await order.receive()
    held = await order.billed(times=2)
    await order.paid()
    await asked.until(CLOSED)
    scene.also.append(f"the supplier billed {held.invoices[0].times} times")


async def unknown_order(scene: Scene) -> None:
    """An invoice names an order nobody knows; a person finds the order it is for."""
    asked = await scene.post(LABORATORY, Ask("ITM-1021", 4, "BX"))
    (order,) = await asked.ordered()
    await order.shipped()
    await order.receive()
    held = await order.billed()
    number = held.invoices[0].number
    listed = await scene.listed(lambda document: document["number"] == number)
    answer = await scene.doors.ask(
        PAYER,
        "POST",
        f"/v1/unmatched/{listed['id']}/attach",
        {"case": order.name, "reason": "a typing error of theirs"},
    )
    if answer.is_error:
        raise StoryError(f"the invoice was not attached: {answer.status_code} {answer.text[:300]}")
    await order.paid()
    await asked.until(CLOSED)


async def silent_supplier(scene: Scene) -> None:
    """No answer within the supplier's time: a buyer has the order sent again, under its own number."""
    asked = await scene.post(LABORATORY, Ask("ITM-1019", 6, "BX"))
    (order,) = await asked.ordered()
    await order.until("supplier silent")
    await order.decide(BUYER, "resend", "they lost it; sent again after a call")
    await order.delivered_and_paid()
    await asked.until(CLOSED)


async def cancelled_after_receipt(scene: Scene) -> None:
    """Cancelled when the goods are here: they go back."""
    asked = await scene.post(SURGERY, Ask("ITM-1014", 2, "BX"))
    (order,) = await asked.ordered()
    await order.shipped()
    await order.receive()
    await order.until("received")
    await order.decide(BUYER, "cancel", "the wrong model was asked for")
    await order.until("cancelled")
    await asked.until("cancelled")


async def spoilt_x12(scene: Scene) -> None:
    """Garbage and broken X12 in the mailbox are kept, answered with the right code, and hurt nothing."""
    asked = await scene.post(PHARMACY, Ask("ITM-1008", 3, "CA"))
    (order,) = await asked.ordered()
    await order.at_supplier("our order", lambda held: held.acknowledged > 0)
    order.tell_supplier("855", spoil="cut")
    order.tell_supplier("855", spoil="headless")
    garbage = f"garbage_{order.number}.x12"
    scene.drop("ALPINE", garbage, f"\0this is no interchange, {order.number}\r\n".encode())
    await order.delivered_and_paid()
    await asked.until(CLOSED)
    await _judge_spoilt(scene, order.number, garbage)


def _is_about(number: str, document: dict[str, Any]) -> bool:
    return bool(document["number"] == number)


async def _judge_spoilt(scene: Scene, order: str, garbage: str) -> None:
    """What the supplier was told of each, by its own books; and that all of it was kept and listed."""
    book = scene.outside.books()["ALPINE"]
    for sent in (sent for sent in book.sent if sent.spoiled and sent.order == order):
        await scene.listed(partial(_is_about, sent.number))
        for said in scene.outside.books()["ALPINE"].said:
            if (said.kind, said.number) in (("TA1", sent.number), ("997", sent.group)):
                scene.also.append(
                    f"{said.kind} {' '.join(filter(None, (said.code, said.note)))} to the {sent.spoiled} one"
                )
    if await scene.taken("ALPINE", garbage):
        await scene.listed(lambda document: (document["kind"], document["supplier"]) == ("unreadable", "ALPINE"))
        scene.also.append("the garbage is kept and listed")


STORY: tuple[Scenario, ...] = (
    Scenario(
        "three_lines",
        "three lines in mixed units for two suppliers",
        three_lines,
        Ending(CLOSED, 2, 2, 2, 2, 2, Decimal("1938.35"), Decimal("1938.35"), credit_notes=1),
    ),
    Scenario(
        "small_order",
        "small order auto-approved at par on contract",
        small_order,
        Ending(CLOSED, 1, 1, 1, 1, 1, Decimal("85.26"), Decimal("85.26"), credit_notes=1),
    ),
    Scenario("refused", "refused by the director", refused, Ending("refused")),
    Scenario(
        "approver_on_leave",
        "approver on leave, substituted",
        approver_on_leave,
        Ending(CLOSED, 1, 1, 1, 1, 1, Decimal("637.98"), Decimal("637.98"), credit_notes=1),
    ),
    Scenario(
        "unknown_item",
        "unknown item corrected by a buyer, then goes through",
        unknown_item,
        Ending(CLOSED, 1, 1, 1, 1, 1, Decimal("205.80"), Decimal("205.80"), credit_notes=1),
    ),
    Scenario("blocked_supplier", "blocked supplier, cancelled", blocked_supplier, Ending("cancelled")),
    Scenario(
        "back_order",
        "back-order, partial shipment and two invoices",
        back_order,
        Ending(CLOSED, 1, 1, 1, 2, 2, Decimal("416.50"), Decimal("416.50"), credit_notes=2),
    ),
    Scenario(
        "price_change",
        "price change accepted",
        price_change,
        Ending(CLOSED, 1, 1, 1, 1, 1, Decimal("123.48"), Decimal("123.48"), credit_notes=1),
    ),
    Scenario("substitution", "substitution refused, line ends", substitution, Ending(CLOSED, 1, 1, 1)),
    Scenario(
        "over_invoice",
        "over-invoice held, then short-paid by decision",
        over_invoice,
        Ending(CLOSED, 1, 1, 1, 1, 1, Decimal("350.00"), Decimal("350.00"), credit_notes=1),
    ),
    Scenario(
        "duplicate_invoice",
        "duplicate invoice refused",
        duplicate_invoice,
        Ending(CLOSED, 1, 1, 1, 1, 1, Decimal("118.09"), Decimal("118.09"), 1, also=("the supplier billed 2 times",)),
    ),
    Scenario(
        "unknown_order",
        "invoice for an unknown order, attached by a person",
        unknown_order,
        Ending(CLOSED, 1, 1, 1, 1, 1, Decimal("48.22"), Decimal("48.22"), credit_notes=1),
    ),
    Scenario(
        "silent_supplier",
        "supplier silent, escalated, re-sent",
        silent_supplier,
        Ending(CLOSED, 1, 1, 2, 1, 1, Decimal("116.13"), Decimal("116.13"), credit_notes=1),
    ),
    Scenario(
        "cancelled_after_receipt",
        "cancelled after receipt: returned",
        cancelled_after_receipt,
        Ending("cancelled", 1, 1, 1, 1, returns=1),
    ),
    Scenario(
        "spoilt_x12",
        "garbage and truncated X12 in the mailbox: TA1 or 997 with the right code, kept, listed",
        spoilt_x12,
        Ending(
            CLOSED,
            *(1, 1, 1, 1, 1, Decimal("91.73"), Decimal("91.73"), 1),
            also=("TA1 R 023 to the cut one", "997 R to the headless one", "the garbage is kept and listed"),
        ),
    ),
    *GATEWAY_SCENES,
    *SURGERY_SCENES,
    *PEOPLE_SCENES,
    *FAULTS,
)
