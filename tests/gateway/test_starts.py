"""What a door has acknowledged starts: at once, behind those before it, or by the sweep where its process was killed."""

from __future__ import annotations

import asyncio

from canonical.errors import Unavailable
from canonical.messages import NewMessage
from gateway import starts
from gateway.intake import Intake
from gateway.starts import Starts
from tests import build
from tests.gateway.fakes import FakeEngine, NotingJournal
from tests.gateway.rest_house import House, wire


def new() -> NewMessage:
    return NewMessage(door="rest", data=build.requisition().model_dump_json().encode())


class SlowEngine(FakeEngine):
    """Starts cases when it is let, and notes how many at once."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.at_once = self.most = 0

    async def start_requisition(self, case: str, data: bytes, *, trace: str = "") -> str:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self.let.wait()
            return await super().start_requisition(case, data, trace=trace)
        finally:
            self.at_once -= 1


async def settled(house: House, count: int) -> None:
    async with asyncio.timeout(60):
        while [one.state for one in house.messages].count("routed") < count:
            await asyncio.sleep(0)


async def test_a_burst_is_acknowledged_before_its_cases_start_and_all_of_them_start() -> None:
    engine, burst = SlowEngine(), 40
    house = House(engine=engine)
    calls = [asyncio.create_task(house.post(wire(number=f"R-{n}"), f"k-{n}")) for n in range(burst)]
    async with asyncio.timeout(60):
        while sum(call.done() for call in calls) < burst - starts.AT_ONCE:
            await asyncio.sleep(0)
    told = [call.result() for call in calls if call.done()]
    assert {(one.status_code, one.json()["status"]) for one in told} == {(202, "kept")} and engine.started == []
    assert all(one.state == "validated" for one in house.messages), "kept and announced before anybody was told"
    engine.let.set()
    await settled(house, burst)
    begun = [answer.json()["status"] for answer in await asyncio.gather(*calls)]
    assert begun.count("started") == starts.AT_ONCE and engine.most == starts.AT_ONCE
    assert len(engine.started) == len({case for case, _ in engine.started}) == burst


async def test_killed_between_commit_and_start_another_process_starts_it() -> None:
    engine = SlowEngine()
    house = House(engine=engine)
    calls = [asyncio.create_task(house.post(wire(number=f"R-{n}"), f"k-{n}")) for n in range(8)]
    async with asyncio.timeout(60):
        while sum(call.done() for call in calls) < 8 - starts.AT_ONCE:
            await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await house.intake.close()
    assert engine.started == [] and {one.state for one in house.messages} == {"validated"}
    other = FakeEngine()
    sweep = Intake(house.journal, house.cases, other)
    assert all([await sweep.route(message) for message in house.messages])
    assert len(other.started) == 8 and {one.state for one in house.messages} == {"routed"}


async def test_where_temporal_goes_away_what_waits_is_left_to_the_sweep_and_tried_no_more() -> None:
    tried: list[str] = []
    let = asyncio.Event()

    async def start(_: object, case: str) -> bool:
        tried.append(case)
        await let.wait()
        raise Unavailable("Temporal does not answer", system="temporal")

    begun = Starts(start, at_once=1)
    message = (await NotingJournal().keep(new())).message
    first = asyncio.create_task(begun.begin(message, "case-0"))
    await asyncio.sleep(0)
    assert [await begun.begin(message, f"case-{n}") for n in range(1, 10)] == [False] * 9
    let.set()
    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], Unavailable)
    async with asyncio.timeout(60):
        while len(tried) < 2:
            await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert tried == ["case-0", "case-1"]


async def test_more_than_can_wait_is_the_sweeps_and_not_this_processs_memory() -> None:
    let = asyncio.Event()
    started: list[str] = []

    async def start(_: object, case: str) -> bool:
        await let.wait()
        started.append(case)
        return True

    begun = Starts(start, at_once=1)
    message = (await NotingJournal().keep(new())).message
    first = asyncio.create_task(begun.begin(message, "case-0"))
    await asyncio.sleep(0)
    for number in range(1, starts.MOST_WAITING + 50):
        assert not await begun.begin(message, f"case-{number}")
    let.set()
    assert await first
    async with asyncio.timeout(60):
        while len(started) < starts.MOST_WAITING + 1:
            await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert started == [f"case-{number}" for number in range(starts.MOST_WAITING + 1)], "in order"
