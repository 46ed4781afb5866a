"""The exhaustive loop: workers killed before and after every step that leaves the house, and at random moments for the others.

What was tried and counted is written to ``docs/proof.md``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from demo.story_outside import Ending
from demo.story_scene import BUYER, PAYER, PHARMACY, SURGERY, Ask, Requisition, Scene
from tests import proof
from tests.journeys.conftest import Hospital
from tests.journeys.line import Hold, Line
from tests.journeys.test_faults_inside import WORKER, under_way
from tests.journeys.test_faults_outside import GOWNS, SYRINGES, to_the_end

pytestmark = [pytest.mark.prove, pytest.mark.timeout(3600)]

LATE = 240.0
RANDOM_KILLS = 30
PENCILS = Ask("ITM-1014", 2, "BX")  # 128.00 at BOREAL, which never bills them
DRAPES = Ask("ITM-1010", 4, "CA")  # 350.00 at BOREAL, which bills 390.00


@dataclass(frozen=True)
class Point:
    """A step that leaves the house: a call to the ERP, or a file (``step`` is its name in the case) to a supplier."""

    call: str
    step: str = ""
    before: bool = False

    def hold(self, hospital: Hospital, supplier: str) -> tuple[Line, Hold]:
        """Hold it on its wire, before or after."""
        if not self.step:
            line = hospital.erp_line
            return line, line.hold(request=self.call, times=1) if self.before else line.hold(answer=self.call, times=1)
        line = hospital.supplier_lines[supplier]
        if self.before:
            return line, line.hold()
        inbound = hospital.stage.home / "partners" / supplier / "inbound"
        known = set(inbound.rglob(f"*{self.call}_*.x12"))
        return line, line.hold(when=lambda: any(path not in known for path in inbound.rglob(f"*{self.call}_*.x12")))


def calls(model: str, *names: str) -> tuple[Point, ...]:
    """Several calls to one of the ERP's models."""
    return tuple(Point(f"{model}.{name}") for name in names)


# Confirmed, a purchase is processed by the ERP itself.
ORDERED = (*calls("model.purchase.purchase", "create", "quote", "confirm"), Point("850", "send_order"))
USUAL = (
    *ORDERED,
    *calls("model.account.invoice", "create", "post"),
    *calls("model.account.invoice", "create", "post"),  # the discount's
    Point("wizard.account.move.line.group.execute"),
    *calls("model.account.payment", "create", "submit", "approve"),
    Point("wizard.account.payment.process.execute"),
    Point("820", "send_remittance"),
)
AMENDED = calls("model.purchase.amendment", "create", "validate_amendment")
TAKEN_BACK = (
    *calls("model.purchase.purchase", "create", "quote", "confirm"),
    *calls("model.stock.shipment.in.return", "assign_try", "do"),
    *AMENDED,
)
CALLED_OFF = (Point("860", "send_change"), *AMENDED)
PAID_AGAIN = (
    *calls("model.account.payment", "create", "submit", "approve"),
    Point("wizard.account.payment.process.execute"),
)
# First the debit memo is cancelled, then its invoice, by the same call: the first must be through before the second comes.
(UNPOSTED,) = calls("model.account.invoice", "cancel")
BILL_TAKEN_BACK = {
    True: (replace(UNPOSTED, before=True), UNPOSTED, replace(UNPOSTED, before=True)),
    False: (UNPOSTED, UNPOSTED),
}


def each(points: Sequence[Point], *, before: bool) -> tuple[Point, ...]:
    """These points, all of them before or all after."""
    return tuple(replace(point, before=before) for point in points)


async def killed(hospital: Hospital, line: Line) -> None:
    """SIGKILL the workers; what is held on this wire is dropped."""
    await hospital.stage.stack.kill(WORKER)
    line.cut()
    await hospital.stage.stack.stop(WORKER)  # so that the supervisor's pause before the next start does not grow


