"""The MLLP door as a program on a real database: nothing acknowledged is missing, nothing is there twice, whatever dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import Facility
from canonical.senders import Sender
from formats import hl7
from formats.mllp import wrap
from gateway.directory import Directory
from gateway.intake import Intake
from gateway.routing import Routing
from stack.home import free_port
from stack.supervisor import Stack, running
from store.authority import HOSPITAL
from store.database import open_engine
from store.journal import StoredJournal
from store.register import StoredRegister
from store.shards import StoredShards
from tests.fakes.store import FakeCases
from tests.gateway.fakes import FakeEngine
from tests.gateway.hl7_house import head
from tests.gateway.mllp_client import Sender as Wire
from workers.loops.router import Routers

pytestmark = pytest.mark.server
AT_ONCE = 20  # messages a sender has under way
WARD = Sender(code="WARD", facility="NGH", addresses=("127.0.0.1",), applications=("WARDSYS",), kinds=("ADT^*",))


def admit(control: str, patient: str) -> bytes:
    """A kind nothing reads: it is kept, checked, acknowledged and routed."""
    segments = (head(control, "ADT^A08"), "EVN||20261102", f"PID|1||{patient}^^^NGH^MR||TEST^A", "PV1|1|I")
    return "".join(f"{one}\r" for one in segments).encode()


@dataclass
class Department:
    """A sender with a list of its own: it sends on after each answer, and again what was not answered AA."""

    name: str
    count: int
    ports: tuple[int, ...]
    acknowledged: set[str] = field(default_factory=set)
    told_again: Counter[str] = field(default_factory=Counter)  # AE and the like
    wrong: list[str] = field(default_factory=list)
    connected: int = 0

    async def send_all(self) -> None:
        todo = deque(f"{self.name}-{n}" for n in range(self.count))
        while todo:
            try:
                wire = await Wire.connect(("127.0.0.1", self.ports[self.connected % len(self.ports)]))
            except OSError:
                self.connected += 1
                await asyncio.sleep(0.05)
                continue
            self.connected += 1
            try:
                await self._talk(wire, todo)
            except (OSError, AssertionError, TimeoutError):
                await asyncio.sleep(0.02)  # whatever was not answered is still in the list
            finally:
                wire.close()

    async def _talk(self, wire: Wire, todo: deque[str]) -> None:
        under_way: deque[str] = deque()
        try:
            while todo or under_way:
                while todo and len(under_way) < AT_ONCE:
                    under_way.append(todo.popleft())
                    await wire.send(wrap(admit(under_way[-1], f"{self.name}{hash(under_way[-1]) % 7}")))
                (answer,) = await wire.answers(1)
                said = hl7.read_acknowledgement(answer)
                if said.control != under_way[0]:
                    self.wrong.append(f"{said.control} for {under_way[0]}")
                under_way.popleft()
                if said.code == "AA":
                    self.acknowledged.add(said.control)
                else:
                    self.told_again[said.code] += 1
                    todo.append(said.control)
        finally:
            todo.extendleft(reversed(under_way))


@asynccontextmanager
async def second_gateway(stack: Stack) -> AsyncIterator[int]:
    """Another listener of its own on the same journal."""
    port = free_port(set())
    env = {**os.environ, "FASCIA_HOME": str(stack.home.path), "FASCIA_MLLP_PORT": str(port)}
    log = stack.home.log("mllp-2").open("wb")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", "mllp", env=env, stderr=log)
    try:
        yield port
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        log.close()


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    env = {"FASCIA_MLLP_PATIENCE": "1.5"}
    async with running(tmp_path_factory.mktemp("mllp"), ("database", "mllp"), env=env) as started:
        yield started


@pytest.fixture
async def engine(stack: Stack) -> AsyncIterator[AsyncEngine]:
    """The database, with one sender known and an empty journal."""
    opened = open_engine(stack.settings.database_url.get_secret_value())
    register = StoredRegister(opened)
    await register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
    await register.load("sender", [WARD], HOSPITAL)
    async with opened.begin() as connection:
        for table in ("messages", "message_states", "message_keys", "unmatched"):
            await connection.execute(text(f"DELETE FROM {table}"))
    await _until(lambda: _is_known(stack))
    async with opened.begin() as connection:
        for table in ("messages", "message_states", "message_keys", "unmatched"):
            await connection.execute(text(f"DELETE FROM {table}"))
    yield opened
    await opened.dispose()


async def _is_known(stack: Stack) -> bool:
    wire = await Wire.connect(("127.0.0.1", stack.settings.mllp_port))
    try:
        await wire.send(wrap(admit("KNOCK", "0")))
        (answer,) = await wire.answers(1)
        return hl7.read_acknowledgement(answer).accepted
    finally:
        wire.close()


async def _until(so: Callable[[], Awaitable[bool]], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while True:
            with suppress(OSError, AssertionError):
                if await so():
                    return
            await asyncio.sleep(0.1)


async def _counted(engine: AsyncEngine) -> Counter[str]:
    """How often each number is in the journal."""
    async with engine.connect() as connection:
        return Counter(await connection.scalars(text("SELECT control_number FROM messages WHERE direction = 'in'")))


def _everything_once(departments: list[Department], found: Counter[str]) -> None:
    sent = {f"{one.name}-{n}" for one in departments for n in range(one.count)}
    acknowledged = {control for one in departments for control in one.acknowledged}
    assert acknowledged == sent
    assert set(found) == sent, "missing or never sent"
    assert set(found.values()) == {1}, "there twice"
    assert [wrong for one in departments for wrong in one.wrong] == []


async def test_a_door_killed_under_load_loses_nothing_it_acknowledged_and_doubles_nothing(
    stack: Stack, engine: AsyncEngine
) -> None:
    async with second_gateway(stack) as port:
        ports = (stack.settings.mllp_port, port)
        departments = [Department(f"D{n}", 400, ports[n % 2 :] + ports[: n % 2]) for n in range(6)]

        async def kill() -> None:
            for acknowledged in (300, 900, 1500):
                await _until(_more_than(departments, acknowledged))
                await stack.ready("mllp")
                await stack.kill("mllp")

        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            killing = group.create_task(kill())
            for one in departments:
                group.create_task(one.send_all())
        assert killing.done()
    assert max(one.connected for one in departments) >= 3, "nobody's connection was lost"
    _everything_once(departments, await _counted(engine))


def _more_than(departments: list[Department], count: int) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        return sum(len(one.acknowledged) for one in departments) > count

    return so


async def test_while_the_database_is_away_senders_wait_or_are_told_and_nothing_is_lost(
    stack: Stack, engine: AsyncEngine
) -> None:
    departments = [Department(f"A{n}", 200, (stack.settings.mllp_port,)) for n in range(4)]

    async def outage() -> None:
        await _until(_more_than(departments, 50))
        await engine.dispose()
        await stack.stop("database")
        await asyncio.sleep(4.0)
        await stack.start("database")

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(outage())
        for one in departments:
            group.create_task(one.send_all())
    assert sum(one.told_again["AE"] for one in departments) > 0, "nobody had to wait longer than patience lasts"
    _everything_once(departments, await _counted(engine))


async def test_two_routers_side_by_side_route_everything_once_and_in_order(stack: Stack, engine: AsyncEngine) -> None:
    departments = [Department(f"R{n}", 150, (stack.settings.mllp_port,)) for n in range(4)]
    journal, register = StoredJournal(engine), StoredRegister(engine)
    locks = open_engine(stack.settings.database_url.get_secret_value())
    routed: list[tuple[str, str]] = []

    class Noting(Routing):
        async def route(self, message):  # type: ignore[no-untyped-def]
            move = await super().route(message)
            routed.append((message.stream, message.id))
            return move

    async def route(stop: asyncio.Event) -> None:
        shards = StoredShards(locks)
        intake = Intake(journal, FakeCases(), FakeEngine())
        routers = Routers(shards, journal, Noting(journal, intake, Directory(register), {}))
        while not stop.is_set():
            await routers.once()
            await asyncio.sleep(0.05)
        await shards.release()

    async def left() -> bool:
        async with engine.connect() as connection:
            return not await connection.scalar(text("SELECT count(*) FROM messages WHERE state <> 'routed'"))

    stop = asyncio.Event()
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        routers = [group.create_task(route(stop)) for _ in range(2)]
        await asyncio.gather(*(one.send_all() for one in departments))
        await _until(left)
        stop.set()
        await asyncio.gather(*routers)
    await locks.dispose()
    async with engine.connect() as connection:
        times = await connection.scalars(
            text("SELECT count(*) FROM message_states WHERE state = 'routed' GROUP BY message")
        )
    assert list(times) == [1] * 600
    streams: dict[str, list[str]] = {}
    for stream, message in routed:
        streams.setdefault(stream, []).append(message)
    assert len(routed) == 600 and len(streams) > 4
    assert all(mine == sorted(mine) for mine in streams.values())


async def test_a_door_told_to_stop_answers_what_it_has_and_ends(stack: Stack, engine: AsyncEngine) -> None:
    async with second_gateway(stack) as port:
        one = Department("S", 40, (port,))
        await one.send_all()
    assert len(one.acknowledged) == 40


async def test_the_port_is_the_same_after_a_new_start(tmp_path: Path) -> None:
    ports = []
    for _ in range(2):
        async with running(tmp_path / "home", ("database", "mllp")) as started:
            ports.append(started.settings.mllp_port)
            assert started.status()["parts"]["mllp"]["address"] == f"mllp://127.0.0.1:{ports[0]}"
    assert ports[0] == ports[1]
