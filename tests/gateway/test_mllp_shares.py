"""What one address piles up at the MLLP door leaves room for all others: connections, work and memory."""

from __future__ import annotations

import asyncio

import pytest

from formats.mllp import VT, wrap
from gateway.mllp_flow import origin_of
from gateway.mllp_peer import Limits
from tests.gateway.mllp_client import Sender
from tests.gateway.mllp_corridor import NotingCorridor, door, soon
from tests.gateway.mllp_frames import ONE, acks, numbered

ELSEWHERE = "127.0.0.2"


async def test_a_sender_whose_messages_all_wait_holds_up_nobody_else() -> None:
    corridor, frames = NotingCorridor(), numbered(120)
    holds = [corridor.hold(frame) for frame in frames]
    async with door(corridor, limits=Limits(in_work=10)) as opened:
        greedy = [await Sender.connect(opened.address) for _ in range(4)]
        for place, one in enumerate(greedy):
            await one.send(b"".join(map(wrap, frames[place * 30 : place * 30 + 30])))
        await soon(lambda: opened.snapshot().in_work == 5)
        await asyncio.sleep(0.05)
        modest = await Sender.connect(opened.address, source=ELSEWHERE)
        await modest.send(b"".join(map(wrap, [ONE] * 20)))
        assert await modest.answers(20) == [b"ACK " + ONE] * 20
        assert opened.snapshot().in_work == 5, "half of it, and the other half is free for the others"
        for hold in holds:
            hold.set()
        for place, one in enumerate(greedy):
            assert await one.answers(30) == acks(frames[place * 30 : place * 30 + 30]), "and nothing of it is lost"
            one.close()
        modest.close()


async def test_frames_that_one_address_never_ends_leave_memory_for_the_others() -> None:
    limits = Limits(frame_bytes=200_000, held_bytes=400_000)
    async with door(NotingCorridor(), limits=limits) as opened:
        greedy = [await Sender.connect(opened.address) for _ in range(12)]
        opening = [asyncio.create_task(one.send(VT + b"x" * 150_000)) for one in greedy]
        await soon(lambda: opened.snapshot().held_bytes > 200_000)
        modest = await Sender.connect(opened.address, source=ELSEWHERE)
        large = b"MSH|" + b"y" * 100_000
        for _ in range(5):
            await modest.send(wrap(large))
            assert await modest.answers(1) == [b"ACK " + large]
        assert opened.snapshot().held_bytes > 200_000
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        for one in (*greedy, modest):
            one.close()


async def test_connections_that_one_address_only_holds_open_keep_nobody_out() -> None:
    async with door(NotingCorridor(), limits=Limits(connections=6)) as opened:
        greedy = [await Sender.connect(opened.address) for _ in range(20)]
        await soon(lambda: opened.snapshot().refused == 17)
        modest = await Sender.connect(opened.address, source=ELSEWHERE)
        await modest.send(wrap(ONE))
        assert await modest.answers(1) == [b"ACK " + ONE]
        for one in greedy:
            one.close()
        await soon(lambda: opened.snapshot().connections == 1)
        again = await Sender.connect(opened.address)
        await again.send(wrap(ONE))
        assert await again.answers(1), "what is given back may be had again"
        again.close()
        modest.close()


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("10.2.0.7", "10.2.0.7"),
        ("::ffff:10.2.0.7", "10.2.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_a_machine_is_one_origin_however_many_addresses_its_network_gives_it(host: str, origin: str) -> None:
    assert origin_of(host) == origin