async def at_work(hospital: Hospital) -> None:
    """The workers run again."""
    if hospital.stage.stack.pid(WORKER) is None:
        await hospital.stage.stack.start(WORKER)


async def killed_at(hospital: Hospital, points: Sequence[Point], scene: Scene, supplier: str) -> None:
    """Kill the workers at each of these points of the scene's one order, in the order in which they come."""
    try:
        for point in points:
            line, held = point.hold(hospital, supplier)
            await at_work(hospital)
            if point.step and point.before:
                (order,) = await scene.orders()
                await under_way(hospital, order, point.step, LATE)
            else:
                await asyncio.wait_for(held.caught.wait(), LATE)
            await killed(hospital, line)
    finally:
        await at_work(hospital)


def told(points: Sequence[Point]) -> str:
    """The points in words."""
    (*_, last) = points
    other = {True: "after ", False: "before "}[last.before]
    calls = ", ".join(f"{other if point.before != last.before else ''}{point.call}" for point in points)
    return f"{len(points)} points, {'before' if last.before else 'after'}: {calls}"


async def one_number_each(hospital: Hospital, scene: Scene) -> None:
    """A file put twice is the same interchange: its supplier takes it for one."""
    for order in await scene.orders():
        held = hospital.outside.held(order.number)
        assert held is not None
        assert len(set(held.numbers)) == 1


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_worker_killed_at_every_step_of_the_usual_way_orders_bills_and_pays_once(
    hospital: Hospital, before: bool
) -> None:
    scene, began, points = hospital.scene(), datetime.now(UTC), each(USUAL, before=before)
    killing = asyncio.create_task(killed_at(hospital, points, scene, "ALPINE"))
    await asyncio.sleep(0)  # the first hold is in its place
    asked = await scene.post(PHARMACY, SYRINGES)
    life = asyncio.create_task(to_the_end(asked))
    await killing
    await life
    await hospital.everything_once(scene)
    await one_number_each(hospital, scene)
    ending = await hospital.counts(scene)
    paid = Decimal("85.26")
    assert replace(ending, times=1, remitted=paid) == Ending("", 1, 1, 1, 1, 1, paid, paid, credit_notes=1)
    proof.note("the usual way", told(points), ending.text().lstrip("; "), began)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_worker_killed_at_every_step_of_taking_back_received_goods_returns_them_once(
    hospital: Hospital, before: bool
) -> None:
    scene, began, points = hospital.scene(), datetime.now(UTC), each(TAKEN_BACK, before=before)
    asked = await scene.post(SURGERY, PENCILS)
    (order,) = await asked.ordered()
    await order.shipped()
    await order.receive()
    await order.until("received")
    killing = asyncio.create_task(killed_at(hospital, points, scene, "BOREAL"))
    await asyncio.sleep(0)
    await order.decide(BUYER, "cancel", "the wrong model was asked for")
    await killing
    await order.until("cancelled")
    await asked.until("cancelled")
    await hospital.everything_once(scene)
    ending = await hospital.counts(scene)
    assert ending == Ending("", 1, 1, 1, 1, returns=1)
    proof.note("taken back after the goods came", told(points), ending.text().lstrip("; "), began)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_worker_killed_at_every_step_of_taking_a_posted_invoice_back_leaves_nothing_to_pay(
    hospital: Hospital, before: bool
) -> None:
    scene, began, points = hospital.scene(), datetime.now(UTC), BILL_TAKEN_BACK[before]
    asked = await scene.post(SURGERY, DRAPES)
    (order,) = await asked.ordered()
    await order.shipped()
    await order.receive()
    await order.decide_what_is_asked(PAYER, "pay_short", "the contract says 87.50")
    await order.until("payment to release")
    in_erp = await hospital.counts(scene)
    assert (in_erp.invoices, in_erp.credit_notes) == (1, 1)
    killing = asyncio.create_task(killed_at(hospital, points, scene, "BOREAL"))
    await asyncio.sleep(0)
    await order.decide(BUYER, "cancel", "the theatre is closed")
    await killing
    await order.until("cancelled")
    await asked.until("cancelled")
    await hospital.everything_once(scene)
    ending = await hospital.counts(scene)
    assert ending == Ending("", 1, 1, 1, 1, returns=1)
    proof.note("a posted invoice and its debit memo taken back", told(points), ending.text().lstrip("; "), began)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_worker_killed_at_every_step_of_a_payment_tried_again_pays_once(
    hospital: Hospital, before: bool
) -> None:
    scene, began, points = hospital.scene(), datetime.now(UTC), each(PAID_AGAIN, before=before)
    asked = await scene.post(SURGERY, GOWNS)
    (order,) = await asked.ordered()
    await order.shipped()
    await order.receive()
    await order.until("paid, waiting for bank")
    assert await asyncio.to_thread(hospital.stage.erp.bank_refuses, order.number) == 1
    await order.until("payment blocked")
    killing = asyncio.create_task(killed_at(hospital, points, scene, "BOREAL"))
    await asyncio.sleep(0)
    await order.decide_what_is_asked(PAYER, "retry", "their bank had a holiday")
    await killing
    await order.paid()
    await asked.until("closed")
    await hospital.everything_once(scene)
    ending = await hospital.counts(scene)
    paid = Decimal("276.00")
    assert replace(ending, remitted=paid) == Ending("", 1, 1, 1, 1, 1, paid, paid)
    proof.note("a payment the bank refused, tried again", told(points), ending.text().lstrip("; "), began)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_worker_killed_at_every_step_of_calling_an_order_off_calls_it_off_once(
    hospital: Hospital, before: bool
) -> None:
    scene, began, points = hospital.scene(), datetime.now(UTC), each(CALLED_OFF, before=before)
    asked = await scene.post(SURGERY, Ask("ITM-1009", 1, "BX"))  # the supplier asks about it, and ships nothing yet
    (order,) = await asked.ordered()
    await order.until_offered("refuse")
    killing = asyncio.create_task(killed_at(hospital, points, scene, "BOREAL"))
    await asyncio.sleep(0)
    await order.decide(BUYER, "cancel", "not needed any more")
    await killing
    await order.until("cancelled")
    await asked.until("cancelled")
    await hospital.everything_once(scene)
    held = hospital.outside.held(order.number)
    assert held is not None
    assert held.changes == {"1": "AT"}
    assert held.cancelled
    ending = await hospital.counts(scene)
    assert ending == Ending("", 1, 1, 1)
    proof.note("called off before it shipped", told(points), ending.text().lstrip("; "), began)


