"""The MLLP door: every frame is given on once, answered in its turn or not at all, whatever a sender does."""

from __future__ import annotations

import asyncio
import random

import pytest

from formats.mllp import END, FS, VT, Fault, wrap
from gateway.mllp_peer import Limits
from tests.gateway.mllp_client import Sender
from tests.gateway.mllp_corridor import NotingCorridor, door, soon
from tests.gateway.mllp_frames import ONE, acks, numbered


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
    async with door(corridor, limits=Limits(frame_seconds=1.0)) as opened:
        slow, other = await Sender.connect(opened.address), await Sender.connect(opened.address)
        await slow.send(wrap(ONE) + VT + b"MSH|")
        with pytest.raises(ConnectionError):
            for _ in range(3000):
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
    async with door(NotingCorridor(), limits=Limits(idle_seconds=1.0)) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(wrap(ONE))
        assert await sender.until_closed() == [b"ACK " + ONE]
        sender.close()
        await soon(lambda: opened.snapshot().connections == 0)
        assert opened.snapshot().idle_closed == 1


async def test_the_time_a_message_is_in_work_is_not_its_senders() -> None:
    corridor = NotingCorridor()
    hold = corridor.hold()
    async with door(corridor, limits=Limits(idle_seconds=2.0, frame_seconds=2.0, in_work_per_connection=1)) as opened:
        sender = await Sender.connect(opened.address)
        await sender.send(wrap(ONE) + wrap(ONE) + VT)
        await asyncio.sleep(2.5)
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
