"""The MLLP door under load: bounded work and memory, slow readers, stopping, limits."""

from __future__ import annotations

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from formats.mllp import END, FS, VT, wrap
from gateway.mllp import MllpDoor
from gateway.mllp_peer import Limits
from tests.gateway.mllp_client import Sender
from tests.gateway.mllp_corridor import NotingCorridor, door, soon
from tests.gateway.mllp_frames import ONE, acks, numbered


async def test_a_frame_that_could_not_be_kept_is_not_answered_and_the_connection_is_closed() -> None:
    corridor, frames = NotingCorridor(), numbered(6)
    corridor.failing.add(frames[3])
    holds = [corridor.hold(frame) for frame in frames]
    async with door(corridor, limits=Limits(in_work_per_connection=5)) as opened:
        with capture_logs() as logs:
            sender = await Sender.connect(opened.address)
            await sender.send(b"".join(map(wrap, frames)))
            await soon(lambda: len(corridor.kept) == 5)
            holds[3].set()
            await soon(lambda: opened.snapshot().failed == 1)
            for hold in holds:
                hold.set()
            assert await sender.until_closed() == acks(frames[:3]), "those before it, and no one after it"
            sender.close()
        assert opened.snapshot().failed == 1
        await soon(lambda: opened.snapshot().connections == 0)
    assert frames[5] not in corridor.kept, "nothing overtakes what has to be sent again"
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["error"], line["at"].split(":")[0]) == ("RuntimeError", "mllp_corridor.py")
    assert "MSH" not in repr(logs), "no content in a log"


async def test_answers_arrive_although_their_sender_had_sent_more_than_was_read() -> None:
    corridor, frames = NotingCorridor(), numbered(3)
    corridor.failing.add(frames[2])
    hold = corridor.hold()
    async with door(corridor, limits=Limits(in_work_per_connection=3)) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(b"".join(map(wrap, frames)))
        await soon(lambda: len(corridor.kept) == 3)
        await sender.send(wrap(b"x" * 100_000))  # lies unread in the socket
        hold.set()
        await asyncio.sleep(0.1)
        assert await sender.until_closed() == acks(frames[:2])
        sender.close()


async def test_reading_stops_while_enough_is_in_work_and_goes_on_after() -> None:
    corridor, frames = NotingCorridor(), [b"%07d" % n + b"x" * 10_000 for n in range(2000)]
    hold = corridor.hold()
    async with door(corridor, limits=Limits(in_work_per_connection=8)) as opened:
        sender = await Sender.connect(opened.address)
        sending = asyncio.create_task(sender.send(*map(wrap, frames)))
        await soon(lambda: len(corridor.kept) == 8)
        await asyncio.sleep(0.3)
        assert not sending.done(), "what we do not read stays with its sender"
        assert len(corridor.kept) == 8
        assert opened.snapshot().held_bytes < 1_000_000
        hold.set()
        assert await sender.answers(2000) == acks(frames)
        await sending
        sender.close()
    assert corridor.kept == frames
    assert corridor.most_at_once == 8


async def test_work_is_bounded_over_all_connections_and_each_has_its_turn() -> None:
    corridor = NotingCorridor()
    hold = corridor.hold()
    async with door(corridor, limits=Limits(in_work=10, share=1)) as opened:
        greedy, modest = await Sender.connect(opened.address), await Sender.connect(opened.address)
        await greedy.send(b"".join(map(wrap, numbered(500))))
        await soon(lambda: opened.snapshot().in_work == 10)
        await modest.send(wrap(ONE))
        await soon(lambda: opened.snapshot().waiting == 491)
        hold.set()
        assert await modest.answers(1) == [b"ACK " + ONE]
        assert await greedy.answers(500) == acks(numbered(500))
        assert corridor.kept.index(ONE) < 30, "not after the other's backlog"
        assert corridor.most_at_once <= 10
        greedy.close()
        modest.close()


async def test_memory_is_bounded_over_all_connections() -> None:
    corridor = NotingCorridor()
    limits = Limits(frame_bytes=1_000_000, held_bytes=2_000_000, frame_seconds=1.0, share=1)
    async with door(corridor, limits=limits) as opened:
        senders = [await Sender.connect(opened.address) for _ in range(12)]
        opening = [asyncio.create_task(one.send(VT + b"x" * 900_000)) for one in senders]
        most = 0
        for _ in range(50):
            await asyncio.sleep(0.01)
            most = max(most, opened.snapshot().held_bytes)
        assert most < 2_000_000 + 300_000
        finishing = [asyncio.create_task(one.send(END)) for one in senders]
        await asyncio.wait([*opening, *finishing], timeout=60)
        last = await Sender.connect(opened.address)
        await last.send(wrap(ONE))
        assert await last.answers(1) == [b"ACK " + ONE], "who never finishes is timed out and makes room"
        for task in (*opening, *finishing):
            task.cancel()
        await asyncio.gather(*opening, *finishing, return_exceptions=True)
        for one in (*senders, last):
            one.close()


