"""A subscriber's webhook on a socket that has enough of us: what it answers, and what it was called with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

Answers = Callable[[], tuple[int, str]]  # a status, and Retry-After where it is not empty


class Target:
    """``taken`` has the events it answered 200, in their order; ``said`` how often it answered what."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.taken: list[str] = []
        self.said: dict[int, int] = {}
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept for as long as the caller likes."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                await reader.readexactly(int(fields["content-length"]))
                status, after = self.answers()
                self.said[status] = self.said.get(status, 0) + 1
                if status == 200:
                    self.taken.append(fields["fascia-event"])
                wait = f"Retry-After: {after}\r\n" if after else ""
                writer.write(f"HTTP/1.1 {status} X\r\n{wait}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()


@asynccontextmanager
async def target(answers: Answers) -> AsyncIterator[Target]:
    """Serve until the block ends."""
    made = Target(answers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield made
    finally:
        server.close()
