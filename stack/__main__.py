"""``python -m stack supervise``: hold the local stack of the state folder until told to stop. ``python -m stack prepare``: put what a
first start would build (Temporal's server: minutes) into the cache, so that no start after it waits for that."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from stack.held import News
from stack.home import StackError
from stack.part import Part
from stack.supervisor import Stack, running
from stack.temporal_programs import TemporalPrograms
from workers import settings


async def hold(stack: Stack, ready: Callable[[Stack], None]) -> None:
    """Hold the whole stack until SIGINT, SIGTERM or ``fascia down``; then stop it in order."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stack.stop_asked.set)
    opening = asyncio.create_task(stack.open())
    asked = asyncio.create_task(stack.stop_asked.wait())
    await asyncio.wait({opening, asked}, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)  # it has stopped what it had started
        return
    if opening.exception() is not None:
        asked.cancel()
        opening.result()
    ready(stack)
    await asked
    await stack.close()


async def prepare(env: settings.Settings) -> None:
    """Start a stack of its own once and stop it, where its programs are not in the cache yet."""
    if env.temporal_address or TemporalPrograms(env.cache, _never, _never_told).cached() is not None:
        return
    with tempfile.TemporaryDirectory(prefix="fascia-prepare-") as folder:
        async with running(Path(folder), say=_print):
            pass


async def _never(part: Part, say: Callable[[str], None]) -> None:
    raise AssertionError("looking builds nothing")


def _never_told(text: str) -> None:
    raise AssertionError("looking says nothing")


def _print(news: News) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"{when} {news.text}", flush=True)  # noqa: T201 the supervisor's own log


def main() -> int:
    if sys.argv[1:] not in (["supervise"], ["prepare"]):
        sys.stderr.write("usage: python -m stack supervise | prepare   (people use: fascia up)\n")
        return 2
    try:
        if sys.argv[1] == "prepare":
            asyncio.run(prepare(settings.load()))
        else:
            asyncio.run(hold(Stack(settings.load().home, say=_print), lambda _: None))
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's SDK threads sometimes crash the interpreter while it shuts down; all is done, so leave without that.
    os._exit(code)
