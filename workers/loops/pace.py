"""How every loop beside the workers runs: again and again, a little irregularly, through every outage, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.errors import FasciaError
from store.database import transaction
from workers import telemetry

LONGEST_PAUSE = 10.0  # what was away should not be waited for long after it is back
JITTER = 0.2
SILENT = 60.0  # seconds without a word, after which our database gives a process's turn to others

Turn = Callable[[str], AbstractAsyncContextManager[bool]]

log = structlog.get_logger(__name__)


def turns(engine: AsyncEngine, silent: float = SILENT) -> Turn:
    """Whose turn it is, by a lock in our own database: of two processes that run one loop, one works and one waits.

    The lock ends with its connection, so a killed process keeps nobody waiting; and when its process has said nothing for ``silent``
    seconds, so one that stands still, or whose machine is gone without a word, keeps nobody waiting for long.
    """
    asked = text(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0)), "
        "set_config('idle_in_transaction_session_timeout', :silent, true)"
    )

    @asynccontextmanager
    async def turn(name: str) -> AsyncIterator[bool]:
        async with transaction(engine) as connection:
            given = {"name": f"fascia/{name}", "silent": str(round(silent * 1000))}
            if not await connection.scalar(asked, given):
                yield False
                return
            over = asyncio.Event()
            saying = asyncio.create_task(_say_we_are_there(connection, over, silent / 6))
            try:
                yield True
            finally:
                over.set()  # not cancelled: a statement cut off would take the connection with it
                await asyncio.gather(saying, return_exceptions=True)  # it is gone: the end of the transaction says so

    return turn


async def _say_we_are_there(connection: AsyncConnection, over: asyncio.Event, every: float) -> None:
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), every)
            return
        await connection.execute(text("SELECT 1"))


@asynccontextmanager
async def always(_: str) -> AsyncIterator[bool]:
    """It is always our turn: for loops that may run several times at once."""
    yield True


async def forever(
    name: str, every: float, once: Callable[[], Awaitable[None]], stop: asyncio.Event, turn: Turn = always
) -> None:
    """Do it about every so many seconds until told to stop. A failure is logged and the next round tries again."""
    failures = 0
    while not stop.is_set():
        with telemetry.span(f"loop {name}"):
            failures = await _round(name, once, turn, failures)
        pause = min(every * 2 ** min(failures, 6), max(every, LONGEST_PAUSE))
        pause *= 1 + random.uniform(-JITTER, JITTER)  # noqa: S311 (spread in time, not a secret)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def _round(name: str, once: Callable[[], Awaitable[None]], turn: Turn, failures: int) -> int:
    """One round; gives how many have failed in a row."""
    try:
        async with turn(name) as mine:
            if mine:
                await once()
    except FasciaError as away:
        failures += 1
        if failures in (1, 5) or failures % 50 == 0:
            log.warning("loop waits", loop=name, failures=failures, problem=away.message, system=away.system)
        return failures
    except Exception:
        log.exception("loop failed", loop=name, failures=failures + 1)
        return failures + 1
    if failures:
        log.info("loop goes on", loop=name, after_failures=failures)
    return 0
