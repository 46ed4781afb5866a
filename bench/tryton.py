"""The usual way with nothing played inside: the demonstration's hospital, its real ERP, and suppliers who send files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.cpu import ERPS_STORE
from bench.figures import Measured, Round, Start, Usual
from bench.probing import measured
from bench.stand import WIDE, meter, time_now
from demo.stage import DATABASE, Stage, staged
from demo.story_outside import Outside
from demo.story_play import Play
from demo.story_scene import SURGERY, Ask, Order, Scene

LINES = (
    Ask("ITM-1001", 100, "BX"),
    Ask("ITM-1002", 100, "BX"),
    Ask("ITM-1003", 100, "BX"),
)  # one supplier, one approval


async def measure(folder: Path, *, rounds: int, many: int, say: Callable[[str], None]) -> list[Measured]:
    """So many cases at once in each round, and how long the demonstration took to start, first and again."""
    took: list[float] = []
    found: list[Measured] = []
    store = ""
    for start in ("first", "again"):
        began = time.perf_counter()
        async with staged(folder, say, env=WIDE) as stage:
            took.append(time.perf_counter() - began)
            say(f"the demonstration, {start} start: {took[-1]:.1f} s")
            store = str(stage.stack.home.read("temporal-store.json")["store"])
            if start == "again" and rounds:
                found.append(await _cases(stage, store, rounds=rounds, many=many, say=say))
    for what, seconds in (("empty state folder, ERP cached", took[:1]), ("again", took[1:])):
        found.append(Start(at=time_now(), temporals_store=store, what=f"`make demo`, {what}", seconds=seconds))
    return found


async def _cases(stage: Stage, store: str, *, rounds: int, many: int, say: Callable[[str], None]) -> Usual:
    play = await Play.on(stage, lambda _, __: None)
    outside = Outside(stage.erp, stage.home)
    reads = meter(stage.stack, **{DATABASE: ERPS_STORE})
    found: list[Round] = []
    orders: list[Order] = []

    async def work(number: int) -> list[float]:
        scenes = [Scene(stage, play.doors, outside, f"B{number}-{one}") for one in range(many)]
        return list(await asyncio.gather(*(_usual(scene, orders) for scene in scenes)))

    for number in range(rounds + 1):
        one = await measured(reads, many, partial(work, number))
        say(f"procure to pay, Tryton, round {number}: {one.rate:.2f}/s, {one.platform_ms:.0f} CPU ms each")
        found += [one] if number else []  # the first warms up
    last = orders[-many:]
    events = {
        "requisition": sum([await play.doors.events(order.scene.requisitions[0].name) for order in last]) / many,
        "order": sum([await play.doors.events(order.name) for order in last]) / many,
    }
    return Usual(at=time_now(), temporals_store=store, erp="Tryton 8.2", callers=many, rounds=found, events=events)


async def _usual(scene: Scene, orders: list[Order]) -> float:
    began = time.perf_counter()
    asked = await scene.post(SURGERY, *LINES)
    await asked.approved()
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await asked.until("closed")
    orders.append(order)
    return time.perf_counter() - began
