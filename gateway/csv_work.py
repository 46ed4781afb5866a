"""Who works on a file of rows, and how far: of all who could, one does, and its sender sees how far it is.

A large file takes long. Its door, the sweep and a repeat of its sender may come to it meanwhile: they leave it to who has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from canonical.errors import FasciaError, Unavailable
from canonical.folders import FileStanding

BEAT: Final = 5.0  # seconds between signs of life of who works on a file
OFTEN: Final = 1.0  # seconds between two words of how far it is


class FileWork(Protocol):
    """Claims of files, known to all our processes. One whose owner gives no sign of life is anybody's."""

    async def claim(self, message: str) -> bool:
        """Take a file for this process alone; False: somebody has it."""
        ...

    async def going(self, message: str, standing: FileStanding) -> bool:
        """Say that we are at it, and how far; False: it is not ours any more."""
        ...

    async def release(self, message: str) -> None:
        """Give it back: it is done, or waits for something."""
        ...

    async def standing(self, message: str) -> FileStanding | None:
        """How far a file is that somebody works on; None where nobody does."""
        ...


class OwnWork:
    """Claims within one process."""

    def __init__(self) -> None:
        self._standings: dict[str, FileStanding] = {}

    async def claim(self, message: str) -> bool:
        return message not in self._standings and self._standings.setdefault(message, FileStanding()) is not None

    async def going(self, message: str, standing: FileStanding) -> bool:
        self._standings[message] = standing
        return True

    async def release(self, message: str) -> None:
        self._standings.pop(message, None)

    async def standing(self, message: str) -> FileStanding | None:
        return self._standings.get(message)


class Working:
    """A file that is ours to work on."""

    def __init__(self, work: FileWork, message: str) -> None:
        self._work = work
        self._message = message
        self._standing = FileStanding()
        self._said = 0.0
        self._ours = True

    async def step(self, *, rows: int | None = None, done: int = 0) -> None:
        """So many rows more are done, of so many there are.

        Raises:
            Unavailable: somebody else has it by now: we were silent for too long, and it goes on with what we did.
        """
        self._standing = FileStanding(
            rows=self._standing.rows if rows is None else rows, done=self._standing.done + done
        )
        if time.monotonic() - self._said >= OFTEN:
            await self.sign()
        if not self._ours:
            raise Unavailable(f"message {self._message} is taken by another process", system="store")

    async def sign(self) -> None:
        """Say that we are at it."""
        self._said = time.monotonic()
        self._ours = await self._work.going(self._message, self._standing)


@asynccontextmanager
async def working(work: FileWork, message: str) -> AsyncIterator[Working]:
    """Have a file for ourselves until the block ends.

    Raises:
        Unavailable: somebody works on it already; it is looked at again later.
    """
    if not await work.claim(message):
        raise Unavailable(f"message {message} is being taken already", system="store")
    ours = Working(work, message)
    signs = asyncio.create_task(_signs(ours))
    try:
        yield ours
    finally:
        signs.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await signs
        with contextlib.suppress(FasciaError):  # while our store is away the claim ends by itself
            await work.release(message)


async def _signs(ours: Working) -> None:
    while True:
        await asyncio.sleep(BEAT)
        with contextlib.suppress(FasciaError):
            await ours.sign()
