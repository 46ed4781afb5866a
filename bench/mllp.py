"""The MLLP door with reading and routing switched on: at a steady rate for long, and as fast as it goes beside other listeners."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench import listeners, sending
from bench.cpu import of_process, spent
from bench.figures import Against, Paced, Volley
from bench.own_postgres import free_port
from bench.stand import Stand, time_now
from canonical.senders import Sender
from cli.synthetic.hospital import tag_of
from stack.order import MLLP, program_of
from store.authority import HOSPITAL
from store.register import StoredRegister
from tests import build

EVERY = 5.0  # seconds between looks at memory
COUNTED_EVERY = 6  # looks; one at the backlog
CALIBRATE = 3000  # messages
SIDES = ("ours", "synced", "library")
_WAIT = "FROM messages WHERE direction = 'in' AND state IN ('received', 'validated') AND stream <> ''"
WAITING, ANY_WAITS = text(f"SELECT count(*) {_WAIT}"), text(f"SELECT EXISTS (SELECT {_WAIT})")
KEPT = text(
    "SELECT control_number, hash FROM messages WHERE door = 'mllp' AND sender = 'HOSPITAL' AND control_number LIKE :of"
)


async def let_in(stand: Stand) -> None:
    """The one sender that all traffic is of."""
    row = Sender(code="HOSPITAL", facility=build.FACILITY, addresses=("127.0.0.1/32",), owner="bench", contact="bench")
    report = await StoredRegister(stand.database).load("sender", [row], HOSPITAL, build.FACILITY)
    assert not report.refused, report.refused
    await asyncio.sleep(6)  # the door looks into the register every five seconds


async def waiting(database: AsyncEngine) -> int:
    """How many messages are kept and not yet routed."""
    async with database.connect() as connection:
        return int(await connection.scalar(WAITING) or 0)


async def _any_waits(database: AsyncEngine) -> bool:
    async with database.connect() as connection:
        return bool(await connection.scalar(ANY_WAITS))


async def until_empty(database: AsyncEngine, at_most: float = 3600) -> float:
    """Seconds until nothing waits to be routed."""
    began = time.monotonic()
    while await _any_waits(database):
        if time.monotonic() - began > at_most:
            raise RuntimeError("the backlog does not get empty")
        await asyncio.sleep(0.25)
    return time.monotonic() - began


def doors(stand: Stand) -> list[str]:
    """The MLLP doors, by the names of their parts: all of them on one port."""
    return [name for name in stand.stack.parts if program_of(name) == MLLP]


@dataclass
class _Watch:
    """Looks at the door's memory and the backlog while a measurement runs."""

    stand: Stand
    memory: list[float]
    behind: list[int]

    async def run(self) -> None:
        pids = [pid for name in doors(self.stand) if (pid := self.stand.stack.pid(name)) is not None]
        assert pids
        for look in count():
            self.memory.append(sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20)
            if look % COUNTED_EVERY == 0:  # counting is work for the database
                self.behind.append(await waiting(self.stand.database))
            await asyncio.sleep(EVERY)


async def paced(stand: Stand, folder: Path, *, rate: float, seconds: float, say: Callable[[str], None]) -> Paced:
    """At a steady rate for so long: what was answered when, what was behind, what the door needed."""
    many, ledger, seed = round(rate * seconds), folder / "ledger.csv", f"paced-{time_now()}"
    watch = _Watch(stand, [], [])
    looking = asyncio.create_task(watch.run())
    before, began = stand.meter.read(), time.monotonic()
    sent = await sending.send(_port(stand), many, seed=seed, rate=rate, ledger=ledger)
    ended = time.monotonic()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    left = await waiting(stand.database)
    after_sending = stand.meter.read()
    empty_after = await until_empty(stand.database)
    routed = many / (time.monotonic() - began) if empty_after > 1 else (many - left) / (ended - began)
    summary = sent.summary
    say(
        f"paced: {summary.rate:.0f}/s acknowledged, p99 {summary.p99_ms} ms, {left} behind, empty after {empty_after:.1f} s"
    )
    missing, doubled, strange = await _counted(stand.database, ledger, seed)
    return Paced(
        at=time_now(),
        temporals_store=stand.temporals_store,
        asked=rate,
        seconds=ended - began,
        summary=summary,
        sender_cpu=sent.cpu / (ended - began),
        cpu={name: value / 1000 for name, value in spent(before, after_sending, 1).items() if name != "driver"},
        behind=left,
        most_behind=max(watch.behind, default=0),
        empty_after=empty_after,
        routed_a_second=routed,
        memory=watch.memory,
        missing=missing,
        doubled=doubled,
        strange=strange,
    )


