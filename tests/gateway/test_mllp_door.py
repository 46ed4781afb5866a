"""The MLLP door: every frame is given on once, answered in its turn or not at all, whatever a sender does."""

from __future__ import annotations

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from formats.mllp import END, FS, VT, Fault, wrap
from gateway.mllp import MllpDoor
from gateway.mllp_peer import Limits
from tests.gateway.mllp_client import Sender
from tests.gateway.mllp_corridor import NotingCorridor, door, soon

ONE = b"MSH|^~\\&|WARD|NGH|FASCIA|NGH|20261102||OMS^O05|1|P|2.5.1\r"


def numbered(count: int) -> list[bytes]:
    return [b"MSH|%d" % number for number in range(count)]


def acks(frames: list[bytes]) -> list[bytes]:
    return [b"ACK " + frame for frame in frames]


async def test_a_frame_is_given_on_and_its_answer_comes_back_on_a_connection_that_is_kept() -> None:
    corridor = NotingCorridor()
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        for _ in range(3):
            await sender.send(wrap(ONE))
            assert await sender.answers(1) == [b"ACK " + ONE]
        sender.close()
    assert corridor.kept == [ONE] * 3
    assert corridor.peers[0].host == "127.0.0.1"
    assert corridor.peers[0].listener == "test"
    assert len({peer.connection for peer in corridor.peers}) == 1


async def test_a_frame_byte_by_byte_is_one_frame() -> None:
    corridor = NotingCorridor()
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        data = wrap(ONE[:30])
        await sender.send(*(data[at : at + 1] for at in range(len(data))), pause=0.001)
        assert await sender.answers(1) == [b"ACK " + ONE[:30]]
        sender.close()


async def test_a_thousand_frames_in_one_write_are_all_answered_in_order() -> None:
    corridor, frames = NotingCorridor(), numbered(1000)
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(b"".join(map(wrap, frames)))
        assert await sender.answers(1000) == acks(frames)
        sender.close()
    assert corridor.kept == frames


async def test_frames_of_one_connection_are_in_work_together_begun_in_order_and_answered_in_order() -> None:
    corridor, frames = NotingCorridor(), numbered(40)
    holds = {frame: corridor.hold(frame) for frame in frames}
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(b"".join(map(wrap, frames)))
        await soon(lambda: len(corridor.kept) == 40)
        assert corridor.kept == frames, "begun in the sender's order"
        for frame in random.Random(4).sample(frames, 40):
            holds[frame].set()
            await asyncio.sleep(0)
        assert await sender.answers(40) == acks(frames)
        sender.close()
    assert corridor.done != frames, "done in another order"


async def test_an_answer_does_not_overtake_the_one_before_it() -> None:
    corridor = NotingCorridor()
    first = corridor.hold(b"MSH|0")
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(*map(wrap, numbered(2)))
        await soon(lambda: corridor.done == [b"MSH|1"])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await sender.answers(1)
        first.set()
        assert await sender.answers(2) == acks(numbered(2))
        sender.close()


async def test_a_message_that_wants_no_answer_gets_none() -> None:
    corridor = NotingCorridor()
    corridor.silent.add(b"MSH|0")
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(*map(wrap, numbered(2)))
        assert await sender.answers(1) == [b"ACK MSH|1"]
        sender.stop_sending()
        assert await sender.until_closed() == []
        sender.close()


async def test_noise_between_frames_costs_no_message() -> None:
    corridor = NotingCorridor()
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(b"\r\n" + wrap(ONE) + b"\r\n\r\n" + wrap(ONE) + b"GET / HTTP/1.1" + wrap(ONE))
        assert await sender.answers(4) == [*acks([ONE, ONE]), b"NAK noise", b"ACK " + ONE]
        assert opened.snapshot().noise_bytes == 6 + 14
        sender.close()
    assert corridor.faults == [(Fault.NOISE, b"GET / HTTP/1.1")]


