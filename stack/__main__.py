"""``python -m stack supervise``: hold the local stack of the state folder until told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from stack.held import News
from stack.home import StackError
from stack.supervisor import Stack
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


def _print(news: News) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"{when} {news.text}", flush=True)  # noqa: T201 the supervisor's own log


def main() -> int:
    if sys.argv[1:] != ["supervise"]:
        sys.stderr.write("usage: python -m stack supervise   (people use: fascia up)\n")
        return 2
    try:
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