async def test_workers_killed_at_random_moments_lose_and_double_nothing(hospital: Hospital) -> None:
    scene, began, chance = hospital.scene(), datetime.now(UTC), random.Random(3)
    stack, lives, asked = hospital.stage.stack, [], list[Requisition]()
    for at in range(RANDOM_KILLS):
        if at % 3 == 0:
            asked.append(await scene.post(*((PHARMACY, SYRINGES) if at % 2 else (SURGERY, GOWNS))))
            lives.append(asyncio.create_task(to_the_end(asked[-1])))
        await asyncio.sleep(chance.uniform(0.2, 6.0))
        await stack.kill(WORKER)
        await stack.stop(WORKER)
        await stack.start(WORKER)
    await asyncio.gather(*lives)
    await hospital.everything_once(scene)
    await one_number_each(hospital, scene)
    ending = await hospital.counts(scene)
    many = len(asked)
    paid = Decimal("361.26") * (many // 2)  # as many to either supplier
    assert replace(ending, times=many, remitted=paid) == Ending(
        "", many, many, many, many, many, paid, paid, credit_notes=many // 2
    )
    proof.note(
        f"{many} orders",
        f"{RANDOM_KILLS} kills at random moments, local steps among them",
        ending.text().lstrip("; "),
        began,
    )