async def test_a_frame_inside_another_is_read_and_the_broken_one_is_told_in_its_place() -> None:
    corridor = NotingCorridor()
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(VT + b"half" + wrap(ONE) + VT + ONE + FS + wrap(ONE))
        assert await sender.answers(4) == [b"NAK interrupted", b"ACK " + ONE, b"NAK unterminated", b"ACK " + ONE]
        assert opened.snapshot().broken == {"interrupted": 1, "unterminated": 1}
        sender.close()
    assert corridor.faults == [(Fault.INTERRUPTED, b"half"), (Fault.UNTERMINATED, ONE + FS)]


async def test_an_empty_frame_is_the_corridors_to_answer() -> None:
    corridor = NotingCorridor()
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(wrap(b"") + wrap(ONE))
        assert await sender.answers(2) == [b"ACK ", b"ACK " + ONE]
        sender.close()


async def test_64_megabytes_are_refused_at_the_limit_and_the_next_frame_is_taken() -> None:
    corridor = NotingCorridor()
    async with door(corridor, limits=Limits(frame_bytes=1_000_000)) as opened:
        sender = await Sender.connect(opened.address)
        most = 0
        await sender.send(VT)
        for _ in range(64):
            await sender.send(b"x" * 1_048_576)
            most = max(most, opened.snapshot().held_bytes)
        await sender.send(END + wrap(ONE))
        assert await sender.answers(2) == [b"NAK too_large", b"ACK " + ONE]
        assert most <= 2_000_000
        sender.close()
    assert [(fault, len(data)) for fault, data in corridor.faults] == [(Fault.TOO_LARGE, 1_000_000)]


async def test_a_sender_that_never_closes_a_frame_is_cut_off_however_it_drips() -> None:
    corridor = NotingCorridor()
    async with door(corridor, limits=Limits(frame_seconds=0.3)) as opened:
        slow, other = await Sender.connect(opened.address), await Sender.connect(opened.address)
        await slow.send(wrap(ONE) + VT + b"MSH|")
        with pytest.raises(ConnectionError):
            for _ in range(200):
                await slow.send(b"x", pause=0.02)
        await other.send(wrap(ONE))
        assert await other.answers(1) == [b"ACK " + ONE], "nobody else is held up"
        assert opened.snapshot().timed_out == 1
        slow.close()
        other.close()
    ((fault, data),) = corridor.faults
    assert fault is Fault.TIMED_OUT
    assert data.startswith(b"MSH|x")


async def test_who_is_cut_off_has_its_answers_first() -> None:
    corridor = NotingCorridor()
    async with door(corridor, limits=Limits(frame_seconds=0.2)) as opened:
        slow = await Sender.connect(opened.address)
        await slow.send(wrap(ONE) + VT + b"MSH|")
        assert await slow.until_closed() == [b"ACK " + ONE, b"NAK timed_out"]
        slow.close()


async def test_a_sender_that_says_nothing_for_long_is_let_go() -> None:
    async with door(NotingCorridor(), limits=Limits(idle_seconds=0.2)) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(wrap(ONE))
        assert await sender.until_closed() == [b"ACK " + ONE]
        sender.close()
        await soon(lambda: opened.snapshot().connections == 0)
        assert opened.snapshot().idle_closed == 1


async def test_the_time_a_message_is_in_work_is_not_its_senders() -> None:
    corridor = NotingCorridor()
    hold = corridor.hold()
    async with door(corridor, limits=Limits(idle_seconds=0.5, frame_seconds=0.5, in_work_per_connection=1)) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(wrap(ONE) + wrap(ONE) + VT)
        await asyncio.sleep(0.8)
        hold.set()
        assert await sender.answers(2) == acks([ONE, ONE])
        await asyncio.sleep(0.2)
        await sender.send(ONE + END)
        assert await sender.answers(1) == acks([ONE])
        assert opened.snapshot().timed_out == 0
        sender.close()


