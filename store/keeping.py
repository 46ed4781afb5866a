"""Keeps what many bring at once by one commit: while one commit is under way the next messages gather, and nobody waits longer.

Order: who calls first has the lower id and is durable no later. Nothing is told before the commit that holds it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import FasciaError
from canonical.ports import KeepResult, NewMessage
from store.keep import keep_rows
from store.kept import row_of

MOST: Final = 500  # messages in one commit
MOST_BYTES: Final = 8 * 2**20  # of messages in one commit; a larger message goes alone
ROOM: Final = 2000  # messages that may wait for a commit
ROOM_BYTES: Final = 32 * 2**20


@dataclass(slots=True)
class _Waiting:
    message: NewMessage
    row: Mapping[str, Any]
    told: asyncio.Future[KeepResult]

    @property
    def size(self) -> int:
        return len(self.message.data)


class GroupKeeper:
    """Keeps like the journal, for many at once. Where there is no room left, who brings more waits: that is the back-pressure
    to sockets. Belongs to one event loop."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
        room: int = ROOM,
        room_bytes: int = ROOM_BYTES,
    ) -> None:
        self._engine = engine
        self._most, self._most_bytes, self._room, self._room_bytes = most, most_bytes, room, room_bytes
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0  # of what is in the queue or in the commit under way
        self._messages = 0
        self._outside: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._committing: asyncio.Task[None] | None = None

    async def keep(self, message: NewMessage) -> KeepResult:
        """Keep a message; see :meth:`canonical.ports.Journal.keep`.

        Raises:
            Unavailable: our database does not answer; it may have been kept, and who brings it again finds out.
        """
        if self._outside or not self._fits(len(message.data)):
            await self._let_in(len(message.data))
        else:
            self._take_room(len(message.data))
        try:
            waiting = _Waiting(message, row_of(message), asyncio.get_running_loop().create_future())
        except BaseException:
            self._give_room(1, len(message.data))
            raise
        self._queue.append(waiting)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all(), name="journal commits")
        return await waiting.told

    async def settled(self) -> None:
        """When this returns, everything brought before is kept, or its bringer has been told otherwise."""
        while self._committing is not None:
            await asyncio.wait([self._committing])

    def _fits(self, size: int) -> bool:
        empty = self._messages == 0  # then anything fits, however large
        return empty or (self._messages < self._room and self._bytes + size <= self._room_bytes)

    def _take_room(self, size: int) -> None:
        self._messages += 1
        self._bytes += size

    def _give_room(self, count: int, size: int) -> None:
        self._messages -= count
        self._bytes -= size
        while self._outside:
            wanted, let_in = self._outside[0]
            if not let_in.done():
                if not self._fits(wanted):
                    return
                self._take_room(wanted)  # taken here, so that nobody comes between
                let_in.set_result(None)
            self._outside.popleft()

    async def _let_in(self, size: int) -> None:
        """Wait outside, in the order of coming; room is taken when this returns."""
        let_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outside.append((size, let_in))
        try:
            await let_in
        except asyncio.CancelledError:
            if let_in.done() and not let_in.cancelled():
                self._give_room(1, size)
            elif self._outside and self._outside[0][1] is let_in:
                self._give_room(0, 0)  # those behind may fit where this one did not
            raise

    async def _commit_all(self) -> None:
        """One commit after the other until nothing waits."""
        try:
            while self._queue:
                batch = self._batch()
                await self._commit(batch)
                self._give_room(len(batch), sum(waiting.size for waiting in batch))
                if not self._queue:
                    await asyncio.sleep(0)  # those just let in come first
        finally:
            self._committing = None

    def _batch(self) -> list[_Waiting]:
        batch = [self._queue.popleft()]
        size = batch[0].size
        while self._queue and len(batch) < self._most and size + self._queue[0].size <= self._most_bytes:
            batch.append(self._queue.popleft())
            size += batch[-1].size
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        wanted = [waiting for waiting in batch if not waiting.told.done()]  # who went away was promised nothing
        if not wanted:
            return
        try:
            results = await keep_rows(
                self._engine, [waiting.message for waiting in wanted], [waiting.row for waiting in wanted]
            )
        except FasciaError as away:
            for waiting in wanted:
                _fail(waiting, away)
        except Exception as poison:
            if len(wanted) == 1:
                _fail(wanted[0], poison)
                return
            half = len(wanted) // 2  # one of them cannot be kept: its neighbours are, in their order
            await self._commit(wanted[:half])
            await self._commit(wanted[half:])
        else:
            for waiting, result in zip(wanted, results, strict=True):
                if not waiting.told.done():
                    waiting.told.set_result(result)


def _fail(waiting: _Waiting, why: Exception) -> None:
    if not waiting.told.done():
        waiting.told.set_exception(why)
