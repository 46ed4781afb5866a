"""What the MLLP door needs is full, hangs or stops: senders wait or are told, nothing is lost or doubled, and it goes on by itself."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from formats import hl7
from formats.mllp import wrap
from gateway.directory import Directory
from gateway.intake import Intake
from gateway.routing import Routing
from stack.supervisor import Stack, running
from store.database import open_engine
from store.journal import StoredJournal
from store.register import StoredRegister
from store.shards import StoredShards
from tests.fakes.store import FakeCases
from tests.gateway.fakes import FakeEngine
from tests.gateway.mllp_client import Sender as Wire
from tests.stack.departments import (
    Department,
    admit,
    counted,
    empty_journal,
    everything_once,
    more_than,
    second_gateway,
    until,
)
from tests.stack.full_disk import full_disk
from workers.loops.router import Routers

pytestmark = pytest.mark.server
MB = 2**20
LARGEST_FILE = 17 * MB  # a file of PostgreSQL's own log has 16


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    env = {"FASCIA_MLLP_PATIENCE": "1.5"}
    async with running(tmp_path_factory.mktemp("mllp"), ("database", "mllp"), env=env) as started:
        yield started
        assert started.status()["parts"]["mllp"]["restarts"] == 0, "the door has died in between"


@pytest.fixture
async def engine(stack: Stack) -> AsyncIterator[AsyncEngine]:
    async with empty_journal(stack) as opened:
        yield opened


def family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def limit_files(pid: int, most: int) -> None:
    """No file of these processes may grow beyond that; those they start have the same bound."""
    for one in family(pid):
        with suppress(ProcessLookupError, FileNotFoundError), owner_of(one):
            _, hard = resource.prlimit(one, resource.RLIMIT_FSIZE)
            resource.prlimit(one, resource.RLIMIT_FSIZE, (hard if most == resource.RLIM_INFINITY else most, hard))


@contextmanager
def owner_of(pid: int) -> Iterator[None]:
    """Only a process's own user sets its limits; root, as which a container runs us, may lack the right, and becomes that one."""
    found = Path(f"/proc/{pid}").stat()
    before = os.getresuid(), os.getresgid()
    if found.st_uid == before[0][0]:
        yield
        return
    os.setresgid(found.st_gid, *before[1][1:])
    os.setresuid(found.st_uid, *before[0][1:])
    try:
        yield
    finally:
        os.setresuid(*before[0])
        os.setresgid(*before[1])


@contextmanager
def hanging(pid: int) -> Iterator[None]:
    """The database does not answer and does not go away."""
    stopped = family(pid)
    for one in stopped:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in stopped:
            os.kill(one, signal.SIGCONT)


def half_a_megabyte(control: str, patient: str) -> bytes:
    """A message that no compression makes much smaller."""
    noise = base64.b64encode(random.Random(control).randbytes(384 * 1024))
    return admit(control, patient) + b"ZZZ|1|" + noise + b"\r"


async def test_while_no_file_may_grow_senders_are_told_and_all_is_taken_when_there_is_room_again(
    stack: Stack, engine: AsyncEngine
) -> None:
    database = stack.pid("database")
    assert database is not None
    departments = [Department(f"F{n}", 30, (stack.settings.mllp_port,), half_a_megabyte) for n in range(2)]
    limit_files(database, LARGEST_FILE)
    try:
        async with asyncio.timeout(400), asyncio.TaskGroup() as group:
            for one in departments:
                group.create_task(one.send_all())
            await until(lambda: told(departments))
            acknowledged = sum(len(one.acknowledged) for one in departments)
            assert acknowledged < 60, "it was never full"
            limit_files(database, resource.RLIM_INFINITY)
    finally:
        limit_files(database, resource.RLIM_INFINITY)
    everything_once(departments, await counted(engine))


def times_told(departments: list[Department]) -> int:
    return sum(one.told_again["AE"] for one in departments)


async def told(departments: list[Department], before: int = 0) -> bool:
    return times_told(departments) > before + 3


