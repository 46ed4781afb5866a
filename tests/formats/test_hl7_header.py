"""The first segment of an HL7 message: what a door must know to keep, answer and route it."""

from __future__ import annotations

import pytest

from formats.hl7 import Unreadable, header, structure_of, wanted
from tests.formats.hl7_files import CLEAN, MSH, message, sample


def test_a_header_says_who_sends_what_to_whom_under_which_number() -> None:
    found = header(sample("oms_o05"))
    assert found.sender == ("WARD", "NGH")
    assert found[3] == "WARD^2.16.840.1.113883.3.9001^ISO"
    assert found.receiver == ("FASCIA", "NGH")
    assert (found.type, found.event, found.structure) == ("OMS", "O05", "OMS_O05")
    assert (found.control, found.version, found.processing) == ("WARD-000017", "2.5.1", "P")
    assert (found.sent, found.charset, found.codec) == ("20261102081500-0500", "UNICODE UTF-8", "utf-8")
    assert (found.accept, found.application, found.enhanced) == ("AL", "NE", True)
    assert found.faults == ()


@pytest.mark.parametrize("name", CLEAN)
def test_every_sample_has_a_header_without_fault(name: str) -> None:
    found = header(sample(name))
    assert found.faults == ()
    assert found.control
    assert found.structure.startswith(found.type)


def test_original_mode_is_an_empty_msh_15_and_16() -> None:
    assert not header(message()).enhanced
    assert header(message(head=MSH + "||||ER")).application == "ER"


@pytest.mark.parametrize(
    ("condition", "on_success", "on_error"),
    [("AL", True, True), ("NE", False, False), ("SU", True, False), ("ER", False, True), ("", False, False)],
)
def test_msh_15_and_16_say_when_an_answer_is_wanted(condition: str, on_success: bool, on_error: bool) -> None:
    assert wanted(condition, succeeded=True) is on_success
    assert wanted(condition, succeeded=False) is on_error


@pytest.mark.parametrize(
    ("kind", "event", "given", "structure"),
    [
        ("ADT", "A08", "", "ADT_A01"),
        ("ADT", "A04", "ADT_A04", "ADT_A01"),
        ("ADT", "A40", "", "ADT_A39"),
        ("PMU", "B02", "", "PMU_B01"),
        ("SIU", "S15", "", "SIU_S12"),
        ("OMS", "O05", "", "OMS_O05"),
        ("MFN", "M16", "MFN_M16", "MFN_M16"),
        ("ADT", "A08", "ADT_A99", "ADT_A99"),
        ("ACK", "A01", "", "ACK"),
        ("ACK", "", "", "ACK"),
    ],
)
def test_an_event_finds_its_structure(kind: str, event: str, given: str, structure: str) -> None:
    assert structure_of(kind, event, given) == structure


def test_marks_are_what_the_message_says() -> None:
    odd = header(sample("taught_odd_marks")).marks
    assert (odd.field, odd.component, odd.repetition, odd.escape, odd.subcomponent) == tuple("$%*!@")
    assert header(sample("adt_a01_27")).marks.truncation == "#"
    few = header(b"MSH|^|A|B|C|D|20261102||ADT^A01|1|P|2.5").marks
    assert (few.component, few.repetition, few.escape, few.subcomponent) == ("^", "", "", "")


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [(9, "field-missing", "101"), (10, "field-missing", "101"), (12, "field-missing", "101")],
)
def test_a_missing_field_is_named_and_the_rest_is_still_read(number: int, kind: str, code: str) -> None:
    fields = MSH.split("|")
    fields[number - 1] = ""
    found = header(message(head="|".join(fields)))
    (fault,) = found.faults
    assert (fault.segment, fault.field, fault.kind, fault.code) == ("MSH", number, kind, code)
    assert found.sender == ("WARD", "NGH")


def test_a_header_cut_after_any_byte_is_read_or_refused() -> None:
    whole = message()
    for cut in range(len(whole)):
        try:
            found = header(whole[:cut])
        except Unreadable as refused:
            assert refused.fault.segment == "MSH"
            assert cut < 9
        else:
            assert found.faults or cut > whole.index(b"2.5.1")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"M",
        b"MSH",
        b"msh|^~\\&|",
        b"MSHA^~\\&A",
        b"MSH ^~\\& ",
        b"MSH|||||",
        b"MSH|^^\\&|",
        b"MSH|^~A&|",
        b"MSH|^~\\&#!|",
        b"PID|1",
        b" MSH|^~\\&|",
        b"\x0bMSH|^~\\&|",
        b"\xff\xfeM",
        b"{}",
        b"MSH|" + b"x" * 20_000,
    ],
)
def test_without_readable_marks_there_is_no_header(data: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        header(data)
    assert refused.value.path.startswith("MSH")
    assert refused.value.code in ("no-header", "separators", "header-too-long")


def test_a_character_set_we_cannot_read_is_a_fault_of_msh_18() -> None:
    found = header(message(head=MSH + "||||||CNS 11643-1992"))
    (fault,) = found.faults
    assert (fault.kind, fault.code, fault.path) == ("character-set", "103", "MSH-18")
    assert found.control == "W-1"


def test_utf_16_that_is_not_utf_16_is_a_fault_and_can_still_be_answered() -> None:
    found = header(message(head=MSH + "||||||UNICODE UTF-16"))
    assert [fault.path for fault in found.faults] == ["MSH-18"]
    assert found.codec == "ascii"


def test_letters_beyond_ascii_in_a_header_are_read_by_its_own_set() -> None:
    text = MSH.replace("WARD", "STÄTION")
    assert header(f"{text}||||||8859/1\r".encode("latin-1")).sender == ("STÄTION", "NGH")
    assert header(f"{text}\r".encode()).sender == ("STÄTION", "NGH")
    broken = header(f"{text}\r".encode("latin-1"))
    assert broken.codec == "latin-1"
    assert [(fault.kind, fault.path) for fault in broken.faults] == [("character-set", "MSH-3")]
    assert header(f"{text}\r".encode("latin-1"), default="8859/1").faults == ()


def test_a_header_of_two_bytes_a_letter_is_read() -> None:
    for codec, mark in (
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b""),
        ("utf-16-le", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
    ):
        found = header(mark + message(head=MSH + "||||||UNICODE UTF-16").decode().encode(codec))
        assert (found.control, found.codec, found.faults) == ("W-1", codec, ())


def test_a_number_of_endless_length_is_a_fault() -> None:
    (fault,) = header(message(head=MSH.replace("W-1", "9" * 300))).faults
    assert (fault.kind, fault.path) == ("too-long", "MSH-10")
