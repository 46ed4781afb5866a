"""An ERP that only says yes: ``PUT /orders/<number>``, in a process of its own so that its cost is seen apart."""

from __future__ import annotations

import asyncio
import sys


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                (int(row.split(":", 1)[1]) for row in head.split("\r\n") if row.lower().startswith("content-length:")),
                0,
            )
            await reader.readexactly(length)
            number = head.split(" ", 2)[1].rsplit("/", 1)[-1].encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(number), number))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the caller has gone
    finally:
        writer.close()


async def main(port: int) -> None:
    """Answer until stopped."""
    server = await asyncio.start_server(_serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
