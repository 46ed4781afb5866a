"""A corridor that notes what it is given, can be held up, and can fail; and a listener over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext

from formats.mllp import Broken, Fault
from gateway.mllp import MllpDoor
from gateway.mllp_peer import Corridor, Limits, Peer


class NotingCorridor:
    """Answers every frame with ``ACK`` and its bytes, everything else with ``NAK`` and the fault."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.done: list[bytes] = []
        self.faults: list[tuple[Fault, bytes]] = []
        self.peers: list[Peer] = []
        self.held: dict[bytes, asyncio.Event] = {}  # by frame; b"" holds all
        self.failing: set[bytes] = set()
        self.silent: set[bytes] = set()
        self.most_at_once = 0

    def hold(self, frame: bytes = b"") -> asyncio.Event:
        """This frame is not done until the event is set."""
        return self.held.setdefault(frame, asyncio.Event())

    async def take(self, frame: bytes, peer: Peer) -> bytes | None:
        self.kept.append(frame)
        self.peers.append(peer)
        self.most_at_once = max(self.most_at_once, len(self.kept) - len(self.done))
        for event in (self.held.get(frame), self.held.get(b"")):
            if event is not None:
                await event.wait()
        if frame in self.failing:
            raise RuntimeError(f"could not keep {frame!r}")
        self.done.append(frame)
        return None if frame in self.silent else b"ACK " + frame

    async def broken(self, broken: Broken, peer: Peer) -> bytes | None:
        self.faults.append((broken.fault, broken.data))
        return b"NAK " + broken.fault.value.encode()


@asynccontextmanager
async def door(
    corridor: Corridor, *, limits: Limits | None = None, tls: SSLContext | None = None
) -> AsyncIterator[MllpDoor]:
    """A listener on loopback until the block ends."""
    opened = MllpDoor(corridor, limits=limits or Limits(), tls=tls, name="test")
    await opened.start()
    try:
        yield opened
    finally:
        await opened.stop(within=0.5)


async def soon(condition: object, within: float = 60.0) -> None:
    """Wait until something is so."""
    assert callable(condition)
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)
