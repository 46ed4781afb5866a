"""Our sender beside a scripted server, and what its tests wait for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from adapters.mllp import Answer, MllpSender, MllpTarget, OnAnswer, Stray
from tests.adapters.mllp_server import MllpServer, Script, message, mllp_server, says_yes
from tests.certificates import Authority


class Out:
    """A sender, its server, and what was answered to nobody."""

    def __init__(
        self, server: MllpServer, timeout: float, on_answer: OnAnswer | None, tls: ssl.SSLContext | None
    ) -> None:
        self.server = server
        self.strays: list[Stray] = []
        target = MllpTarget("LAB", *server.address, tls=tls)
        self.sender = MllpSender(
            target, timeout=timeout, connect_timeout=60, on_answer=on_answer, on_stray=self.strays.append
        )

    async def send(self, control_id: str) -> Answer:
        return await self.sender.send(message(control_id), control_id)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(stray.reason, stray.control_id) for stray in self.strays]


@asynccontextmanager
async def out(
    script: Script = says_yes,
    *,
    timeout: float = 60.0,
    on_answer: OnAnswer | None = None,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | tuple[None, None] = (None, None),
) -> AsyncIterator[Out]:
    async with mllp_server(script, tls=tls[0]) as server:
        one = Out(server, timeout, on_answer, tls[1])
        try:
            yield one
        finally:
            await one.sender.close()


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def taker(taken: list[Answer], back: bytes | None = None) -> Callable[[Answer], Awaitable[bytes | None]]:
    async def on_answer(answer: Answer) -> bytes | None:
        taken.append(answer)
        return back

    return on_answer


def serving(authority: Authority, name: str = "lab", *, asks: bool = False) -> ssl.SSLContext:
    issued = authority.issue(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    if asks:
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _shakes_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    """As OpenSSL does it: the alert is sent before the connection is closed (asyncio's servers send none)."""
    accepted, _ = listener.accept()
    secured = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
    with secured, contextlib.suppress(OSError):
        with contextlib.suppress(ssl.SSLError):
            secured.do_handshake()
        plain = secured.detach()
        with socket.socket(fileno=plain) as rest:
            rest.shutdown(socket.SHUT_WR)
            while rest.recv(65536):
                pass
