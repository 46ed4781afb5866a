"""Starts the cases of what a door has kept: a few at once while their senders wait, the others in order once these were answered.

Temporal starts cases more slowly than our journal keeps messages. A burst waits here and not in its senders' sockets; what is too
much to wait here, and what waited in a process that was killed, the routing sweep starts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from canonical.errors import Throttled, Unavailable
from canonical.messages import Kept

AT_ONCE: Final = 4
MOST_WAITING, MOST_BYTES = 200, 8 * 2**20  # some seconds of Temporal's work; then the sweep takes what is older

log = structlog.get_logger(__name__)


class Starts:
    """``start`` starts one case, and says whether it has begun; it raises Unavailable or Throttled where Temporal is away."""

    def __init__(self, start: Callable[[Kept, str], Awaitable[bool]], *, at_once: int = AT_ONCE) -> None:
        self._start = start
        self._at_once = at_once
        self._busy = 0
        self._waiting: deque[tuple[Kept, str]] = deque()
        self._size = 0
        self._work: set[asyncio.Task[None]] = set()

    async def begin(self, message: Kept, case: str) -> bool:
        """Start a case now, True where it began; where too many are being started it waits, and begins later.

        Raises:
            Unavailable, Throttled: it could not be started: the sweep will.
        """
        if self._busy >= self._at_once:
            if len(self._waiting) < MOST_WAITING and self._size < MOST_BYTES:
                self._waiting.append((message, case))
                self._size += len(message.data)
            return False
        self._busy += 1
        try:
            began = await self._start(message, case)
        finally:
            self._busy -= 1
            self._go_on()
        return began

    async def close(self) -> None:
        """Start nothing more; what waits is the sweep's."""
        self._forget()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    def _go_on(self) -> None:
        while self._waiting and self._busy < self._at_once:
            self._busy += 1
            task = asyncio.get_running_loop().create_task(self._later())
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _later(self) -> None:
        try:
            while self._waiting:
                message, case = self._waiting.popleft()
                self._size -= len(message.data)
                await self._start(message, case)
        except (Unavailable, Throttled) as away:  # each try would take as long to fail
            log.warning("cases start later", waiting=len(self._waiting) + 1, problem=away.message)
            self._forget()
        except (
            Exception
        ):  # nobody waits for it any more: the sweep meets the same, and says what becomes of the message
            log.exception("case could not be started")
        finally:
            self._busy -= 1
            self._go_on()

    def _forget(self) -> None:
        self._waiting.clear()
        self._size = 0
