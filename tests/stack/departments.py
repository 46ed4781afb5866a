"""Departments that send to the MLLP door of a running stack, each with a list of its own, and what the journal has of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import Facility
from canonical.senders import Sender
from formats import hl7
from formats.mllp import wrap
from stack.home import free_port
from stack.supervisor import Stack
from store.authority import HOSPITAL
from store.database import open_engine
from store.register import StoredRegister
from tests.gateway.hl7_house import head
from tests.gateway.mllp_client import Sender as Wire

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
    write: Callable[[str, str], bytes] = admit  # by control number and patient
    acknowledged: set[str] = field(default_factory=set)
    told_again: Counter[str] = field(default_factory=Counter)  # AE and the like
    wrong: list[str] = field(default_factory=list)
    connected: int = 0

    def patient(self, control: str) -> str:
        """Whom a message is about: one of seven."""
        return f"{self.name}{int(control.rpartition('-')[2]) % 7}"

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
                    await wire.send(wrap(self.write(under_way[-1], self.patient(under_way[-1]))))
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
async def second_gateway(stack: Stack, settings: Mapping[str, str] | None = None) -> AsyncIterator[tuple[int, int]]:
    """Another listener of its own on the same journal: its port and its process."""
    port = free_port(set())
    env = {**os.environ, "FASCIA_HOME": str(stack.home.path), "FASCIA_MLLP_PORT": str(port), **(settings or {})}
    log = stack.home.log("mllp-beside").open("wb")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", "mllp", env=env, stderr=log)
    try:
        await until(lambda: _listens(port))
        yield port, process.pid
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        log.close()


async def _listens(port: int) -> bool:
    (await Wire.connect(("127.0.0.1", port))).close()
    return True


def more_than(departments: list[Department], count: int) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        return sum(len(one.acknowledged) for one in departments) > count

    return so


@asynccontextmanager
async def empty_journal(stack: Stack, *senders: Sender) -> AsyncIterator[AsyncEngine]:
    """The database, with these senders known (and the ward) and an empty journal."""
    opened = open_engine(stack.settings.database_url.get_secret_value())
    register = StoredRegister(opened)
    await register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
    await register.load("sender", [WARD, *senders], HOSPITAL)
    async with opened.begin() as connection:
        for table in ("messages", "message_states", "message_keys", "unmatched"):
            await connection.execute(text(f"DELETE FROM {table}"))
    await until(lambda: is_known(stack))
    async with opened.begin() as connection:
        for table in ("messages", "message_states", "message_keys", "unmatched"):
            await connection.execute(text(f"DELETE FROM {table}"))
    yield opened
    await opened.dispose()


async def is_known(stack: Stack) -> bool:
    """Whether every door on the port knows them: the kernel says which of them a connection is for."""
    knocks = [await _is_known(stack) for _ in range(16 if stack.settings.mllp_doors > 1 else 1)]
    return all(knocks)


async def _is_known(stack: Stack) -> bool:
    wire = await Wire.connect(("127.0.0.1", stack.settings.mllp_port))
    try:
        await wire.send(wrap(admit("KNOCK", "0")))
        (answer,) = await wire.answers(1)
        return hl7.read_acknowledgement(answer).accepted
    finally:
        wire.close()


async def until(so: Callable[[], Awaitable[bool]], within: float = 120.0) -> None:
    async with asyncio.timeout(within):
        while True:
            with suppress(OSError, AssertionError):
                if await so():
                    return
            await asyncio.sleep(0.1)


async def counted(engine: AsyncEngine) -> Counter[str]:
    """How often each number is in the journal."""
    async with engine.connect() as connection:
        return Counter(await connection.scalars(text("SELECT control_number FROM messages WHERE direction = 'in'")))


def everything_once(departments: list[Department], found: Counter[str]) -> None:
    sent = {f"{one.name}-{n}" for one in departments for n in range(one.count)}
    acknowledged = {control for one in departments for control in one.acknowledged}
    assert acknowledged == sent
    assert set(found) == sent, "missing or never sent"
    assert set(found.values()) == {1}, "there twice"
    assert [wrong for one in departments for wrong in one.wrong] == []
