"""Our own programs and servers die in the middle: workers, loops, the door, Temporal, the database. Nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from temporalio.api.enums.v1 import PendingActivityState

from demo.story_outside import Ending
from demo.story_scene import PHARMACY, SURGERY, Order, Scene
from tests.journeys.conftest import Hospital
from tests.journeys.line import Line, free_port
from tests.journeys.test_faults_outside import BOTH_PAID, CREATE, GOWNS, LATE, PAY, SYRINGES, both, to_the_end

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital

WORKER, LOOPS, API, TEMPORAL, DATABASE = "worker", "loops", "api", "temporal", "database"


async def under_way(hospital: Hospital, order: Order, step: str, within: float = LATE) -> None:
    """Wait until a worker is at this step of the order's case."""
    handle = hospital.doors.temporal.get_workflow_handle(order.name)
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    async with asyncio.timeout(within):
        while True:
            told = (await handle.describe()).raw_description
            if any(one.activity_type.name == step and one.state == started for one in told.pending_activities):
                return
            await asyncio.sleep(0.2)


def has_our_file(hospital: Hospital, supplier: str, order: str) -> Callable[[], bool]:
    """Whether an 850 of this order lies in a supplier's mailbox, read or not."""
    inbound = hospital.stage.home / "partners" / supplier / "inbound"
    return lambda: any(order.encode() in path.read_bytes() for path in inbound.rglob("*850_*.x12"))


async def kill_worker(hospital: Hospital, *lines: Line) -> None:
    """SIGKILL the workers; what they had on these wires is dropped."""
    await hospital.stage.stack.kill(WORKER)
    for line in lines:
        line.cut()


async def test_a_worker_killed_before_and_after_it_creates_sends_and_pays_does_each_once(hospital: Hospital) -> None:
    scene, erp = hospital.scene(), hospital.erp_line
    alpine, boreal = hospital.supplier_lines["ALPINE"], hospital.supplier_lines["BOREAL"]

    before, after = erp.hold(request=CREATE, times=1), erp.hold(answer=CREATE, times=1)
    asked = await both(scene)
    await asyncio.wait_for(asyncio.gather(before.caught.wait(), after.caught.wait()), LATE)
    await kill_worker(hospital, erp)

    (first,), (second,) = [await requisition.ordered() for requisition in asked]
    alpine.hold()
    sent = boreal.hold(when=has_our_file(hospital, "BOREAL", second.number))
    await hospital.stage.stack.ready(WORKER)
    await asyncio.wait_for(sent.caught.wait(), LATE)
    await under_way(hospital, first, "send_order")
    await kill_worker(hospital, alpine, boreal)

    paying = erp.hold(first.number, request=PAY)
    paid = erp.hold(second.number, answer=PAY)
    await hospital.stage.stack.ready(WORKER)
    await asyncio.gather(first.shipped(), second.shipped())
    await first.receive()
    await asyncio.wait_for(paying.caught.wait(), LATE)
    await second.receive()
    await asyncio.wait_for(paid.caught.wait(), LATE)
    await under_way(hospital, first, "pay_invoice")
    await kill_worker(hospital, erp)

    await asyncio.gather(first.paid(), second.paid(), *(requisition.until("closed") for requisition in asked))
    await hospital.everything_once(scene)
    ending = await hospital.counts(scene)
    assert replace(ending, times=2) == BOTH_PAID
    for order in (first, second):  # what was perhaps put twice had one number: the supplier takes it for one
        held = hospital.outside.held(order.number)
        assert held is not None
        assert len(set(held.numbers)) == 1


async def test_the_temporal_server_is_killed_in_the_middle_of_cases_and_they_go_on(hospital: Hospital) -> None:
    scene, stack = hospital.scene(), hospital.stage.stack
    asked = [*await both(scene)]
    (first,) = await asked[0].ordered()
    await first.shipped()
    await stack.kill(TEMPORAL)
    posting = asyncio.create_task(scene.post(PHARMACY, SYRINGES))  # the door keeps it, or has it sent again
    await first.receive()
    await stack.ready(TEMPORAL)
    asked.append(await posting)
    await asyncio.gather(first.paid(), *(to_the_end(requisition) for requisition in asked[1:]))
    await asked[0].until("closed")
    await hospital.everything_once(scene)
    assert await hospital.counts(scene) == Ending(
        "", 3, 3, 3, 3, 3, Decimal("446.52"), Decimal("446.52"), credit_notes=2
    )


async def test_our_database_is_killed_in_the_middle_of_cases_and_they_go_on(hospital: Hospital) -> None:
    scene, stack = hospital.scene(), hospital.stage.stack
    asked = [*await both(scene)]
    (first,) = await asked[0].ordered()
    await stack.kill(DATABASE)
    posting = asyncio.create_task(scene.post(PHARMACY, SYRINGES))
    await stack.ready(DATABASE)
    asked.append(await posting)
    await first.shipped()
    await asyncio.gather(*(to_the_end(requisition) for requisition in asked))
    await hospital.everything_once(scene)
    assert await hospital.counts(scene) == Ending(
        "", 3, 3, 3, 3, 3, Decimal("446.52"), Decimal("446.52"), credit_notes=2
    )


async def test_the_door_and_the_loops_killed_in_the_middle_lose_and_double_nothing(hospital: Hospital) -> None:
    stack = hospital.stage.stack
    wire = Line(free_port(), int(hospital.doors.url.rsplit(":", 1)[1]))
    await wire.start()
    try:
        doors = replace(hospital.doors, url=f"http://127.0.0.1:{wire.port}")
        scene = Scene(hospital.stage, doors, hospital.outside, f"{hospital.scene().tag}")
        unheard = wire.hold(answer="POST /v1/requisitions", times=1)
        posting = [asyncio.create_task(scene.post(PHARMACY, SYRINGES))]
        await asyncio.wait_for(unheard.caught.wait(), LATE)  # kept and started, but the department does not hear it
        posting.append(asyncio.create_task(scene.post(SURGERY, GOWNS)))
        await asyncio.sleep(0.02)
        await asyncio.gather(stack.kill(API), stack.kill(LOOPS))
        wire.cut()
        asked = await asyncio.gather(*posting)  # each is sent again under its own Idempotency-Key
        orders = [order for requisition in asked for order in await requisition.ordered()]
        await asyncio.gather(*(order.shipped() for order in orders))
        await stack.ready(LOOPS)
        await stack.kill(LOOPS)  # while receipts, answers and invoices are on their way
        await asyncio.gather(*(to_the_end(requisition) for requisition in asked))
        await hospital.everything_once(scene)
        assert await hospital.counts(scene) == BOTH_PAID
    finally:
        await wire.stop()
