"""What tests of channels share."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from canonical.cases import Actor
from tests.adapters.mllp_server import Call, MllpServer, Script, ack, says_yes
from tests.store.channel import Lane

IDS = [f"M{number}" for number in range(1, 6)]


ME = Actor(id="mito", known_by="os_user")


def scripted(*answers: str) -> Script:
    """A peer that gives these answers one after the other (``-``: none), then AA."""
    left = list(answers)

    async def script(call: Call, control_id: str) -> None:
        code = left.pop(0) if left else "AA"
        if code != "-":
            await call.say(ack(control_id, code, "as scripted"))

    return script


@asynccontextmanager
async def at_port(port: int) -> AsyncIterator[MllpServer]:
    """A peer at a known port."""
    peer = MllpServer(says_yes)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", port)
    try:
        yield peer
    finally:
        server.close()


async def says_nothing(_: Call, __: str) -> None:
    return


def started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.store.one_sender", *arguments])


def application(control_id: str, code: str, *, wants: str = "NE") -> bytes:
    """An application answer as a message of its own, with its own MSH-15."""
    header = f"MSH|^~\\&|LAB|NGH|FASCIA|NGH|20261102||ORR^O02^ORR_O02|B{control_id}|P|2.5.1|||{wants}|NE"
    return f"{header}\rMSA|{code}|{control_id}|\r".encode()


async def settled(one: Lane, control_id: str, code: str) -> None:
    async with asyncio.timeout(60):
        while (await one.rows())[control_id].application != code:
            await asyncio.sleep(0.02)
