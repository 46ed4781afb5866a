"""Checks what came without holding anybody up: what is large is looked at beside the loop, in a thread, in its connection's order.

A message of 16 MB takes seconds to cut and to hold against its structure. In the loop's own thread every other department would
wait that long for its acknowledgement; beside it they wait for a few milliseconds. One such message is looked at at a time, so
what several take together is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from gateway.mllp_peer import Peer

LARGE: Final = 64 * 1024  # bytes, from which on it is worth a thread: about 10 ms of checking

R = TypeVar("R")


class Checks:
    """Where messages are looked at, for one door."""

    def __init__(self, large: int = LARGE) -> None:
        self._large = large
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="checks")
        self._last: dict[tuple[str, int], asyncio.Future[None]] = {}  # by connection: set when its last one is in line

    def at_once(self, size: int, peer: Peer) -> bool:
        """Whether so many bytes may be looked at here and now: they are few, and none before them is still being looked at."""
        return size <= self._large and (peer.listener, peer.connection) not in self._last

    async def run(self, size: int, work: Callable[[], R]) -> R:
        """Do something with so many bytes: here, or beside the loop."""
        if size <= self._large:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._beside, work)

    @asynccontextmanager
    async def in_turn(self, size: int, peer: Peer) -> AsyncIterator[Callable[[Callable[[], R]], Awaitable[R]]]:
        """A turn on a connection: the next one's ``look`` comes back when this block has ended, however long ours takes."""
        key = (peer.listener, peer.connection)
        before = self._last.get(key)
        mine = self._last[key] = asyncio.get_running_loop().create_future()

        async def look(work: Callable[[], R]) -> R:
            if (
                before is not None
            ):  # one of a connection at a time: who sends many large ones goes through in turn with the others
                await asyncio.shield(before)
            return await self.run(size, work)

        try:
            yield look
        finally:
            mine.set_result(None)
            if self._last[key] is mine:
                del self._last[key]

    def close(self) -> None:
        """Begin nothing more; what is being looked at ends by itself."""
        self._beside.shutdown(wait=False, cancel_futures=True)
