"""What we tell a partner about what it sent: TA1 for the envelope, 997 for each group."""

from __future__ import annotations

import pytest

from formats.x12 import Segment, acknowledge, check, read, refuse
from tests.formats.x12_files import BACK, sample

ORDER = sample("850_order").decode()


def _answer(text: str, *, allow_unknown: bool = False) -> list[Segment]:
    (interchange,) = read(text.encode())
    report = check(interchange, allow_unknown=allow_unknown)
    data = acknowledge(report, BACK)
    if not data:
        return []
    (back,) = read(data)
    assert check(back).refused == []
    return [*back.answers, *(one for _, document in back.documents for one in document.body)]


def _lines(text: str, *, allow_unknown: bool = False) -> list[str]:
    return ["*".join([one.name, *one.elements]) for one in _answer(text, allow_unknown=allow_unknown)]


def test_a_good_group_is_accepted() -> None:
    assert _lines(ORDER) == ["AK1*PO*1", "AK2*850*0001", "AK5*A", "AK9*A*1*1*1"]


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("IEA*1*000000001", "IEA*1*000000002", "001"),
        ("IEA*1*000000001", "IEA*2*000000001", "021"),
        ("*261102*0915*U", "*261302*0915*U", "014"),
        ("*261102*0915*U", "*261102*2560*U", "015"),
        ("*0*P*>", "*0*X*>", "020"),
        (
            "ISA*00*          *00*          *ZZ*FASCIANGH      ",
            "ISA*00*          *00*          *ZZ*               ",
            "006",
        ),
        ("00401*000000001", "00401*00000000A", "018"),
        ("GE*1*1~", "GE*1*1~\nREF*ZZ*1~", "022"),
        ("ST*850*0001~", "REF*ZZ*1~\nST*850*0001~", "022"),
        ("GS*PO*", "GS**", "024"),
    ],
)
def test_a_broken_envelope_gets_a_ta1_with_its_note(old: str, new: str, note: str) -> None:
    assert old in ORDER
    (line,) = _lines(ORDER.replace(old, new))
    assert line.startswith("TA1*") and line.endswith(f"*R*{note}")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [("GE*1*1~\n", "", "3"), ("GE*1*1", "GE*1*9", "4"), ("GE*1*1", "GE*3*1", "5"), ("GS*PO", "GS*QQ", "1")],
)
def test_a_broken_group_is_refused_whole(old: str, new: str, code: str) -> None:
    assert old in ORDER
    last = _lines(ORDER.replace(old, new))[-1].split("*")
    assert (last[0], last[1], last[4]) == ("AK9", "R", "0")
    assert code in last[5:]
    (interchange,) = read(ORDER.replace(old, new).encode())
    assert check(interchange).accepted == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("SE*11*0001~\n", "", "2"),
        ("SE*11*0001", "SE*11*0002", "3"),
        ("SE*11*0001", "SE*12*0001", "4"),
        ("ST*850*0001", "ST*855*0001", "6"),
        ("ST*850*0001", "ST*999*0001", "1"),
        ("*0001~", "*01~", "7"),
    ],
)
def test_a_broken_document_is_refused_with_its_code(old: str, new: str, code: str) -> None:
    assert old in ORDER
    ak5 = next(line for line in _lines(ORDER.replace(old, new)) if line.startswith("AK5")).split("*")
    assert ak5[1] == "R"
    assert code in ak5[2:]


def _with_line(new: str, old: str = "PO1*1*4*BX*18.75**VC*ALP-1001*BP*ITM-1001") -> str:
    assert old in ORDER
    return ORDER.replace(old, new)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            _with_line("BEG*00*NE*PO-20001**20261332", "BEG*00*NE*PO-20001**20261102"),
            ["AK3*BEG*2**8", "AK4*5*373*8*20261332"],
        ),
        (_with_line("BEG*00*NE***20261102", "BEG*00*NE*PO-20001**20261102"), ["AK3*BEG*2**8", "AK4*3*324*1"]),
        (_with_line("BEG*99*NE*P**20261102", "BEG*00*NE*PO-20001**20261102"), ["AK3*BEG*2**8", "AK4*1*353*7*99"]),
        (_with_line("PO1*1*four*BX*18.75**VC*ALP-1001"), ["AK3*PO1*7*PO1*8", "AK4*2*330*6"]),
        (_with_line("PO1*1*4*BX*1,75**VC*ALP-1001"), ["AK3*PO1*7*PO1*8", "AK4*4*212*6"]),
        (_with_line("PO1*1*4*BX*18.75**VC"), ["AK3*PO1*7*PO1*8", "AK4*7*234*2"]),
        (_with_line("PO1*1**BX*18.75**VC*A"), ["AK3*PO1*7*PO1*8", "AK4*2*330*2"]),
        (_with_line("PO1*1*4*BOX*18.75**VC*A"), ["AK3*PO1*7*PO1*8", "AK4*3*355*5*BOX"]),
        (_with_line("PO1*1*4*BX*18.75*X*VC*A"), ["AK3*PO1*7*PO1*8", "AK4*5*639*4*X"]),
        (_with_line("CTT*2*******x", "CTT*2"), ["AK3*CTT*10*CTT*8", "AK4*8**3"]),
        (_with_line("CTT*2~\nQQQ*1", "CTT*2"), ["AK3*QQQ*11*CTT*1"]),
        (_with_line("CTT*2~\nHL*1**S", "CTT*2"), ["AK3*HL*11*CTT*6"]),
        (_with_line("CUR*BY*USD~\nCUR*BY*USD", "CUR*BY*USD"), ["AK3*CUR*4**5"]),
        (ORDER.replace("BEG*00*NE*PO-20001**20261102~\n", ""), ["AK3*BEG*2**3"]),
    ],
)
def test_each_error_is_named_with_its_place(text: str, expected: list[str]) -> None:
    lines = _lines(text)
    assert lines[2 : 2 + len(expected)] == expected
    ak5 = next(line for line in lines if line.startswith("AK5*"))
    assert ak5.startswith("AK5*R*")
    assert ak5.endswith("5") or "*5*" in ak5 or "*5" in ak5


