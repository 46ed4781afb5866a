"""Who only holds connections to the HTTP doors open keeps nobody out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn

from workers.callers import Callers
from workers.door import _Server

ELSEWHERE = "127.0.0.2"
WHOLE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


async def _app(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message.get("more_body", False)
    if body == b"slow":
        await asyncio.sleep(4)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def door(callers: Callers) -> AsyncIterator[tuple[str, int]]:
    config = uvicorn.Config(_app, port=0, http=callers.protocol(), lifespan="off", log_config=None)
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        await serving


_made: list[socket.socket] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while _made:
        _made.pop().close()


class Wire:
    """One connection, byte by byte."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    @classmethod
    async def connect(cls, address: tuple[str, int], source: str = "127.0.0.1") -> Wire:
        sock = socket.socket()
        _made.append(sock)
        sock.bind((source, 0))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return cls(sock)

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def hears(self) -> bytes:
        """What comes next; nothing where the door has closed."""
        async with asyncio.timeout(60):
            try:
                return await asyncio.get_running_loop().sock_recv(self.sock, 4096)
            except ConnectionResetError:
                return b""

    async def asks(self, data: bytes = WHOLE) -> bytes:
        await self.say(data)
        answer = await self.hears()
        return answer.partition(b"\r\n\r\n")[2]


async def asked_anew(address: tuple[str, int]) -> bytes:
    """What is answered on a connection of its own; nothing where it is refused."""
    with suppress(OSError):
        return await (await Wire.connect(address)).asks()
    return b""


async def test_an_address_that_holds_many_connections_open_keeps_no_other_out() -> None:
    async with door(Callers(8)) as address:
        greedy = [await Wire.connect(address) for _ in range(30)]
        await asyncio.sleep(0.1)
        other = await Wire.connect(address, ELSEWHERE)
        assert await other.asks() == b"abc"
        assert [await one.hears() for one in greedy[4:]] == [b""] * 26, "half of them, no more"
        assert await greedy[0].asks() == b"abc"
        for one in greedy:
            one.sock.close()
        async with asyncio.timeout(60):  # what is given back may be had again
            while await asked_anew(address) != b"abc":
                await asyncio.sleep(0.05)


async def test_a_request_that_is_never_whole_is_not_waited_for() -> None:
    async with door(Callers(50, head_within=0.3, body_within=0.6)) as address:
        silent, dripping, cut = [await Wire.connect(address) for _ in range(3)]

        async def drip() -> None:
            with suppress(OSError):
                for byte in WHOLE[:30]:
                    await dripping.say(bytes([byte]))
                    await asyncio.sleep(0.05)

        drops = asyncio.create_task(drip())
        await cut.say(WHOLE[:-1])
        assert [await one.hears() for one in (silent, dripping, cut)] == [b""] * 3
        await drops


async def test_a_whole_request_has_all_the_time_its_answer_takes_and_a_connection_is_used_again() -> None:
    async with door(Callers(50, head_within=3, body_within=3)) as address:
        wire = await Wire.connect(address)
        for _ in range(3):
            assert await wire.asks() == b"abc"
            await asyncio.sleep(0.2)
        assert await wire.asks(WHOLE.replace(b"3", b"4").replace(b"abc", b"slow")) == b"slow"
        assert await wire.asks() == b"abc"
        wire.sock.close()
