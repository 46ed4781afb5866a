"""The probe against its bare twin, round by round in turn: how much of the engine's own rate is left with all of ours around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import httpx
from temporalio.client import WorkflowHandle

from bench.cpu import Meter, of_machine
from bench.figures import Probing, Round
from bench.probe import BARE, Bare
from bench.stand import Stand, time_now
from canonical.purchasing import Requisition
from tests import build

SETTLED = 1.0  # seconds after a round in which the servers end what it caused; their time in it is the round's
WARM_UP = 24
Call = Callable[[Requisition], Awaitable[None]]


def requisition(number: str) -> Requisition:
    """Three lines, as the usual order has."""
    lines = (build.line("1"), build.line("2", "ITM-1001", "3 BX"), build.line("3", "ITM-1002", "2 CA"))
    return build.requisition(*lines, number=number)


class Callers:
    """Sends requisitions to one side, some at a time, each caller waiting for the end of the one it sent."""

    def __init__(self, stand: Stand, door: httpx.AsyncClient) -> None:
        self._stand, self._door = stand, door
        self._numbers: Iterator[int] = count(1)
        self._mark = f"{time.time_ns():x}"

    async def bare(self, one: Requisition) -> None:
        """Start the bare workflow through Temporal's client and wait for its result."""
        answer = await self._stand.client.execute_workflow(Bare.run, one, id=f"bare/{one.number}", task_queue=BARE)
        assert answer == one.number

    async def ours(self, one: Requisition) -> None:
        """Post at the REST door as a department's system does, and wait for the case's result."""
        headers = {"Idempotency-Key": one.number}
        answer = await self._door.post("/v1/requisitions", content=one.model_dump_json(), headers=headers)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        case: WorkflowHandle[object, str] = self._stand.client.get_workflow_handle(
            answer.json()["case"], result_type=str
        )
        assert await case.result() == one.number

    async def send(self, call: Call, many: int, callers: int) -> list[float]:
        """``many`` of them by so many callers; the seconds each took."""
        waiting = iter([requisition(f"{self._mark}-{next(self._numbers)}") for _ in range(many)])
        took: list[float] = []

        async def caller() -> None:
            for one in waiting:
                began = time.perf_counter()
                await call(one)
                took.append(time.perf_counter() - began)

        await asyncio.gather(*(caller() for _ in range(callers)))
        return took

    async def round(self, side: str, many: int, callers: int) -> Round:
        """One round of one side, with what it cost whom."""
        call = self.bare if side == "bare" else self.ours
        return await measured(self._stand.meter, many, lambda: self.send(call, many, callers))


async def measured(meter: Meter, many: int, work: Callable[[], Awaitable[list[float]]]) -> Round:
    """Do the work, and read what everybody used for it."""
    machine, before, began = of_machine(), meter.read(), time.perf_counter()
    took = await work()
    wall = time.perf_counter() - began
    await asyncio.sleep(SETTLED)
    after = meter.read()
    whole = time.perf_counter() - began
    ours = sum(after.values()) - sum(before.get(name, 0.0) for name in after)
    others = max(0.0, (of_machine() - machine - ours) / whole)
    return Round.of(many, wall, took, before, after, others)


async def compare(stand: Stand, *, rounds: int, many: int, callers: int, say: Callable[[str], None]) -> Probing:
    """Rounds of both sides in turn, the one that begins changing, so that a busy minute of the machine meets both."""
    found: dict[str, list[Round]] = {"bare": [], "ours": []}
    async with stand.door(callers) as door:
        them = Callers(stand, door)
        await them.send(them.bare, WARM_UP, callers)
        await them.send(them.ours, WARM_UP, callers)
        for number in range(rounds):
            for side in ("bare", "ours") if number % 2 == 0 else ("ours", "bare"):
                one = await them.round(side, many, callers)
                found[side].append(one)
                say(
                    f"{side}, {callers} callers, round {number + 1}: {one.rate:.1f}/s, {one.platform_ms:.1f} CPU ms each"
                )
    return Probing(at=time_now(), temporals_store=stand.temporals_store, callers=callers, **found)
