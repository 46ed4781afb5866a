"""A wire between a worker and another system that a test can hold, cut, or make lose an answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field


def free_port() -> int:
    """A port nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Line:
    """A TCP relay to ``upstream``.

    ``hold_request`` and ``hold_answer`` are texts: a request that contains one is kept back before it reaches the other side,
    or its answer after; ``caught`` is set when that happened, :meth:`let_go` lets everything pass again, :meth:`cut` closes
    what is held without a word.
    """

    port: int
    upstream: int = 0
    hold_request: bytes = b""
    hold_answer: bytes = b""
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _held: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    def hold(self, *, request: str = "", answer: str = "") -> None:
        """Hold the next exchange that names this."""
        self.hold_request, self.hold_answer = request.encode(), answer.encode()
        self.caught.clear()
        self._open.clear()

    def let_go(self) -> None:
        """Let what is held pass, and everything after it."""
        self.hold_request = self.hold_answer = b""
        self._open.set()

    def cut(self) -> None:
        """Close what is held; nothing of it passes."""
        self.hold_request = self.hold_answer = b""
        for writer in self._held:
            writer.close()
        self._held.clear()
        self._open.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.close()
            return
        answers_held = asyncio.Event()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await asyncio.gather(
                self._requests(reader, up_writer, writer, answers_held), self._answers(up_reader, writer, answers_held)
            )
        writer.close()
        up_writer.close()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        downstream: asyncio.StreamWriter,
        answers_held: asyncio.Event,
    ) -> None:
        while data := await reader.read(256 * 1024):
            if self.hold_request and self.hold_request in data:
                self.times += 1
                self._held.add(downstream)
                self.caught.set()
                await self._open.wait()
                if downstream.is_closing():
                    break
            if self.hold_answer and self.hold_answer in data:
                self.times += 1
                self._held.add(downstream)
                answers_held.set()
            upstream.write(data)
            await upstream.drain()
        upstream.close()

    async def _answers(
        self, upstream: asyncio.StreamReader, downstream: asyncio.StreamWriter, answers_held: asyncio.Event
    ) -> None:
        while data := await upstream.read(256 * 1024):
            if answers_held.is_set():
                self.caught.set()
                await self._open.wait()
                answers_held.clear()
            if downstream.is_closing():
                break
            downstream.write(data)
            await downstream.drain()
        downstream.close()