def test_a_segment_out_of_order_is_noted_and_the_document_still_taken() -> None:
    moved = ORDER.replace("CUR*BY*USD~\n", "").replace("DTM*002*20261109~", "DTM*002*20261109~\nCUR*BY*USD~")
    lines = _lines(moved)
    assert "AK3*CUR*4**7" in lines
    assert lines[-1] == "AK9*E*1*1*1"


def test_a_partner_may_be_allowed_segments_we_do_not_know() -> None:
    text = _with_line("CTT*2~\nQQQ*1", "CTT*2").replace("SE*11", "SE*12")
    assert _lines(text)[-1] == "AK9*R*1*1*0"
    assert _lines(text, allow_unknown=True)[-1] == "AK9*E*1*1*1"


def test_a_group_is_partly_accepted_where_one_of_its_documents_is_bad() -> None:
    text = sample("taught_two_documents_one_group").decode().replace("TDS*61700", "TDS*617.00")
    lines = _lines(text)
    assert lines[-1] == "AK9*P*2*2*1"
    (interchange,) = read(text.encode())
    assert [document.control for _, document in check(interchange).accepted] == ["000000001"]


def test_each_group_gets_its_own_997_and_997s_get_none() -> None:
    assert [line for line in _lines(sample("taught_mixed_groups").decode()) if line.startswith("AK1")] == [
        "AK1*IN*1",
        "AK1*PO*2",
    ]
    assert _lines(sample("997_order_rejected").decode()) == []
    assert _lines(sample("ta1_rejected").decode()) == []
    assert _lines(sample("ta1_rejected").decode().replace("IEA*0", "IEA*5")) == []


def test_a_sender_that_asks_for_a_ta1_gets_one_beside_the_997() -> None:
    lines = _lines(ORDER.replace("*0*P*>", "*1*P*>"))
    assert lines[0] == "TA1*000000001*261102*0915*A*000"
    assert lines[-1] == "AK9*A*1*1*1"


def test_a_kind_or_version_that_is_not_exchanged_is_refused_by_its_997() -> None:
    (interchange,) = read(ORDER.encode())
    report = check(interchange, kinds={"855"})
    assert (report.groups[0].problems, report.groups[0].documents[0].problems) == (("1",), ("1",))
    assert check(interchange, versions=("005010",)).groups[0].problems == ("2",)
    assert check(interchange, versions=("004010",), kinds={"850"}).refused == []


def test_a_test_is_not_read_as_the_real_thing() -> None:
    (trial,) = read(ORDER.replace("*0*P*>", "*0*T*>").encode())
    assert (check(trial, usage="P").status, check(trial, usage="P").note) == ("R", "020")
    assert check(trial, usage="T").status == check(trial).status == "A"


def test_a_door_can_refuse_what_the_text_does_not_tell() -> None:
    (interchange,) = read(ORDER.encode())
    report = refuse(interchange, "025", "this control number came before with other bytes")
    assert b"*R*025~" in acknowledge(report, BACK)
    assert report.accepted == []


def test_the_same_report_gives_the_same_bytes() -> None:
    (interchange,) = read(ORDER.encode())
    assert acknowledge(check(interchange), BACK) == acknowledge(check(interchange), BACK)


def test_an_interchange_is_known_by_both_parties_and_its_number() -> None:
    (first,), (again,) = read(ORDER.encode()), read(b"\n" + ORDER.encode())
    assert first.key == again.key == "ZZ/FASCIANGH/ZZ/ALPINEMED/000000001"
    assert first.digest == again.digest
    (other,) = read(ORDER.replace("18.75", "18.76").encode())
    assert other.key == first.key
    assert other.digest != first.digest
