"""How many requisitions a second the REST door accepts, beside an echo of the same model, in turn and by the same callers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count

from bench.figures import Accept
from bench.own_postgres import free_port
from bench.stand import Stand, time_now
from cli.synthetic import sheets
from cli.synthetic.traffic import Plan
from stack.part import Part, own_program
from stack.questions import port_listens
from tests import build

CALLERS = 16
SIDES = ("door", "echo")


async def measure(stand: Stand, *, rounds: int, seconds: float, say: Callable[[str], None]) -> Accept:
    """Rounds of so many seconds each; a caller sends its next requisition when the last one is answered."""
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    numbers = count(1)
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            async with _serving(stand, side) as port:
                await _round(port, stand.key, numbers, min(1.0, seconds / 5))
                rate = await _round(port, stand.key, numbers, seconds)
            found[side].append(rate)
            say(f"round {number + 1}, {side}: {rate:.0f} requisitions/s")
    return Accept(at=time_now(), temporals_store=stand.temporals_store, callers=CALLERS, **found)


@contextlib.asynccontextmanager
async def _serving(stand: Stand, side: str) -> AsyncIterator[int]:
    port = free_port()
    part = Part(
        name=f"rest_{side}_{port}",  # each round its own: a name is used once
        argv=own_program("-m", "bench.rest_programs", side),
        env={"FASCIA_API_PORT": str(port), "FASCIA_API_URL": f"http://127.0.0.1:{port}"},
        ready=port_listens("127.0.0.1", port),
    )
    await stand.stack.add_part(part)
    try:
        yield port
    finally:
        await stand.stack.stop(part.name)


async def _round(port: int, key: str, numbers: Iterator[int], seconds: float) -> float:
    ends, began = time.monotonic() + seconds, time.monotonic()
    done = await asyncio.gather(*(_caller(port, key, numbers, ends) for _ in range(CALLERS)))
    return sum(done) / (time.monotonic() - began)


async def _caller(port: int, key: str, numbers: Iterator[int], ends: float) -> int:
    """One connection, written by hand: a client library would cost more than what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    while time.monotonic() < ends:
        writer.write(_request(key, next(numbers)))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"answered {head.splitlines()[0].decode('latin-1')}")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        done += 1
    writer.close()
    await writer.wait_closed()
    return done


def _request(key: str, number: int) -> bytes:
    first = Plan().first
    body = sheets.requisition("rest", number, first=first, at=0).replace(b'"ORPLAN"', b'"surgery-app"', 1)
    head = (
        f"POST /v1/requisitions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {number}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    assert build.FACILITY.encode() in body
    return head.encode() + body
