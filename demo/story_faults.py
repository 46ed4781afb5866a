"""The scenes in which something breaks: a worker is killed in the middle, the ERP is away for a minute. Nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from demo.stage import ERP
from demo.story_outside import Ending
from demo.story_scene import LABORATORY, PHARMACY, Ask, Order, Scenario, Scene

TEN = 10
WORKER = "worker"


async def worker_killed(scene: Scene) -> None:
    """The workers die by SIGKILL while an order is being placed; it is placed once all the same."""
    asked = await scene.post(LABORATORY, Ask("ITM-1023", 2, "CA"))
    await asked.until()
    await scene.stage.stack.kill(WORKER)
    scene.told("killed the workers; the supervisor starts them again")
    await scene.stage.stack.ready(WORKER)
    (order,) = await asked.ordered()
    await order.shipped()
    await scene.stage.stack.kill(WORKER)
    await order.receive()
    await order.paid()
    await asked.until("closed")


async def erp_stopped(scene: Scene) -> None:
    """Ten requisitions, and the ERP stops after the first of them: ten orders in the end, no more and no fewer."""
    first = [await scene.post(PHARMACY, Ask("ITM-1017", at + 1, "BX")) for at in range(TEN // 2)]
    await asyncio.gather(*(asked.ordered() for asked in first[:2]))
    await scene.stage.stack.stop(ERP)
    scene.told(f"the ERP is stopped for {scene.erp_away:.0f} s")
    stopped = asyncio.get_running_loop().time()
    try:
        rest = [await scene.post(PHARMACY, Ask("ITM-1017", at + 1, "BX")) for at in range(TEN // 2, TEN)]
        await asyncio.sleep(max(0.0, stopped + scene.erp_away - asyncio.get_running_loop().time()))
    finally:
        await scene.stage.stack.start(ERP)
    scene.told("the ERP runs again")
    orders = [order for asked in (*first, *rest) for order in await asked.ordered()]
    await asyncio.gather(*(_to_the_end(order) for order in orders))
    await asyncio.gather(*(asked.until("closed") for asked in (*first, *rest)))


async def _to_the_end(order: Order) -> None:
    await order.delivered_and_paid()


FAULTS: tuple[Scenario, ...] = (
    Scenario(
        "worker_killed",
        "a worker killed with SIGKILL in the middle",
        worker_killed,
        Ending("closed", 1, 1, 1, 1, 1, Decimal("180.32"), Decimal("180.32"), credit_notes=1),
        alone=True,
    ),
    Scenario(
        "erp_stopped",
        "ERP stopped for a minute in the middle of ten orders, then started: ten orders, no more, no fewer",
        erp_stopped,
        Ending("closed", TEN, TEN, TEN, TEN, TEN, Decimal("517.44"), Decimal("517.44"), credit_notes=TEN),
        alone=True,
    ),
)
