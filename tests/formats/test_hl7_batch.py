"""Files and batches of HL7 messages: none of them lost, and a cut file is found."""

from __future__ import annotations

import pytest

from formats.hl7 import Unreadable, is_batch, read, split
from tests.formats.hl7_files import MSH, ORDER, message, sample

WHOLE = sample("batch_of_three")
ONE = message(*ORDER)


def test_a_file_is_split_into_its_messages_byte_for_byte() -> None:
    found = split(WHOLE)
    assert found.faults == []
    assert (found.control, [batch.control for batch in found.batches]) == ("F-1", ["B-1", "B-2"])
    assert [read(one).header.control for one in found.messages] == ["KIT-51", "KIT-53", "KIT-54"]
    for one in found.messages:
        assert one in WHOLE
    joined = sum(len(one) for one in found.messages) + sum(len(b.header) + len(b.trailer) for b in found.batches)
    assert joined + len(found.header) + len(found.trailer) == len(WHOLE) - WHOLE.count(b"\r") + sum(
        one.count(b"\r") for one in found.messages
    )


def test_messages_without_an_envelope_are_a_file_too() -> None:
    found = split(ONE + b"\r\n" + ONE)
    assert [read(one).header.control for one in found.messages] == ["W-1", "W-1"]
    assert found.faults == []
    assert not is_batch(ONE)
    assert is_batch(WHOLE)
    assert is_batch(b"\xef\xbb\xbf" + WHOLE)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r\r"])
def test_line_ends_of_all_kinds_split_the_same(ends: bytes) -> None:
    found = split(WHOLE.replace(b"\r", ends))
    assert found.faults == []
    assert [[segment.text for segment in read(one)] for one in found.messages] == [
        [segment.text for segment in read(one)] for one in split(WHOLE).messages
    ]


@pytest.mark.parametrize(
    ("damage", "kind", "path"),
    [
        ((b"BTS|2", b"BTS|3"), "count", "BTS-1"),
        ((b"BTS|1", b"BTS|one"), "count", "BTS(2)-1"),
        ((b"FTS|2", b"FTS|1"), "count", "FTS-1"),
        ((b"\rFTS|2\r", b"\r"), "cut", "FTS"),
        ((b"\rBTS|1\r", b"\r"), "cut", "BTS(2)"),
        ((b"FHS|^~\\&|STORES|NGH|FASCIA|NGH|20261102170000||req.hl7||F-1\r", b""), "cut", "FHS"),
        ((b"BTS|2\r", b"BTS|2\rjunk\r"), "envelope", "BTS"),
        ((b"FTS|2\r", b"FTS|2\rMSH|^~\\&|\r"), "envelope", "MSH(4)"),
    ],
)
def test_what_does_not_add_up_is_a_fault_and_the_messages_are_still_there(
    damage: tuple[bytes, bytes], kind: str, path: str
) -> None:
    assert damage[0] in WHOLE
    found = split(WHOLE.replace(*damage))
    assert (kind, path) in [(fault.kind, fault.path) for fault in found.faults]
    assert len(found.messages) >= 3


def test_a_message_missing_from_a_batch_is_found_by_its_count() -> None:
    messages = split(WHOLE).messages
    assert [fault.kind for fault in split(WHOLE.replace(messages[1], b"")).faults] == ["count"]


def test_a_batch_cut_at_any_byte_is_found() -> None:
    whole = WHOLE.rstrip(b"\r")
    for cut in range(3, len(whole)):
        found = split(whole[:cut])
        if not found.faults:  # only the count itself, or a part of it, is missing
            assert whole[:cut].rstrip(b"|").endswith(b"\rFTS")
            assert len(found.messages) == 3
        assert b"".join(found.messages) in b"".join(split(WHOLE).messages) or found.faults


def test_many_batches_without_a_file_envelope_are_found_cut_too() -> None:
    one = WHOLE[WHOLE.index(b"BHS") : WHOLE.index(b"BTS|2") + 6]
    assert [len(batch.messages) for batch in split(one + one).batches] == [2, 2]
    assert [fault.path for fault in split(one[:-6] + one).faults] == ["BTS"]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"BTS|1", b"\r\njunk\rMSH|^~\\&|", b"PID|1\rMSH|^~\\&|", b"FHS", b"FHSX|"]
)
def test_what_is_no_file_of_messages_is_refused(data: bytes) -> None:
    if data == b"FHS":
        assert [fault.kind for fault in split(data).faults] == ["cut"]
        return
    with pytest.raises(Unreadable, match="begins with none"):
        split(data)


def test_a_batch_in_two_bytes_a_letter_is_split() -> None:
    wide = b"\xff\xfe" + WHOLE.decode().encode("utf-16-le")
    assert [read(one).header.control for one in split(wide).messages] == ["KIT-51", "KIT-53", "KIT-54"]
    with pytest.raises(Unreadable, match="does not fit"):
        split(wide[:-1])


def test_bytes_of_any_set_come_out_as_they_went_in() -> None:
    noisy = message("NTE|1||" + "x", head=MSH).replace(b"x", bytes(range(0x80, 0x100)))
    assert split(noisy * 2).messages == [noisy.rstrip(b"\r")] * 2


def test_padding_after_the_end_is_no_fault() -> None:
    assert split(WHOLE + b"\x1a\x00\r\n").faults == []
