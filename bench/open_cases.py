"""Cases of people, opened and held: how fast, what one costs in memory and on disk, while nothing comes, and after a new start.

Each person has two: the one of the facility and the one of their access. Memory is what each process holds with its fair share of what
several hold (PSS). The worker remembers so many cases as its settings say; the others are read from their histories when they wake.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable

import psutil  # type: ignore[import-untyped]
from sqlalchemy import text

from bench.clinicians import HERE, Clinic, Say
from bench.cpu import spent
from bench.figures import NOT_OURS, Clinicians
from bench.stand import time_now
from stack import postgres

OURS = ("worker", "revocations", "loops", "api", "temporal", postgres.NAME)
_WAKE = ("UPDATE appointments SET woken_at = now()", "UPDATE people SET woken_at = now()")
_SIZE = text("SELECT pg_database_size(CAST(:name AS text))")


async def measure(clinic: Clinic, *, people: int, minutes: float, idle: float, say: Say) -> Clinicians:
    """Open cases until there are so many people, or until so many minutes are over; then hold, wake and start anew."""
    stand = clinic.stand
    held = (await clinic.headlines(HERE)).get("active", 0)
    await clinic.active(held, say)
    before, spent_before = memory(clinic), stand.meter.read()
    began = time.monotonic()
    await clinic.open(people, say, ends=began + 60 * minutes)
    opened = (await clinic.headlines(HERE)).get("active", 0) - held
    took = time.monotonic() - began
    cpu = spent(spent_before, stand.meter.read(), opened) if opened else {}
    if held + opened < people:
        say(f"cases: {held + opened} of {people} people are open after {took / 60:.1f} minutes: measured with these")
    await asyncio.sleep(5)
    after, idle_before = memory(clinic), stand.meter.read()
    await asyncio.sleep(idle)
    nothing = {part: used / 1000 for part, used in spent(idle_before, stand.meter.read(), 1).items()}
    again = await _all_look(clinic)
    await stand.stack.stop("worker")
    anew = time.monotonic()
    await stand.stack.start("worker")
    started = time.monotonic() - anew
    restarted = started + await _all_look(clinic)
    found = Clinicians(
        at=time_now(),
        temporals_store=stand.temporals_store,
        people=held + opened,
        opened=opened,
        rate=opened / took if opened else 0.0,
        cached=stand.stack.settings.max_cached_workflows,
        cpu=cpu,
        before=before,
        after=after,
        disk={name: await _size(clinic, name) for name in (postgres.OWN_DATABASE, postgres.TEMPORAL_DATABASE)},
        idle={part: used / idle for part, used in nothing.items() if part not in NOT_OURS},
        idle_seconds=idle,
        again=again,
        restarted=restarted,
    )
    say(
        f"cases: {found.people} people, {found.rate:.2f}/s opened, worker {after['worker']:.0f} MiB, "
        f"all looked again in {again:.1f} s, with a new worker in {restarted:.1f} s ({started:.1f} s of it its start)"
    )
    return found


async def _all_look(clinic: Clinic) -> float:
    """Wake every case at once, as a change that concerns everybody does; seconds until each has looked."""
    async with clinic.stand.database.begin() as connection:
        for one in _WAKE:
            await connection.execute(text(one))
    began = time.monotonic()
    left = 1
    while left:
        left = await clinic.stirred()
        await asyncio.sleep(0.2)
    return time.monotonic() - began


def memory(clinic: Clinic) -> dict[str, float]:
    """MiB of each part with all it has started."""
    pids = {name: clinic.stand.stack.pid(name) for name in OURS}
    return {name: _held(psutil.Process(pid)) for name, pid in pids.items() if pid is not None}


def _held(process: psutil.Process) -> float:
    found = 0
    ones: Iterable[psutil.Process] = [process, *process.children(recursive=True)]
    for one in ones:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += one.memory_full_info().pss
    return float(found) / 2**20


async def _size(clinic: Clinic, database: str) -> float:
    async with clinic.stand.database.connect() as connection:
        return int(await connection.scalar(_SIZE, {"name": database}) or 0) / 2**20
