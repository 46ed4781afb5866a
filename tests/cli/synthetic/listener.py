"""A system that takes HL7 over MLLP, in this process: it notes what came as it came, and answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from formats import hl7
from formats.mllp import Frame, Frames, wrap

Says = Callable[[str, int], Sequence[str] | None]
"""Given MSH-10 and how many frames came so far: the numbers to answer, or None to hang up."""


@dataclass
class Heard:
    """What came, over all connections."""

    frames: list[bytes] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)  # a connection's bytes each
    broken: list[str] = field(default_factory=list)
    largest_read: int = 0
    half_closed: int = 0
    port: int = 0

    @property
    def controls(self) -> list[str]:
        return [hl7.header(frame).control for frame in self.frames]


def answer(control: str, code: str = "AA") -> bytes:
    return wrap(f"MSH|^~\\&|FASCIA|NGH|WARD|NGH|20261102||ACK|A{control}|P|2.5.1\rMSA|{code}|{control}\r".encode())


@asynccontextmanager
async def listening(says: Says = lambda control, _: [control], limit: int = 2**24) -> AsyncIterator[Heard]:
    """Listen until left."""
    heard = Heard()

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        frames, mine = Frames(limit), len(heard.raw)
        heard.raw.append(b"")
        while data := await reader.read(2**20):
            heard.raw[mine] += data[: 2**16]
            heard.largest_read = max(heard.largest_read, len(data))
            for found in frames.feed(data):
                if not isinstance(found, Frame):
                    heard.broken.append(found.fault.value)
                    if found.data[:3] == b"MSH":
                        writer.write(answer(hl7.header(found.data).control, "AR"))
                    continue
                heard.frames.append(found.data)
                numbers = says(hl7.header(found.data).control, len(heard.frames))
                if numbers is None:
                    writer.transport.abort()
                    return
                for number in numbers:
                    writer.write(answer(number))
        heard.half_closed += 1
        heard.broken += [one.fault.value for one in frames.end()]
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    heard.port = server.sockets[0].getsockname()[1]
    async with server:
        yield heard
        if serving:
            await asyncio.wait(serving, timeout=5)  # what is still under way is heard to its end
