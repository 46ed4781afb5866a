"""Frames in a stream of bytes: however it is cut, whatever is wrong with it, each message comes out once or is told broken."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterable

import pytest

from formats.mllp import END, FS, NOISE_KEPT, VT, Broken, Fault, Frame, Frames, wrap

ONE = b"MSH|^~\\&|WARD|NGH|FASCIA|NGH|20261102||OMS^O05|1|P|2.5.1\rPID|1\r"
TWO = ONE.replace(b"|1|P|", b"|2|P|")
LIMIT = 200


def read(*pieces: bytes, limit: int = LIMIT, over: bool = True) -> list[Frame | Broken]:
    """Everything found in these pieces, one after another; ``over``: then the connection ended."""
    frames = Frames(limit)
    found = [one for piece in pieces for one in frames.feed(piece)]
    return [*found, *frames.end()] if over else found


def bytewise(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def test_a_frame_comes_out_as_it_was_sent() -> None:
    assert read(wrap(ONE)) == [Frame(ONE)]


def test_a_frame_may_be_split_anywhere_even_between_its_end_marks() -> None:
    data = wrap(ONE)
    for cut in range(len(data) + 1):
        assert read(data[:cut], data[cut:]) == [Frame(ONE)], cut
    assert read(*bytewise(data)) == [Frame(ONE)]


def test_a_thousand_frames_in_one_write_come_out_in_order() -> None:
    sent = [b"MSH|%d" % number for number in range(1000)]
    assert read(b"".join(map(wrap, sent))) == [Frame(one) for one in sent]


def test_a_frame_that_begins_inside_another_breaks_that_one_and_is_read_itself() -> None:
    assert read(VT + b"MSH|half" + wrap(TWO)) == [Broken(Fault.INTERRUPTED, b"MSH|half"), Frame(TWO)]


def test_an_end_without_its_carriage_return_swallows_no_message() -> None:
    assert read(VT + ONE + FS + wrap(TWO)) == [Broken(Fault.UNTERMINATED, ONE + FS), Frame(TWO)]


def test_a_doubled_start_mark_breaks_nothing() -> None:
    frames = Frames()
    assert frames.feed(VT + VT + wrap(ONE)) == [Frame(ONE)]
    assert frames.noise == 2


def test_a_lone_fs_within_a_frame_is_part_of_it() -> None:
    assert read(wrap(b"a" + FS + b"b")) == [Frame(b"a" + FS + b"b")]
    assert read(wrap(b"a" + FS)) == [Frame(b"a" + FS)]


def test_an_empty_frame_is_a_frame() -> None:
    assert read(wrap(b"") + wrap(ONE)) == [Frame(b""), Frame(ONE)]


def test_blanks_between_frames_are_skipped_and_counted() -> None:
    frames = Frames()
    assert frames.feed(b"\r\n" + wrap(ONE) + b"\r\n \x00" + END + wrap(TWO) + b"\n") == [Frame(ONE), Frame(TWO)]
    assert frames.end() == []
    assert frames.noise == 9


def test_noise_between_frames_is_told_with_its_first_bytes_and_costs_no_frame() -> None:
    noise = b"GET / HTTP/1.1" + b"x" * NOISE_KEPT
    frames = Frames()
    assert frames.feed(wrap(ONE) + b"\r\n" + noise + wrap(TWO)) == [
        Frame(ONE),
        Broken(Fault.NOISE, noise[:NOISE_KEPT]),
        Frame(TWO),
    ]
    assert frames.noise == len(noise) + 2


def test_a_message_without_its_start_mark_is_told_as_soon_as_it_ends() -> None:
    assert read(ONE + END, over=False) == [Broken(Fault.NOISE, ONE)]
    assert read(wrap(TWO) + ONE + END + wrap(TWO), over=False) == [Frame(TWO), Broken(Fault.NOISE, ONE), Frame(TWO)]


def test_a_frame_of_the_limit_is_taken_and_one_byte_more_is_too_large() -> None:
    most = b"x" * LIMIT
    assert read(wrap(most)) == [Frame(most)]
    assert read(wrap(most + b"y") + wrap(ONE)) == [Broken(Fault.TOO_LARGE, most), Frame(ONE)]


def test_a_frame_is_too_large_as_soon_as_that_is_known_and_the_rest_of_it_is_passed_over() -> None:
    frames = Frames(LIMIT)
    assert frames.feed(VT + b"x" * LIMIT) == []
    assert frames.feed(FS) == []
    assert frames.feed(b"x") == [Broken(Fault.TOO_LARGE, b"x" * LIMIT)]
    assert frames.open
    assert frames.feed(b"x" * LIMIT * 9) == []
    assert frames.feed(END + wrap(ONE)) == [Frame(ONE)]


def test_after_a_frame_too_large_the_next_start_mark_begins_anew() -> None:
    assert read(VT + b"x" * LIMIT * 3, b"x" * 9 + wrap(ONE)) == [Broken(Fault.TOO_LARGE, b"x" * LIMIT), Frame(ONE)]


def test_a_frame_of_64_mb_is_refused_without_being_held() -> None:
    piece = b"x" * 65536
    frames = Frames(1_000_000)
    tracemalloc.start()
    try:
        found = frames.feed(VT)
        for _ in range(1024):
            found += frames.feed(piece)
        found += frames.feed(END + wrap(ONE))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [type(one) for one in found] == [Broken, Frame]
    assert most < 4_000_000
    assert frames.held == 0


def test_noise_without_end_is_not_held() -> None:
    frames = Frames()
    for _ in range(100):
        assert frames.feed(b"x" * 65536) == []
    assert frames.held == NOISE_KEPT
    assert frames.noise == 100 * 65536


def test_a_connection_that_ends_inside_a_frame_leaves_what_there_was() -> None:
    assert read(wrap(ONE) + VT + b"MSH|half") == [Frame(ONE), Broken(Fault.TRUNCATED, b"MSH|half")]
    assert read(VT + ONE + FS) == [Broken(Fault.TRUNCATED, ONE + FS)]
    assert read(VT) == [], "nothing was lost"
    assert read(b"MSH|") == [Broken(Fault.NOISE, b"MSH|")]
    assert read() == []


def test_a_frame_given_up_for_its_time_is_told_so_once() -> None:
    frames = Frames(LIMIT)
    frames.feed(VT + b"MSH|half")
    assert frames.end(Fault.TIMED_OUT) == [Broken(Fault.TIMED_OUT, b"MSH|half")]
    assert frames.end() == []
    assert not frames.open


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        Frames(0)


@pytest.mark.parametrize("seed", range(40))
def test_the_same_bytes_cut_anywhere_give_the_same_frames(seed: int) -> None:
    chance = random.Random(seed)
    data = _stream(chance)
    whole = read(data, limit=40)
    assert read(*bytewise(data), limit=40) == whole
    for _ in range(20):
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 12)))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert read(*pieces, limit=40) == whole, (data, cuts)


@pytest.mark.parametrize("seed", range(40))
def test_no_byte_that_matters_is_dropped_without_a_word(seed: int) -> None:
    data = _stream(random.Random(seed))
    told = b"".join(one.data for one in read(data, limit=len(data)))
    marks = bytes.maketrans(b"", b"")
    without = VT + FS + b"\r\n \t\x00"
    assert told.translate(marks, without) == data.translate(marks, without)


@pytest.mark.prove
def test_a_quarter_of_a_million_streams_cut_at_random_give_the_same_frames() -> None:
    chance = random.Random(2026)
    for _ in range(250_000):
        data = _stream(chance, most=8)
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(3))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert read(*pieces, limit=40) == read(data, limit=40), (data, cuts)


def _stream(chance: random.Random, most: int = 40) -> bytes:
    """Good frames, and everything that goes wrong with them."""
    parts = []
    for _ in range(chance.randrange(1, most)):
        body = bytes(chance.choices(b"MSH|^~\\&\r\x1cab\xe9", k=chance.randrange(60)))
        parts.append(
            chance.choice([wrap(body), wrap(body), VT + body, body + END, body, VT + body + FS, b"\r\n", VT, FS, END])
        )
    return b"".join(parts)


def test_reading_takes_time_in_proportion_to_the_bytes() -> None:
    """What made other readers quadratic: a large frame in small pieces, and start marks without an end."""
    for make in (lambda size: wrap(b"x" * size), lambda size: VT * size):
        took = [min(_seconds(make(size)) for _ in range(3)) for size in (10_000, 160_000)]
        assert took[1] < took[0] * 16 * 6, took


def _seconds(data: bytes) -> float:
    frames = Frames(len(data))
    began = time.thread_time()
    for at in range(0, len(data), 1000):
        frames.feed(data[at : at + 1000])
    frames.feed(data)
    return time.thread_time() - began
