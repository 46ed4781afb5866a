"""Reading X12: whatever separators, padding and surroundings a partner uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.errors import Malformed
from formats.x12 import acknowledge, check, read
from tests.formats.x12_files import BACK, SAMPLES, sample

PUBLIC = Path(os.environ.get("FASCIA_SAMPLES", "/nowhere")) / "x12"
REFUSED_PUBLIC = {"x12types_855": "SE01 does not count the segments"}


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.x12")))
def test_every_sample_of_our_own_is_read_and_nothing_is_lost(name: str) -> None:
    data = sample(name)
    found = read(data)
    for interchange in found:
        assert interchange.raw in data
        report = check(interchange)
        assert report.status in ("A", "E"), report.refused
        text = interchange.raw.decode(interchange.encoding)
        pieces = [piece for piece in text.split(interchange.separators.segment) if piece.strip()]
        counted = 2 + len(interchange.answers)
        counted += sum(2 + sum(len(one.segments) for one in group.documents) for group in interchange.groups)
        assert len(pieces) == counted


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with x12 samples")
def test_every_public_sample_is_read() -> None:
    files = sorted(PUBLIC.glob("*.edi"))
    assert files
    for path in files:
        (interchange,) = read(path.read_bytes())
        report = check(interchange)
        assert interchange.documents
        expected = REFUSED_PUBLIC.get(path.stem)
        if expected is None:
            assert report.refused == [], path.name
        else:
            assert any(expected in line for line in report.refused), path.name


def test_segments_may_end_with_a_line_break() -> None:
    (interchange,) = read(sample("taught_newline_ends_segments"))
    assert interchange.separators.segment == "\n"
    assert interchange.separators.component == ">"
    assert interchange.documents[0][1].body[0][3] == "PO-20001"


def test_a_repetition_mark_is_known_only_since_00402() -> None:
    (late,) = read(sample("taught_repetition_mark"))
    (early,) = read(sample("855_partly_backordered"))
    assert late.separators.repetition == "-"
    assert early.separators.repetition == ""


@pytest.mark.parametrize("name", ["taught_empty_isa16", "taught_empty_isa16_one_line"])
def test_an_empty_component_mark_shifts_the_segment_end(name: str) -> None:
    (interchange,) = read(sample(name))
    assert interchange.separators.component == ""
    assert interchange.separators.segment == "~"
    assert len(interchange.documents) == 1


def test_collapsed_padding_is_read_by_counting_separators() -> None:
    (interchange,) = read(sample("taught_collapsed_padding_wrong_count"))
    assert interchange.sender == ("ZZ", "111111111")
    assert interchange.control == "000000206"


def test_several_interchanges_and_groups_come_out_of_one_file() -> None:
    assert [one.control for one in read(sample("taught_two_interchanges"))] == ["000000210", "000000211"]
    (mixed,) = read(sample("taught_mixed_groups"))
    assert [group.functional_id for group in mixed.groups] == ["IN", "PO"]


def test_text_in_another_character_set_keeps_its_bytes() -> None:
    data = sample("taught_latin1_text")
    (interchange,) = read(data)
    assert interchange.encoding == "latin-1"
    assert interchange.raw == data.rstrip()


@pytest.mark.parametrize("start", [b"hello\n", b"ISA lost\n", b"\x00\x00"])
def test_what_stands_before_the_envelope_is_noted_but_costs_nobody_an_order(start: bytes) -> None:
    (interchange,) = read(start + sample("850_order"))
    report = check(interchange)
    assert len(report.accepted) == 1
    assert (report.status, report.note) == (("E", "022") if start.strip(b"\x00") else ("A", "000"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"ISA",
        b"ISA*00*",
        b"{}",
        b"\xff\xfe\x00",
        b"MSH|^~\\&|",
        b"GS*PO*A*B*20261102*0915*1*X*004010~",
        b"ISA*" + b"*".join([b"00"] * 15) + b"*>A",
        b"ISA*a\nb*" + b"*".join([b"00"] * 14) + b"*>~",
    ],
)
def test_without_an_envelope_nobody_can_be_answered(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read(data)
    assert refused.value.code == "no-envelope"


def test_a_segment_end_that_can_be_data_is_refused() -> None:
    data = sample("850_order").replace(b"~\n", b"Q")
    with pytest.raises(Malformed, match="can also be data"):
        read(data)


def test_an_envelope_cut_short_does_not_swallow_the_next_one() -> None:
    whole = sample("855_partly_backordered")
    for cut in (len(whole) // 2, len(whole) - 20):
        first, second = read(whole[:cut] + b"\n" + sample("810_freight_and_tax"))
        assert check(first).note == "023"
        assert check(second).status == "A"


@pytest.mark.parametrize("name", ["850_order", "taught_newline_ends_segments", "taught_empty_isa16_one_line"])
def test_a_file_cut_at_any_byte_is_answered_or_kept_for_a_person(name: str) -> None:
    data = sample(name).rstrip(b"\n")
    headers = 0
    for cut in range(len(data)):
        try:
            (interchange,) = read(data[:cut])
        except Malformed as refused:
            assert refused.code == "no-envelope"
            assert cut < 110
            continue
        report = check(interchange)
        if cut == len(data) - 1 and data.endswith(b"~"):  # only the last segment end is missing
            assert report.status != "R"
            continue
        assert (report.status, report.note) == ("R", "023"), cut
        assert report.accepted == []
        assert b"TA1*" in acknowledge(report, BACK)
        headers += 1
    assert headers > len(data) - 120


GOOD = sample("855_partly_backordered")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_never_anything_else(data: bytes) -> None:
    _read_check_answer(data)
    _read_check_answer(GOOD[:107] + data)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 4), st.binary(max_size=6)), max_size=6))
def test_any_damage_to_a_good_file_is_read_or_refused(damage: list[tuple[int, int, bytes]]) -> None:
    data = bytearray(GOOD)
    for at, gone, put in damage:
        data[at : at + gone] = put
    _read_check_answer(bytes(data))


@pytest.mark.prove
@settings(max_examples=20_000, deadline=None)
@given(
    st.sampled_from(sorted(path.stem for path in SAMPLES.glob("*.x12"))),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=12)), max_size=12),
)
def test_any_damage_to_any_sample_is_read_or_refused(name: str, damage: list[tuple[float, int, bytes]]) -> None:
    data = bytearray(sample(name))
    for place, gone, put in damage:
        at = int(place * len(data))
        data[at : at + gone] = put
    _read_check_answer(bytes(data))


@pytest.mark.timeout(120)  # a reader that is quadratic does not end by then; a slow machine does
def test_a_large_or_hostile_file_is_read_in_its_time() -> None:
    text = sample("850_order").decode()
    line = "PO1*1*4*BX*18.75**VC*ALP-1001*BP*ITM-1001~\nPID*F****EXAM GLOVE NITRILE M~\n"
    assert line in text
    many = text.replace(line, line * 5000).replace("SE*11*", "SE*10009*")
    (interchange,) = read(many.encode())
    assert check(interchange).refused == []
    for hostile in ("ISA*" * 200_000, "".join(f"ISA{chr(0x4E00 + at)}" for at in range(20_000)) * 5):
        with pytest.raises(Malformed):
            read(hostile.encode())


def _read_check_answer(data: bytes) -> None:
    try:
        found = read(data)
    except Malformed as refused:
        assert refused.path
        return
    for interchange in found:
        report = check(interchange)
        answer = acknowledge(report, BACK)
        assert report.status == "R" or len(report.accepted) <= len(interchange.documents)
        if answer:
            (back,) = read(answer)
            assert check(back).refused == []
