"""A wire between two programs that a test can hold, cut, let go late, or make refuse, as networks do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from stack import home

PIECE = 256 * 1024
ALL = -1


def free_port() -> int:
    """A port nobody uses now, and none of those a connection is given by itself: it stays free until somebody listens there."""
    return home.free_port(set())


@dataclass(eq=False)
class Hold:
    """What is kept back. ``names`` are all to stand in a request; ``left`` counts down, and below zero never ends."""

    names: tuple[bytes, ...]
    of_answer: bool
    left: int
    when: Callable[[], bool] | None = None
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    heard: bytes = b""  # what was answered to the request that was held last, once it was let go

    def takes(self, request: bytes) -> bool:
        """Whether this exchange is to be held."""
        if self.when is not None or self.left == 0 or not all(name in request for name in self.names):
            return False
        self.left -= 1
        return True


async def _whole(reader: asyncio.StreamReader) -> bytes:
    """What comes next; of an HTTP request head and body together, so that one held does not keep a server waiting for its body."""
    data = await reader.read(PIECE)
    if data.startswith(b"POST ") and data.endswith(b"\r\n\r\n"):
        data += await reader.read(PIECE)
    return data


async def _whole_answer(reader: asyncio.StreamReader) -> bytes:
    """The next HTTP answer, head and body; nothing where the other side closed."""
    said = b""
    while b"\r\n\r\n" not in said:
        more = await reader.read(PIECE)
        if not more:
            return said
        said += more
    head, _, body = said.partition(b"\r\n\r\n")
    lengths = [row.split(b":")[1] for row in head.split(b"\r\n") if row.lower().startswith(b"content-length:")]
    while not lengths or len(body) < int(lengths[0]):  # without a length it ends with the connection
        more = await reader.read(PIECE)
        if not more:
            break
        body += more
    return head + b"\r\n\r\n" + body


@dataclass(eq=False)
class _Wire:
    """One connection through the line; ``awaited`` holds its next answer, ``late`` is told it."""

    down: asyncio.StreamWriter
    up: asyncio.StreamWriter
    awaited: Hold | None = None
    late: Hold | None = None
    cut: bool = False
    left: bool = False  # the other side closed while a request to it was held

    def close(self) -> None:
        self.down.close()
        self.up.close()


@dataclass(eq=False)
class Line:
    """A TCP relay to ``upstream``. What is held passes after :meth:`let_go`, even to a side that gave up; :meth:`cut` drops it.

    While ``twice``, each answer over HTTP passes two times, in one piece.
    """

    port: int
    upstream: int = 0
    twice: bool = False
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0
    _holds: list[Hold] = field(default_factory=list)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _held: set[_Wire] = field(default_factory=set)
    _wires: set[_Wire] = field(default_factory=set)
    _relays: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Take connections, also again after a stop; nothing where it does."""
        if self._server is not None and self._server.is_serving():
            return
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Refuse connections, and end those there are."""
        if self._server is not None:
            # A connection taken in the step in which a server closes is closed by nobody in Python 3.11.
            for taking in self._server.sockets:
                asyncio.get_running_loop().remove_reader(taking.fileno())
            await asyncio.sleep(0.01)
            self._server.close()
        self.let_go()
        for wire in self._wires:
            wire.close()
        if self._relays:
            _, stuck = await asyncio.wait(self._relays, timeout=2)
            for relay in stuck:
                relay.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)

    def hold(
        self,
        *names: str,
        request: str = "",
        answer: str = "",
        when: Callable[[], bool] | None = None,
        times: int = ALL,
    ) -> Hold:
        """Hold exchanges whose request names this: the request itself, or what is answered to it.

        Without a name every request is held; with ``when``, every answer once that is true.
        """
        every = tuple(name.encode() for name in (*names, request or answer) if name)
        held = Hold(every, bool(answer) or when is not None, times, when)
        self._holds.append(held)
        self.caught.clear()
        self._open.clear()
        return held

    def let_go(self) -> None:
        """Let what is held pass, and everything after it."""
        self._holds.clear()
        self._held.clear()
        self._open.set()

    def cut(self) -> None:
        """Close what is held; nothing of it passes."""
        for wire in self._held:
            wire.cut = True
            wire.close()
        self.let_go()

    def awaits(self, held: Hold) -> bool:
        """Whether something was asked whose answer is to be held, and is not here yet."""
        return any(wire.awaited is held for wire in self._wires)

    async def _keep_back(self, wire: _Wire, held: Hold) -> None:
        self.times += 1
        self._held.add(wire)
        held.caught.set()
        self.caught.set()
        await self._open.wait()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        try:
            with contextlib.suppress(OSError):
                from_up, to_up = await asyncio.open_connection("127.0.0.1", self.upstream)
                wire = _Wire(writer, to_up)
                self._wires.add(wire)
                try:
                    await asyncio.gather(self._requests(reader, wire), self._answers(from_up, wire))
                finally:
                    self._wires.discard(wire)
                    wire.close()
        finally:
            writer.close()
            self._relays.discard(relay)

    async def _requests(self, reader: asyncio.StreamReader, wire: _Wire) -> None:
        answers: asyncio.Task[None] | None = None
        with contextlib.suppress(OSError):
            while data := await _whole(reader):
                held = next((one for one in self._holds if one.takes(data)), None)
                if held is not None and held.of_answer:
                    wire.awaited = held
                elif held is not None:
                    wire.late = held
                    await self._keep_back(wire, held)
                if wire.cut:
                    return
                if wire.left:
                    wire.up.close()
                    from_up, wire.up = await asyncio.open_connection("127.0.0.1", self.upstream)
                    wire.left, answers = False, asyncio.create_task(self._answers(from_up, wire))
                wire.up.write(data)
                await wire.up.drain()
        if not wire.up.is_closing():
            wire.up.write_eof()  # whoever asked may be gone; what it asked is asked all the same
        if answers is not None:
            await answers

    async def _answers(self, reader: asyncio.StreamReader, wire: _Wire) -> None:
        with contextlib.suppress(OSError):
            while data := await (_whole_answer(reader) if self.twice else reader.read(PIECE)):
                held = wire.awaited or next((one for one in self._holds if one.when is not None and one.when()), None)
                wire.awaited = None
                if wire.late is not None:
                    wire.late.heard += data
                if held is not None:
                    await self._keep_back(wire, held)
                if wire.cut:
                    return
                with contextlib.suppress(OSError):
                    wire.down.write(data * (2 if self.twice else 1))
                    await wire.down.drain()
        if wire.late is not None and wire in self._held and not wire.cut:
            wire.left = True  # a server does not wait long for a request; it is asked anew when the request is let go
            return
        wire.down.close()
