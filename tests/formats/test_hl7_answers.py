"""Answering HL7 messages, reading answers to ours, and writing messages of our own."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from formats.hl7 import (
    VERSIONS,
    Code,
    Fault,
    Moment,
    Null,
    Unreadable,
    acknowledge,
    check,
    header,
    header_segment,
    read,
    read_acknowledgement,
    segment,
    write,
)
from formats.hl7 import Acknowledgement as Answer
from formats.hl7_faults import CONDITIONS
from tests.formats.hl7_files import CLEAN, MSH, ORDER, WHEN, message, sample

WRONG = (
    Fault("102", "data-type", "RQD(2)-5 is not a number", "RQD", 2, 5, 1, 1),
    Fault("100", "segment-missing", "RXR is missing at the end", "RXR", 1),
    Fault("104", "too-long", "RQD-7 is longer than 20 characters", "RQD", 1, 7, severity="W"),
)


def answered(data: bytes, code: Code = "AA", faults: tuple[Fault, ...] = (), text: str = "") -> bytes:
    return acknowledge(header(data), code, control="F-1", when=WHEN, faults=faults, text=text)


@pytest.mark.parametrize("name", CLEAN)
def test_every_sample_is_answered_by_its_own_number_to_its_own_sender(name: str) -> None:
    head = header(sample(name))
    answer = answered(sample(name))
    found = read(answer)
    assert found.raw("MSA-1") == "AA"
    assert found.raw("MSA-2") == head.control
    assert (found.header.sender, found.header.receiver) == (head.receiver, head.sender)
    assert (found.header[3], found.header[5]) == (head[5], head[3])
    assert (found.header.type, found.header.event, found.header.structure) == ("ACK", head.event, "ACK")
    assert found.header.version == head.version
    assert found.header.charset == head.charset
    assert found.header.marks == head.marks
    assert found.header.control == "F-1"
    assert found.header.sent == "20261102091500+0000"
    assert check(found).faults == ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("code", ["AA", "AE", "CR"])
def test_an_answer_in_every_version_is_legal_and_hl7apy_thinks_so_too(version: str, code: Code) -> None:
    data = message(*ORDER, head=MSH.replace("2.5.1", version))
    answer = answered(data, code, WRONG)
    report = check(read(answer))
    assert report.known
    assert report.faults == ()
    if version in ("2.3", "2.7.1"):  # hl7apy finds no structure without MSH-9.3, and has no tables of 2.7.1
        return
    parsed = parse_message(answer.decode(), validation_level=VALIDATION_LEVEL.STRICT)
    assert Validator.validate(parsed, return_errors=True).errors == []


def test_a_refusal_says_where_and_what_since_2_5() -> None:
    found = read(answered(message(*ORDER), "AE", WRONG))
    errors = found.all("ERR")
    assert [one.text for one in errors] == [
        "ERR||RQD^2^5^1^1|102^Data type error^HL70357|E||||RQD(2)-5 is not a number",
        "ERR||RXR^1|100^Segment sequence error^HL70357|E||||RXR is missing at the end",
    ]
    assert found.value("MSA-3") == ""


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4"])
def test_a_refusal_says_where_and_what_before_2_5(version: str) -> None:
    found = read(answered(message(*ORDER, head=MSH.replace("2.5.1", version)), "AE", WRONG))
    (error,) = found.all("ERR")
    assert error.text == "ERR|RQD^2^5^102&Data type error&HL70357~RXR^1^^100&Segment sequence error&HL70357"
    assert found.value("MSA-3") == "RQD(2)-5 is not a number"


def test_the_type_of_an_answer_has_a_structure_since_2_3_1() -> None:
    assert read(answered(message(*ORDER, head=MSH.replace("2.5.1", "2.3")))).raw("MSH-9") == "ACK^O05"
    assert read(answered(message(*ORDER))).raw("MSH-9") == "ACK^O05^ACK"
    assert read(answered(message(*ORDER, head=MSH.replace("OMS^O05^OMS_O05", "OMS")))).raw("MSH-9") == "ACK"


def test_an_accepted_message_gets_no_error_even_with_warnings() -> None:
    assert b"ERR" not in answered(message(*ORDER), "AA", WRONG)
    assert b"ERR" not in answered(message(*ORDER), "CA", WRONG)


def test_a_reason_without_a_place_is_said_too() -> None:
    answer = read_acknowledgement(answered(message(*ORDER), "AE", text="The store is away, send again"))
    assert [(one.code, one.text) for one in answer.errors] == [("207", "The store is away, send again")]
    assert answer.repeatable


@pytest.mark.parametrize(("code", "given"), [("AA", "AR"), ("AE", "AR"), ("CA", "CR")])
def test_what_has_no_number_or_no_header_is_refused_with_the_reason(code: Code, given: str) -> None:
    nameless = message(*ORDER, head=MSH.replace("W-1", ""))
    unframed = message(*ORDER, head=MSH.replace("W-1", "W\x1c1"))
    for data in (nameless, unframed):
        found = read(acknowledge(header(data), code, control="F-1", when=WHEN, faults=header(data).faults))
        assert (found.value("MSA-1"), found.raw("MSA-2"), found.value("ERR-2.1")) == (given, "", "MSH")
        assert found.value("ERR-2.3") == "10"
    with pytest.raises(Unreadable) as refused:
        header(b"hello")
    answer = acknowledge(None, code, control="F-1", when=WHEN, faults=(refused.value.fault,))
    found = read(answer)
    assert answer.split(b"\r")[1] == f"MSA|{given}|".encode()
    assert found.value("ERR-8") == "The message does not begin with MSH"
    assert check(found).errors[0].path == "MSA-2"


def test_a_sender_with_odd_marks_is_answered_with_them() -> None:
    answer = answered(sample("taught_odd_marks"), "AE", WRONG)
    assert answer.split(b"\r")[2].startswith(b"ERR$$RQD%2%5%1%1$102%Data type error%HL70357$E$$$$RQD(2)-5 is")
    assert read_acknowledgement(answer).errors[0].place == "RQD(2)-5.1"


def test_marks_that_are_not_named_are_not_used() -> None:
    few = b"MSH|^|A|B|C|D|20261102||ADT^A01|1|P|2.4\r"
    assert answered(few, "AE", WRONG).count(b"ERR|RQD^2^5^102") == 1
    none = b"MSH|~|A|B|C|D|20261102||ADT|1|P|2.5\r"
    assert read(answered(none, "AE", WRONG)).header.control == "F-1"


def test_an_answer_carries_no_character_that_would_break_its_frame() -> None:
    data = message(*ORDER, head=MSH.replace("WARD", "WA\x1cR\x0bD"))
    answer = answered(data, "AE", header(data).faults)
    assert not set(answer) & {0x0B, 0x1C, 0}
    assert read(answer).raw("MSA-2") == "W-1"
    assert read(answer).value("MSH-5") == "WARD"


@pytest.mark.parametrize("name", ["taught_utf16", "taught_japanese", "taught_latin1"])
def test_an_answer_is_in_the_set_of_the_message(name: str) -> None:
    head = header(sample(name))
    assert answered(sample(name)).decode(head.codec).startswith("MSH|")


@pytest.mark.parametrize("version", ["2.3", "2.5.1"])
def test_an_answer_is_read_back_as_it_was_meant(version: str) -> None:
    data = message(*ORDER, head=MSH.replace("2.5.1", version))
    answer = read_acknowledgement(answered(data, "AR", WRONG))
    assert isinstance(answer, Answer)
    assert (answer.code, answer.control) == ("AR", "W-1")
    assert not (answer.accepted or answer.repeatable or answer.commit)
    assert [one.code for one in answer.errors] == ["102", "100"]
    assert answer.errors[0].place.startswith("RQD(2)-5")
    commit = read_acknowledgement(answered(data, "CA"))
    assert commit.accepted
    assert commit.commit
    assert commit.errors == ()


def test_answers_as_others_write_them_are_read() -> None:
    head = "MSH|^~\\&|A|B|C|D|20261102||ACK|9|P|2.5"
    short = read_acknowledgement(message("MSA|AA|W-1", head="MSH|^~\\&|A|B|C|D"))
    assert (short.code, short.control) == ("AA", "W-1")
    order = read_acknowledgement(message("MSA|AE|W~1|No such item", "ERR||RQD^1^3|204", "ORC|UA", head=head))
    assert (order.control, order.text) == ("W~1", "No such item")
    assert [(one.place, one.code) for one in order.errors] == [("RQD-3", "204")]
    assert read_acknowledgement(b"MSH|^~\\&|A\nMSA|CR|W-1\n").code == "CR"


@pytest.mark.parametrize(
    ("segments", "path", "code"),
    [
        ((), "MSA", "no-acknowledgement"),
        (("MSA|AA|1", "MSA|AA|2"), "MSA", "no-acknowledgement"),
        (("MSA||1",), "MSA-1", "code-unknown"),
        (("MSA|OK|1",), "MSA-1", "code-unknown"),
        (("MSA|aa|1",), "MSA-1", "code-unknown"),
        (("MSA|AA",), "MSA-2", "field-missing"),
        (("MSA|AA| ",), "MSA-2", "field-missing"),
    ],
)
def test_what_is_no_answer_is_refused(segments: tuple[str, ...], path: str, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_acknowledgement(message(*segments))
    assert (refused.value.path, refused.value.code) == (path, code)
    with pytest.raises(Unreadable):
        read_acknowledgement(b"\x06")


def test_no_text_of_a_fault_or_condition_needs_a_mark_escaped() -> None:
    for text in CONDITIONS.values():
        assert text.isascii()
        assert not set(text) & set("|^~\\&")


def test_a_message_is_written_from_its_values() -> None:
    head = header_segment(
        {3: "FASCIA", 5: "WARD", 7: datetime(2026, 11, 2, 9, 15, tzinfo=UTC), 9: ("ORS", "O06", "ORS_O06"), 10: "F-9",
         11: "P", 12: "2.5.1"}
    )  # fmt: skip
    lines = [
        head,
        segment("MSA", ["AA", "W-1"]),
        segment("ORC", {1: "OK", 2: ("REQ-1", None, None), 3: ("PO-7", "A|B & C"), 10: None}),
        segment("RQD", {1: 1, 2: [("A", ("x", "y", None)), "B"], 5: Decimal("1E+2"), 9: Null(), 10: date(2026, 11, 3)}),
        segment("NTE", {3: "two\nlines \\ end"}),
        segment("PV2", {9: Moment(datetime(2026, 1, 1), "year")}),  # noqa: DTZ001
    ]
    data = write(lines)
    assert data.split(b"\r") == [
        b"MSH|^~\\&|FASCIA||WARD||20261102091500+0000||ORS^O06^ORS_O06|F-9|P|2.5.1",
        b"MSA|AA|W-1",
        b"ORC|OK|REQ-1|PO-7^A\\F\\B \\T\\ C",
        b'RQD|1|A^x&y~B|||100||||""|20261103',
        b"NTE|||two\\.br\\lines \\E\\ end",
        b"PV2|||||||||2026",
        b"",
    ]
    found = read(data)
    assert found.value("ORC-3.2") == "A|B & C"
    assert found.value("NTE-3") == "two\nlines \\ end"
    assert found.is_null("RQD-9")


def test_any_value_written_is_read_back_the_same() -> None:
    chance = random.Random(11)
    for _ in range(400):
        fields = {number: "".join(chance.choices("ab|^~\\&\n\r é病", k=6)) for number in range(1, 5)}
        found = read(write([header_segment({10: "1"}), segment("NTE", fields)]))
        assert {number: found.segments[1].value(number) for number in fields} == fields


def test_what_a_set_cannot_hold_is_refused_with_its_place() -> None:
    lines = [header_segment({10: "1", 18: "8859/1"}), segment("NTE", {1: 1}), segment("NTE", {3: "é 病"})]
    with pytest.raises(Unreadable) as refused:
        write(lines, charset="8859/1")
    assert (refused.value.path, refused.value.code) == ("NTE(2)-3", "character-set")
    assert "病" not in refused.value.message
    assert write(lines).decode().endswith("é 病\r")
    with pytest.raises(Unreadable, match="codec"):
        write(lines, charset="KLINGON")


def test_what_cannot_be_a_message_is_not_written() -> None:
    with pytest.raises(Unreadable, match="begins with MSH"):
        write([segment("PID", ["1"])])
    with pytest.raises(Unreadable, match="finite"):
        segment("RQD", [Decimal("NaN")])
    with pytest.raises(Unreadable, match="field 0"):
        segment("RQD", {0: "x"})
    few = header(b"MSH|^|A|B|C|D|20261102||ADT^A01|1|P|2.4\r").marks
    with pytest.raises(Unreadable, match="repetition"):
        segment("RQD", [["a", "b"]], few)
    with pytest.raises(Unreadable, match="this level"):
        segment("RQD", [(("a", "b"),)], few)
