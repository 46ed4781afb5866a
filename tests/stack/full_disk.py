"""Stands between a program and PostgreSQL, and answers writes as a server does that has no room on its disk (SQLSTATE 53100).

Speaks as much of PostgreSQL's protocol (version 3, its documentation's chapter "Frontend/Backend Protocol") as that takes: what the
client sends is passed on by whole requests, up to a Sync; while ``full``, one that would write messages is answered here.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

SSL_REQUEST = 80877103
FULL = b"SERROR\0VERROR\0C53100\0Mcould not extend file: No space left on device\0\0"


class FullDisk:
    """``full``: no room. ``refused`` counts what was answered so. ``writes`` marks statements that need room."""

    def __init__(self, host: str, port: int, writes: bytes = b"INSERT INTO messages") -> None:
        self.full = False
        self.refused = 0
        self.port = 0
        self._server = (host, port)
        self._writes = writes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        there, back = await asyncio.open_connection(*self._server)
        try:
            await self._begin(reader, writer, back)
            answers = asyncio.create_task(self._pass_back(there, writer))
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._requests(reader, writer, back)
            back.close()
            with suppress(OSError):
                await answers
        finally:
            back.close()
            writer.close()

    async def _begin(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        size = await reader.readexactly(4)
        body = await reader.readexactly(struct.unpack("!i", size)[0] - 4)
        if struct.unpack("!i", body[:4])[0] == SSL_REQUEST:
            writer.write(b"N")
            return await self._begin(reader, writer, back)
        back.write(size + body)
        return None

    async def _pass_back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await there.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        statements: dict[bytes, bool] = {}  # by name: whether it writes
        request, needs_room, named = b"", False, False
        while True:
            kind, size = await reader.readexactly(1), await reader.readexactly(4)
            body = await reader.readexactly(struct.unpack("!i", size)[0] - 4)
            request += kind + size + body
            if kind == b"P":
                name, _, statement = body.partition(b"\0")
                statements[name] = self._writes in statement
                named = True
            elif kind == b"B":
                _, _, rest = body.partition(b"\0")
                needs_room = needs_room or statements.get(rest.partition(b"\0")[0], False)
            elif kind not in (b"D", b"E", b"C"):  # Sync, or what stands alone
                if kind == b"S" and needs_room and self.full and not named:
                    self.refused += 1
                    writer.write(b"E" + struct.pack("!i", len(FULL) + 4) + FULL + b"Z\0\0\0\x05I")
                    await writer.drain()
                else:
                    back.write(request)
                    await back.drain()
                request, needs_room, named = b"", False, False


@asynccontextmanager
async def full_disk(host: str, port: int) -> AsyncIterator[FullDisk]:
    """Serve until the block ends."""
    made = FullDisk(host, port)
    doing: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        doing.add(task)
        with suppress(OSError, asyncio.IncompleteReadError):
            await made.serve(reader, writer)
        doing.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**22)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(doing):
            task.cancel()
        await asyncio.gather(*doing, return_exceptions=True)
