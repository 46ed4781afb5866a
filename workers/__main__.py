"""The processes we run: ``python -m workers worker`` (cases and steps), ``revocations`` (access taken away at once), ``loops``
(watchers and sweeps), ``api`` (the REST door), ``mllp`` (the door of departments' systems).

Each stops within seconds of SIGTERM or SIGINT, ending what it has begun, and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import structlog

from canonical.errors import FasciaError, Unavailable
from workers import logs, settings, telemetry
from workers.settings import Settings

if TYPE_CHECKING:
    from workers.wiring import Wiring  # heavy: loaded when first needed

BEAT = 5.0  # seconds between two signs of life
# Doors and loops handle thousands of messages a second, none of which leaves a cycle: they are looked through for garbage seldom. Not
# so a worker, whose ended cases are such cycles, each with the modules of its sandbox.
SELDOM = (5_000, 20, 10)
LOADED = 10.0  # seconds after which all is loaded that lasts
Program = Callable[[Settings, asyncio.Event], Awaitable[None]]

log = structlog.get_logger(__name__)


async def says_it_is_alive(name: str, parts: Wiring, stop: asyncio.Event) -> None:
    """Note in our own store every few seconds that this process goes on, until it is told to stop.

    Temporal lets a worker's question stand open for a minute, so it takes a process that is stuck for one that works.
    """
    from workers.loops.pace import forever

    await forever(f"alive {name}", BEAT, lambda: parts.marks.beat(name), stop)


async def worker(given: Settings, stop: asyncio.Event) -> None:
    """Serve the task queues."""
    from workers import access_serving, clock, temporal, wiring
    from workers.failures import Failures

    ended = _EndedByItself(stop)
    async with (
        wiring.wired(given, lazy=False) as parts,
        clock.right(parts.database),
        temporal.serving(
            parts.client,
            given,
            workflows=parts.workflows(),
            steps=parts.steps(),
            interceptors=[Failures(parts.cases.trouble)],
            on_fatal=ended,
        ),
        access_serving.targets_of(parts, on_fatal=ended),
    ):
        log.info("workers serve", address=given.temporal_address, namespace=given.temporal_namespace)
        await _until_told("worker", parts, stop)
        log.info("workers stop")
    ended.told()


async def revocations(given: Settings, stop: asyncio.Event) -> None:
    """Begin revocations and serve their queue, beside everything: no flood of other work, and no worker that died of it, is before
    somebody whose access must end.
    """
    from workers import access_serving, clock, wiring
    from workers.loops.run import revoke

    ended = _EndedByItself(stop)
    async with (
        wiring.wired(given, lazy=False) as parts,
        clock.right(parts.database),
        access_serving.revocations_of(parts, on_fatal=ended),
        asyncio.TaskGroup() as group,
    ):
        log.info("revocations are served", address=given.temporal_address, namespace=given.temporal_namespace)
        group.create_task(revoke(parts, stop))
        await _until_told("revocations", parts, stop)
        log.info("revocations stop")
    ended.told()


async def _until_told(name: str, parts: Wiring, stop: asyncio.Event) -> None:
    """Serve, and show it, until told to stop."""
    alive = asyncio.create_task(says_it_is_alive(name, parts, stop))
    try:
        await stop.wait()
    finally:
        alive.cancel()  # a store that does not answer keeps no worker from stopping


class _EndedByItself:
    """Called when a worker of a process ends without being told to: the whole process stops, and says why."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._problem: BaseException | None = None

    def __call__(self, problem: BaseException) -> None:
        self._problem = self._problem or problem
        self._stop.set()

    def told(self) -> None:
        """Raises:
        Unavailable: one did.
        """
        if self._problem is not None:
            raise Unavailable(f"a worker ended: {type(self._problem).__name__}", system="temporal") from self._problem


async def loops(given: Settings, stop: asyncio.Event) -> None:
    """Watch mailboxes and ERP, sweep what was missed, send what others want to hear."""
    from workers import clock, wiring
    from workers.loops.run import run

    async with wiring.wired(given, lazy=True) as parts, clock.right(parts.database):
        log.info("loops run")
        async with asyncio.TaskGroup() as group:
            group.create_task(says_it_is_alive("loops", parts, stop))
            await run(parts, stop)
        log.info("loops stop")


async def api(given: Settings, stop: asyncio.Event) -> None:
    """Open the REST door."""
    from workers import clock, wiring
    from workers.door import serve

    async with wiring.wired(given, lazy=True) as parts, clock.right(parts.database):
        await serve(parts, stop)


async def mllp(given: Settings, stop: asyncio.Event) -> None:
    """Open the MLLP door."""
    from workers import clock
    from workers.mllp import serve
    from workers.our_store import our_store  # not all that the wiring loads: this door is to be back at once

    async with our_store(given) as database, clock.right(database):
        await serve(given, database, stop)


PROGRAMS: Mapping[str, Program] = {
    "worker": worker,
    "revocations": revocations,
    "loops": loops,
    "api": api,
    "mllp": mllp,
}


def _seldom_collected() -> None:
    """Look for garbage seldom, and never again in what was loaded at the start."""

    def settled() -> None:
        gc.collect()
        gc.freeze()

    gc.set_threshold(*SELDOM)
    asyncio.get_running_loop().call_later(LOADED, settled)


async def _run(program: Program, given: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if program in (loops, api, mllp):
        _seldom_collected()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await program(given, stop)


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 after an orderly stop, 7 where something needed is away, else 1 with what to do."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("program", choices=tuple(PROGRAMS))
    name: str = parser.parse_args(arguments).program
    given = settings.load()
    logs.start(given.log_level, name)
    telemetry.start(given, name)
    try:
        asyncio.run(_run(PROGRAMS[name], given))
    except FasciaError as failed:
        log.error("cannot run", program=name, problem=failed.message, code=failed.code)
        return 7 if isinstance(failed, Unavailable) else 1
    finally:
        telemetry.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