async def test_a_flood_of_empty_frames_counts_as_memory_too() -> None:
    corridor = NotingCorridor()
    hold = corridor.hold()
    async with door(corridor, limits=Limits(frame_bytes=10_000, held_bytes=1_000_000, share=1)) as opened:
        senders = [await Sender.connect(opened.address) for _ in range(8)]
        for one in senders:
            await one.send(wrap(b"") * 10_000)
        await soon(lambda: opened.snapshot().held_bytes > 1_000_000)
        await asyncio.sleep(0.2)
        assert opened.snapshot().waiting < 20_000, "the others are not read from meanwhile"
        hold.set()
        for one in senders:
            assert len(await one.answers(10_000)) == 10_000
            one.close()


async def test_a_sender_that_does_not_read_its_answers_is_not_read_from_and_then_let_go() -> None:
    corridor = NotingCorridor()
    async with door(corridor, limits=Limits(frame_seconds=0.5)) as opened:
        sender = await Sender.connect(opened.address, receive_buffer=4096)
        sending = asyncio.create_task(sender.send(*([wrap(b"x" * 10_000)] * 20_000)))
        await soon(lambda: opened.snapshot().timed_out == 1)
        with pytest.raises(ConnectionError):
            await sending
        assert len(corridor.kept) < 2000
        sender.close()


async def test_more_connections_than_allowed_are_refused_and_counted() -> None:
    async with door(NotingCorridor(), limits=Limits(connections=2, share=1)) as opened:
        first, second = await Sender.connect(opened.address), await Sender.connect(opened.address)
        await soon(lambda: opened.snapshot().connections == 2)
        third = await Sender.connect(opened.address)
        assert await third.until_closed() == []
        assert opened.snapshot().refused == 1
        first.close()
        await soon(lambda: opened.snapshot().connections == 1)
        fourth = await Sender.connect(opened.address)
        await fourth.send(wrap(ONE))
        assert await fourth.answers(1) == [b"ACK " + ONE]
        for one in (second, third, fourth):
            one.close()


async def test_a_stop_answers_what_is_in_work_and_takes_nothing_more() -> None:
    corridor, frames = NotingCorridor(), numbered(10)
    hold = corridor.hold()
    opened = MllpDoor(corridor, limits=Limits(in_work_per_connection=4))
    await opened.start()
    address = opened.address
    sender = await Sender.connect(address)
    idle = await Sender.connect(address)
    await sender.send(b"".join(map(wrap, frames)))
    await soon(lambda: len(corridor.kept) == 4)
    stopping = asyncio.create_task(opened.stop(within=60))
    await asyncio.sleep(0.05)
    assert await idle.until_closed() == []
    with pytest.raises(ConnectionError):
        await Sender.connect(address)
    await sender.send(wrap(ONE))
    hold.set()
    assert await sender.until_closed() == acks(frames[:4])
    for one in (sender, idle):
        one.close()
    assert await stopping == 0
    assert corridor.kept == frames[:4]


async def test_a_stop_takes_no_longer_than_it_may_and_leaves_unanswered_what_is_not_done() -> None:
    corridor = NotingCorridor()
    corridor.hold(b"MSH|1")
    opened = MllpDoor(corridor)
    await opened.start()
    sender = await Sender.connect(opened.address)
    await sender.send(*map(wrap, numbered(3)))
    await soon(lambda: len(corridor.kept) == 3)
    await soon(lambda: len(corridor.done) == 2)
    async with asyncio.timeout(60):  # what is held is never let go
        assert await opened.stop(within=0.2) == 1
    assert await sender.until_closed() == [b"ACK MSH|0"]
    sender.close()
    counts = opened.snapshot()
    assert (counts.connections, counts.in_work, counts.held_bytes) == (0, 0, 0)


async def test_a_door_can_be_opened_where_another_was_closed() -> None:
    first = MllpDoor(NotingCorridor())
    await first.start()
    address = first.address
    sender = await Sender.connect(address)
    await sender.send(wrap(ONE))
    assert await sender.answers(1)
    await first.stop(within=0.1)
    sender.close()
    second = MllpDoor(NotingCorridor(), host=address[0], port=address[1])
    await second.start()
    await second.stop()


@pytest.mark.parametrize(
    "wrong",
    [{"connections": 0}, {"frame_seconds": 0}, {"held_bytes": 1000}, {"frame_bytes": 0}, {"share": 0}, {"share": 2}],
)
def test_limits_that_would_stop_everything_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"more than nothing|two frames"):
        Limits(**wrong)


@pytest.mark.parametrize("seed", range(6))
async def test_bytes_cut_anywhere_are_answered_the_same(seed: int) -> None:
    chance = random.Random(seed)
    pieces = [
        chance.choice(
            [wrap(ONE), wrap(b"MSH|%d" % n), VT + b"half", b"\r\n", b"noise", wrap(b"x" * 300), VT + ONE + FS]
        )
        for n in range(60)
    ]
    data = b"".join(pieces)
    told = []
    for whole in (True, False):
        corridor = NotingCorridor()
        async with door(corridor, limits=Limits(frame_bytes=200)) as opened:
            sender = await Sender.connect(opened.address)
            at = 0
            while at < len(data):
                size = len(data) if whole else chance.randrange(1, 80)
                await sender.send(data[at : at + size])
                await asyncio.sleep(0)
                at += size
            sender.stop_sending()
            told.append((await sender.until_closed(), corridor.kept, corridor.faults))
            sender.close()
    assert told[0] == told[1]
    assert len(told[0][0]) == len(told[0][1]) + len(told[0][2])
