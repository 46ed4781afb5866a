"""A peer of the hospital that is spoken to by MLLP, and is away when it is to be."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from demo.hl7_plain import NotHl7
from demo.hl7_plain import frame as next_frame

HOST = "127.0.0.1"
LOOK = 0.1  # seconds between looks whether it is to be away


class MllpPeer(ABC):
    """A listener: open while it is not to be away. ``port`` 0 takes a free one."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self._server: asyncio.Server | None = None
        self._calls: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    @abstractmethod
    def away(self) -> bool:
        """Whether nobody is to listen now."""

    @abstractmethod
    async def answer(self, text: str) -> bytes:
        """What goes back to a message, framed; nothing where it is hung up.

        Raises:
            NotHl7: it cannot be read; it is hung up.
        """

    async def look(self) -> None:
        """Open or close, as it is to be."""
        if self.away():
            await self.close()
        elif self._server is None:
            self._server = await asyncio.start_server(self._listen, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Hang up, and listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        calls = dict(self._calls)
        for writer in calls.values():
            writer.transport.abort()
        if ending := [task for task in calls if task is not None]:
            await asyncio.wait(ending, timeout=1.0)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._calls[asyncio.current_task()] = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, NotHl7):
            while answer := await self.answer(await next_frame(reader)):
                writer.write(answer)
                await writer.drain()
        del self._calls[asyncio.current_task()]
        writer.close()


async def serve(peer: MllpPeer, code: str) -> None:
    """Listen until SIGTERM or SIGINT, but for the times it is to be away."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await peer.look()
    sys.stdout.write(f"{code} listens on mllp://{HOST}:{peer.port}\n")
    sys.stdout.flush()
    while not stop.is_set():
        await peer.look()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK)
    await peer.close()


def command_line(
    program: str, about: str | None, code: str, made: Callable[[Path, int], MllpPeer], arguments: list[str] | None
) -> int:
    """``python -m PROGRAM serve --home HOME --port PORT``."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("FASCIA_HOME") or ".fascia"))
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args(arguments)
    asyncio.run(serve(made(chosen.home.expanduser().absolute(), chosen.port), code))
    return 0
