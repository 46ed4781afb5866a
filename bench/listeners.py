"""Listeners to hold ours against, each a program: ``python -m bench.listeners synced|library PORT FILE``.

``synced``: our framing and our ACK, and one fdatasync per message in between: the least that a listener must do that keeps each
message by itself before it acknowledges it. ``library``: python-hl7's asyncio listener, as its documentation has it: it
parses each message and makes its own ACK; its handler appends the message to a file and calls fdatasync, since nothing of it is
durable else.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from formats import hl7
from formats.mllp import Frame, Frames, wrap

NEEDED = Path(__file__).with_name("listeners.txt")
LARGEST = 2**24


class Synced(asyncio.Protocol):
    """One connection of the listener that does one fdatasync per message."""

    def __init__(self, file: int, numbers: count[int]) -> None:
        self._file, self._numbers = file, numbers
        self._frames = Frames(LARGEST)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for found in self._frames.feed(data):
            if isinstance(found, Frame) and self._transport is not None:
                head = hl7.header(found.data)
                os.write(self._file, found.data)
                os.fdatasync(self._file)
                number = str(next(self._numbers))
                self._transport.write(wrap(hl7.acknowledge(head, "AA", control=number, when=datetime.now(UTC))))


async def synced(port: int, file: int) -> None:
    """Serve until killed."""
    numbers = count(1)
    server = await asyncio.get_running_loop().create_server(lambda: Synced(file, numbers), "127.0.0.1", port)
    await server.serve_forever()


async def library(port: int, file: int) -> None:
    """Serve until killed, by python-hl7."""
    import hl7 as python_hl7  # from the folder of its own
    from hl7.mllp import start_hl7_server

    async def handle(reader: Any, writer: Any) -> None:
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                os.write(file, str(message).encode())
                os.fdatasync(file)
                writer.writemessage(message.create_ack())
                await writer.drain()
        except asyncio.IncompleteReadError:
            if not writer.is_closing():
                writer.close()

    assert python_hl7.__file__
    async with await start_hl7_server(handle, "127.0.0.1", port, encoding="utf-8", limit=LARGEST) as server:
        await server.serve_forever()


def library_folder(cache: Path) -> Path:
    """Where python-hl7 lies; fetched once, with its hash checked, and never into our own environment."""
    folder = cache / "listeners"
    if not (folder / "hl7").is_dir():
        fetch = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*fetch, "--require-hashes", "-r", str(NEEDED), "--target", str(folder)], check=True)
    return folder


PROGRAMS: dict[str, Callable[[int, int], Any]] = {"synced": synced, "library": library}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.listeners", description=__doc__)
    parser.add_argument("which", choices=tuple(PROGRAMS))
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    file = os.open(given.file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    asyncio.run(PROGRAMS[given.which](given.port, file))


if __name__ == "__main__":
    main()
