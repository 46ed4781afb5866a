"""Each fault does to the bytes what its name says, at the letters it says, and always the same."""

from __future__ import annotations

import pytest

from canonical.errors import Malformed
from cli.synthetic.faults import HUGE, NOISE, USUALLY, Faults, Step, Wire
from cli.synthetic.traffic import Letter, Plan
from formats.hl7 import check, read
from formats.mllp import VT, Broken, Fault, Frame, Frames, wrap

LETTERS = list(Plan(kinds=("ADT^A08",), many=20).letters())


def written(*words: str, many: int = 20, huge_bytes: int = 5000) -> list[Step]:
    wire = Wire("1", 0, Faults.read(words, huge_bytes))
    return [*(step for letter in LETTERS[:many] for step in wire.take(letter)), *wire.end()]


def stream(steps: list[Step]) -> bytes:
    return b"".join(step.data for step in steps)


def numbers(steps: list[Step]) -> list[int]:
    return [letter.number for step in steps for letter in step.letters]


def cut(data: bytes, limit: int = 2**24) -> list[Frame | Broken]:
    frames = Frames(limit)
    return [*frames.feed(data), *frames.end()]


def test_without_a_fault_each_write_is_one_frame() -> None:
    steps = written()
    assert [step.data for step in steps] == [wrap(letter.data) for letter in LETTERS]
    assert {step.then for step in steps} == {""}


def test_pipelined_frames_are_one_write() -> None:
    steps = written("pipelined/8")
    assert [len(step.letters) for step in steps] == [8, 8, 4]
    assert [found.data for found in cut(steps[0].data)] == [letter.data for letter in LETTERS[:8]]
    assert USUALLY["pipelined"] == 1000


def test_a_doubled_message_comes_twice_with_the_same_bytes() -> None:
    steps = written("doubled/5", many=10)
    assert numbers(steps) == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
    assert [(found.data, found.fault) for step in steps[4:6] for found in step.letters] == [
        (LETTERS[4].data, ""),
        (LETTERS[4].data, "doubled"),
    ]


def test_swapped_messages_come_in_each_others_place_and_none_is_lost() -> None:
    assert numbers(written("swapped/4", many=8)) == [1, 2, 3, 5, 4, 6, 7, 8]
    assert numbers(written("swapped/4", many=4)) == [1, 2, 3, 4]


def test_noise_stands_between_frames_and_breaks_none() -> None:
    steps = written("noise/3", many=12)
    noisy = [step for step in steps if not step.data.startswith(VT)]
    assert [step.letters[0].number for step in noisy] == [3, 6, 9, 12]
    assert all(step.data.partition(VT)[0] in NOISE for step in noisy)
    found = cut(stream(steps))
    assert [one.data for one in found if isinstance(one, Frame)] == [letter.data for letter in LETTERS[:12]]
    assert {one.fault for one in found if isinstance(one, Broken)} <= {Fault.NOISE}


def test_a_frame_that_is_never_closed_has_no_end_and_leaves_its_connection_open() -> None:
    steps = written("unclosed/6", many=7)
    assert [step.then for step in steps] == ["", "", "", "", "", "leave", ""]
    assert steps[5].data == VT + LETTERS[5].data
    assert cut(steps[5].data) == [Broken(Fault.TRUNCATED, LETTERS[5].data)]
    pipelined = written("unclosed/3", "pipelined/10", many=5)
    assert [(len(step.letters), step.then) for step in pipelined] == [(2, ""), (1, "leave"), (2, "")]


def test_a_huge_message_is_as_large_as_said_and_right_but_for_its_size() -> None:
    assert HUGE == 64 * 2**20
    steps = written("huge/2", many=2, huge_bytes=300_000)
    (letter,) = steps[1].letters
    assert (len(letter.data), letter.fault) == (300_000, "huge")
    assert check(read(letter.data)).ok
    (found,) = cut(steps[1].data, limit=200_000)
    assert isinstance(found, Broken) and found.fault is Fault.TOO_LARGE


@pytest.mark.parametrize(("fault", "then"), [("reconnect", "close"), ("half-close", "half-close")])
def test_a_connection_ends_after_so_many_messages(fault: str, then: str) -> None:
    assert [step.then for step in written(f"{fault}/3", many=8)] == ["", "", then, "", "", then, "", ""]
    assert [(len(step.letters), step.then) for step in written(f"{fault}/3", "pipelined/5", many=6)] == [(3, then)] * 2


def test_the_same_faults_strike_the_same_letters_with_the_same_bytes() -> None:
    words = ("noise/3", "doubled/4", "swapped/5", "unclosed/7", "half-close/6")
    assert written(*words) == written(*words)
    sent = numbers(written(*words))
    assert set(sent) == {letter.number for letter in LETTERS} and len(sent) == 25


def test_every_fault_is_read_by_its_name_and_a_wrong_one_refused() -> None:
    assert Faults.read(tuple(name for name in USUALLY if name != "reconnect")).every == {
        name: often for name, often in USUALLY.items() if name != "reconnect"
    }
    for words in (("fire",), ("noise/",), ("noise/0",), ("noise/x",), ("reconnect", "half-close")):
        with pytest.raises(Malformed):
            Faults.read(words)


def test_a_letter_knows_its_format() -> None:
    made = {kind: Letter(1, kind, "", b"", 0).format for kind in ("ADT^A01", "855", "catalogue", "SupplyRequest")}
    assert made == {"ADT^A01": "hl7", "855": "x12", "catalogue": "csv", "SupplyRequest": "json"}
