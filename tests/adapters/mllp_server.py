"""Another system that takes HL7 over MLLP, in this process: what it answers, when, and how often is the test's choice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from formats.mllp import Frame, Frames, wrap


def message(control_id: str, body: str = "") -> bytes:
    return f"MSH|^~\\&|FASCIA|NGH|LAB|NGH|20261102||ORM^O01|{control_id}|P|2.5.1\rPID|1||{body}\r".encode()


def ack(control_id: str, code: str = "AA", text: str = "", more: str = "") -> bytes:
    return (
        f"MSH|^~\\&|LAB|NGH|FASCIA|NGH|20261102||ACK|A{control_id}|P|2.5.1\rMSA|{code}|{control_id}|{text}\r{more}"
    ).encode()


class Call:
    """One connection as the server sees it."""

    def __init__(self, server: MllpServer, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.writer = writer
        self.got: list[bytes] = []

    async def say(self, *frames: bytes) -> None:
        """Send these as frames, in one write."""
        await self.raw(b"".join(map(wrap, frames)))

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def hang_up(self) -> None:
        self.writer.close()


Script = Callable[[Call, str], Awaitable[None]]


async def says_yes(call: Call, control_id: str) -> None:
    await call.say(ack(control_id))


class MllpServer:
    """``script`` is run for every message, with its control id."""

    def __init__(self, script: Script = says_yes) -> None:
        self.script = script
        self.got: list[bytes] = []
        self.calls: list[Call] = []
        self.ended = 0
        self.address = ("", 0)
        self.doing: set[asyncio.Task[None]] = set()

    @property
    def ids(self) -> list[str]:
        return [_control_id(data) for data in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call, frames = Call(self, writer), Frames()
        self.calls.append(call)
        with suppress(OSError):
            while data := await reader.read(65536):
                for one in frames.feed(data):
                    assert isinstance(one, Frame), one
                    self.got.append(one.data)
                    call.got.append(one.data)
                    task = asyncio.create_task(self._act(call, _control_id(one.data)))
                    self.doing.add(task)
                    task.add_done_callback(self.doing.discard)
        self.ended += 1
        writer.close()

    async def _act(self, call: Call, control_id: str) -> None:
        if control_id:  # not for what only accepts an answer of ours
            with suppress(OSError):
                await self.script(call, control_id)


def _control_id(data: bytes) -> str:
    header = data.split(b"\r")[0].split(b"|")
    return header[9].decode() if len(header) > 9 else ""


@asynccontextmanager
async def mllp_server(script: Script = says_yes, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[MllpServer]:
    """Serve until the block ends."""
    running = MllpServer(script)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0, ssl=tls)
    running.address = server.sockets[0].getsockname()
    try:
        yield running
    finally:
        server.close()
        for task in list(running.doing):
            task.cancel()
        for call in running.calls:
            call.writer.transport.abort()
            with suppress(OSError):
                await call.writer.wait_closed()
        await asyncio.gather(*running.doing, return_exceptions=True)