async def test_a_half_closed_connection_still_gets_its_answers() -> None:
    corridor = NotingCorridor()
    hold = corridor.hold()
    async with door(corridor) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(*map(wrap, numbered(3)))
        sender.stop_sending()
        await soon(lambda: len(corridor.kept) == 3)
        await asyncio.sleep(0.05)
        hold.set()
        assert await sender.until_closed() == acks(numbered(3))
        sender.close()
        await soon(lambda: opened.snapshot().connections == 0)


async def test_a_frame_cut_by_the_end_of_the_connection_is_told_with_what_there_was() -> None:
    corridor = NotingCorridor()
    async with door(corridor) as opened:
        for leave in (Sender.stop_sending, Sender.close, Sender.reset):
            sender = await Sender.connect(opened.address)
            await sender.send(wrap(ONE) + VT + b"MSH|half")
            assert await sender.answers(1) == [b"ACK " + ONE]
            leave(sender)
            await soon(lambda: opened.snapshot().connections == 0)
            sender.close()
    assert corridor.faults == [(Fault.TRUNCATED, b"MSH|half")] * 3


async def test_whole_frames_of_a_sender_that_is_gone_are_taken() -> None:
    corridor, frames = NotingCorridor(), numbered(200)
    async with door(corridor, limits=Limits(in_work_per_connection=2)) as opened:
        hold = corridor.hold()
        sender = await Sender.connect(opened.address)
        await sender.send(b"".join(map(wrap, frames)))
        await soon(lambda: opened.snapshot().frames == 200)
        sender.reset()
        hold.set()
        await soon(lambda: len(corridor.done) == 200)
        await soon(lambda: opened.snapshot().held_bytes == 0)
    assert corridor.kept == frames


async def test_a_connection_for_each_message_is_served() -> None:
    corridor, frames = NotingCorridor(), numbered(200)
    async with door(corridor) as opened:
        for frame in frames:
            sender = await Sender.connect(opened.address)
            await sender.send(wrap(frame))
            assert await sender.answers(1) == [b"ACK " + frame]
            sender.close()
        await soon(lambda: opened.snapshot().connections == 0)
        assert opened.snapshot().accepted == 200
    assert corridor.kept == frames


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
    async with door(corridor, limits=Limits(in_work=10)) as opened:
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
    limits = Limits(frame_bytes=1_000_000, held_bytes=2_000_000, frame_seconds=1.0)
    async with door(corridor, limits=limits) as opened:
        senders = [await Sender.connect(opened.address) for _ in range(12)]
        opening = [asyncio.create_task(one.send(VT + b"x" * 900_000)) for one in senders]
        most = 0
        for _ in range(50):
            await asyncio.sleep(0.01)
            most = max(most, opened.snapshot().held_bytes)
        assert most < 2_000_000 + 300_000
        finishing = [asyncio.create_task(one.send(END)) for one in senders]
        await asyncio.wait([*opening, *finishing], timeout=10)
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
    async with door(corridor, limits=Limits(frame_bytes=10_000, held_bytes=1_000_000)) as opened:
        senders = [await Sender.connect(opened.address) for _ in range(8)]
        for one in senders:
            await one.send(wrap(b"") * 10_000)
        await asyncio.sleep(0.2)
        assert opened.snapshot().held_bytes > 1_000_000
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
        await soon(lambda: opened.snapshot().timed_out == 1, within=10)
        with pytest.raises(ConnectionError):
            await sending
        assert len(corridor.kept) < 2000
        sender.close()


async def test_more_connections_than_allowed_are_refused_and_counted() -> None:
    async with door(NotingCorridor(), limits=Limits(connections=2)) as opened:
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
    stopping = asyncio.create_task(opened.stop(within=5))
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


@pytest.mark.parametrize("wrong", [{"connections": 0}, {"frame_seconds": 0}, {"held_bytes": 1000}, {"frame_bytes": 0}])
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