async def test_while_the_database_answers_that_its_disk_is_full_senders_are_told_and_nothing_is_lost(
    stack: Stack, engine: AsyncEngine
) -> None:
    url = urlsplit(stack.database_url())
    assert url.hostname and url.port
    async with full_disk(url.hostname, url.port) as disk:
        settings = {
            "FASCIA_DATABASE_URL": url._replace(netloc=url.netloc.replace(f":{url.port}", f":{disk.port}")).geturl(),
            "FASCIA_MLLP_PATIENCE": "0.5",
        }
        async with second_gateway(stack, settings) as (port, _):
            departments = [Department(f"Q{n}", 150, (port,)) for n in range(4)]

            async def fill() -> None:
                await until(more_than(departments, 100))
                disk.full, before = True, times_told(departments)
                await until(lambda: told(departments, before))
                disk.full = False

            async with asyncio.timeout(400), asyncio.TaskGroup() as group:
                group.create_task(fill())
                for one in departments:
                    group.create_task(one.send_all())
        assert disk.refused > 0
    everything_once(departments, await counted(engine))


async def test_a_database_that_hangs_fills_no_memory_and_everything_is_taken_in_order_when_it_goes_on(
    stack: Stack, engine: AsyncEngine
) -> None:
    database = stack.pid("database")
    assert database is not None
    settings = {
        "FASCIA_MLLP_PATIENCE": "60",
        "FASCIA_MLLP_FRAME_BYTES": "65536",
        "FASCIA_MLLP_HELD_BYTES": "524288",
        "FASCIA_MLLP_IN_WORK_PER_CONNECTION": "50",
    }
    async with second_gateway(stack, settings) as (port, door):
        wire = await Wire.connect(("127.0.0.1", port))
        await wire.send(wrap(admit("K-0", "1")))
        await wire.answers(1)
        note = b"ZZZ|1|" + b"words of a note " * 2500 + b"\r"
        numbers = [f"J-{number}" for number in range(1000)]
        before = memory(door)
        with hanging(database):
            sending = asyncio.create_task(wire.send(*(wrap(admit(number, "1") + note) for number in numbers)))
            await asyncio.sleep(3.0)
            assert not sending.done(), "what nobody can keep was taken from its sender all the same"
            assert memory(door) - before < 24 * MB, "40 MB wait: they must not wait with us"
        answers: list[str] = []
        while len(answers) < len(numbers):
            said = hl7.read_acknowledgement((await wire.answers(1))[0])
            assert said.code == "AA"
            answers.append(said.control)
        await sending
        wire.close()
    assert answers == numbers
    found = await counted(engine)
    assert [found[number] for number in numbers] == [1] * len(numbers)


def memory(pid: int) -> int:
    """Bytes a process holds in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


async def test_while_routers_stand_still_the_door_takes_on_and_they_go_on_in_order(
    stack: Stack, engine: AsyncEngine
) -> None:
    journal, register = StoredJournal(engine), StoredRegister(engine)
    locks = open_engine(stack.settings.database_url.get_secret_value())
    routed: list[tuple[str, str]] = []

    class Noting(Routing):
        async def route(self, message):  # type: ignore[no-untyped-def]
            move = await super().route(message)
            routed.append((message.stream, message.id))
            return move

    @asynccontextmanager
    async def routing() -> AsyncIterator[None]:
        async def route() -> None:
            shards = StoredShards(locks)
            intake = Intake(journal, FakeCases(), FakeEngine())
            routers = Routers(shards, journal, Noting(journal, intake, Directory(register), {}))
            try:
                while True:
                    await routers.once()
                    await asyncio.sleep(0.05)
            finally:
                await shards.release()

        task = asyncio.create_task(route())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def waiting() -> int:
        async with engine.connect() as connection:
            return int(await connection.scalar(text("SELECT count(*) FROM messages WHERE state = 'received'")) or 0)

    async def none_waits() -> bool:
        return not await waiting()

    first = [Department(f"X{n}", 100, (stack.settings.mllp_port,)) for n in range(3)]
    later = [Department(f"Y{n}", 200, (stack.settings.mllp_port,)) for n in range(3)]
    async with asyncio.timeout(400):
        async with routing():
            await asyncio.gather(*(one.send_all() for one in first))
        stood_at = len(routed)
        await asyncio.gather(*(one.send_all() for one in later))  # nobody reads, and everybody is acknowledged
        assert len(routed) == stood_at and await waiting() >= 600
        async with routing():
            await until(none_waits)
    await locks.dispose()
    everything_once([*first, *later], await counted(engine))
    streams: dict[str, list[str]] = {}
    for stream, message in routed:
        streams.setdefault(stream, []).append(message)
    assert len({message for mine in streams.values() for message in mine}) == 900
    for mine in streams.values():  # what was cut short is routed again, and nothing has gone past it
        firsts = list(dict.fromkeys(mine))
        assert firsts == sorted(firsts)