async def _counted(database: AsyncEngine, ledger: Path, seed: str) -> tuple[int, int, int]:
    """Against the sender's own list: acknowledged and not there, there twice, there with other bytes."""
    told = sending.acknowledged(ledger)
    seen: set[str] = set()
    doubled = strange = 0
    async with database.connect() as connection:
        async for control, digest in await connection.stream(KEPT, {"of": f"{tag_of(seed)}%"}):
            doubled += control in seen
            seen.add(control)
            strange += control in told and told[control] != digest
    return len(told.keys() - seen), doubled, strange


async def against(
    stand: Stand, folder: Path, cache: Path, *, rounds: int, seconds: float, say: Callable[[str], None]
) -> Against:
    """As fast as it goes: ours, a listener with one fdatasync per message and a library's, in turn and by the same sender."""
    found: dict[str, list[Volley]] = {side: [] for side in SIDES}
    library = await asyncio.to_thread(listeners.library_folder, cache)
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            async with _listening(side, stand, folder, library) as (port, pid):
                first = await sending.send(port, CALIBRATE, seed=f"warm-{side}-{time_now()}-{number}")
                many = max(CALIBRATE, round(first.summary.rate * seconds))
                behind = await waiting(stand.database) if side == "ours" else 0
                began, used = time.monotonic(), _used(stand, side, pid)
                sent = await sending.send(port, many, seed=f"{side}-{time_now()}-{number}")
                took, spent_by = time.monotonic() - began, _used(stand, side, pid) - used
                left = await waiting(stand.database) if side == "ours" else 0
            if sent.summary.answers != {"AA": many}:
                raise RuntimeError(f"{side} did not acknowledge all: {sent.summary}")
            routed = (many + behind - left) / took if side == "ours" else 0.0
            volley = Volley(
                rate=sent.summary.rate, p50_ms=sent.summary.p50_ms, p99_ms=sent.summary.p99_ms,
                sender_us=sent.cpu / many * 1e6, listener_us=spent_by / many * 1e6, routed_a_second=routed, behind=left,
            )  # fmt: skip
            found[side].append(volley)
            say(f"round {number + 1}, {side}: {volley.rate:.0f}/s, p99 {volley.p99_ms} ms, {left} behind")
            if side == "ours":
                await until_empty(stand.database)
    return Against(at=time_now(), temporals_store=stand.temporals_store, connections=sending.CONNECTIONS, **found)


def _port(stand: Stand) -> int:
    return int(stand.stack.addresses["FASCIA_MLLP_PORT"])


def _used(stand: Stand, side: str, pid: int) -> float:
    """Seconds of processor time of who keeps and answers; of ours with the router and our part of the database."""
    if side != "ours":
        return of_process(pid)
    counted = (*doors(stand), "loops", "database: our store")
    return sum(value for name, value in stand.meter.read().items() if name in counted)


@contextlib.asynccontextmanager
async def _listening(side: str, stand: Stand, folder: Path, library: Path) -> AsyncIterator[tuple[int, int]]:
    """One of the listeners: its port and process."""
    if side == "ours":
        yield _port(stand), stand.stack.pid("mllp") or 0
        return
    port = free_port()
    paths = f"{library}:{Path(__file__).parents[1]}"
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".kept") as file:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.listeners", side, str(port), file.name),
            env={"PYTHONPATH": paths},
            cwd=Path(__file__).parents[1],
        )
        try:
            yield port, program.pid
        finally:
            program.kill()
            await program.wait()
