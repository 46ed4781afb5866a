"""CSV as others write it: whatever is wrong with a row stays with that row, and a file that was cut off shows so."""

from __future__ import annotations

import codecs
from decimal import Decimal
from typing import Any

import pytest

from canonical.errors import Malformed
from formats.csv_sheet import Sheet, decimal
from formats.csv_text import LONGEST_ROW, records, write


def cells(data: bytes, **how: str) -> list[tuple[str, ...]]:
    return [one.cells for one in records(data, **how)]


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\r\n1,\xc3\xa9\r\n",
        b"a,b\n1,\xc3\xa9",
        b"a,b\r1,\xc3\xa9\r",
        b"\xef\xbb\xbfa,b\n1,\xc3\xa9\n",
        b"a;b\n1;\xc3\xa9\n",
        b"a\tb\n1\t\xc3\xa9\n",
        b"a|b\n1|\xc3\xa9\n",
        codecs.BOM_UTF16_LE + "a,b\n1,é\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "a,b\n1,é\n".encode("utf-16-be"),
        b'"a","b"\n"1","\xc3\xa9"\n',
        b"a,b\n\n,\n1,\xc3\xa9\n,,,\n",
    ],
)
def test_the_same_rows_are_read_whatever_ends_separates_and_encodes_them(data: bytes) -> None:
    assert cells(data) == [("a", "b"), ("1", "é")]


def test_a_character_set_of_the_senders_row_is_read_and_a_byte_order_mark_says_more() -> None:
    assert cells(b"a,b\n1,\xe9\n", character_set="windows-1252")[1] == ("1", "é")
    assert cells(codecs.BOM_UTF8 + b"a,b\n1,\xc3\xa9\n", character_set="windows-1252")[1] == ("1", "é")
    for wrong in ("klingon", "utf-16"):
        with pytest.raises(Malformed):
            cells(b"a,b\n1", character_set=wrong)
    with pytest.raises(Malformed, match="UTF-16"):
        cells("a,b\n1,2\n".encode("utf-16-le"))


def test_quotes_hold_separators_quotes_and_line_ends() -> None:
    (_, row, last) = records(b'a,b\n"1,""x""","two\r\nlines"\n5" tube,6\n')
    assert row.cells == ('1,"x"', "two\nlines") and (row.number, last.number) == (2, 3)
    assert last.cells == ('5" tube', "6") and not last.fault


def test_a_quote_that_does_not_end_spoils_its_own_row_only() -> None:
    found = list(records(b'a,b\n"1,2\n3,4\n"5"x,6\n7,8\n'))
    assert [bool(one.fault) for one in found] == [False, True, False, True, False]
    assert "not as in CSV" in found[3].fault
    assert [one.fault for one in records(b'a,b\n"1,2\n3,4\n')] == ["", "a quote in it does not end", ""]
    assert [one.number for one in found] == [1, 2, 3, 4, 5] and found[2].cells == ("3", "4")
    assert found[1].text == '"1,2', "as it was sent"


def test_bytes_of_another_character_set_a_nul_and_a_row_without_end_are_faults_of_their_rows() -> None:
    long = b"x" * (LONGEST_ROW + 1)
    found = list(records(b"a,b\n1,\xe9\n2,\x00\n" + long + b",1\n3,4\n"))
    assert [bool(one.fault) for one in found] == [False, True, True, True, False]
    assert "utf-8" in found[1].fault and "NUL" in found[2].fault and "longer" in found[3].fault
    assert found[1].text == "1,\udce9" and found[1].cells == ("1", "\ufffd") and len(found[3].text) == LONGEST_ROW


def test_no_input_at_all_breaks_the_cutting() -> None:
    for data in (b"", b"\n\n", b'"', b'""', b",", b"\x00", b"\xff", b"\xef\xbb\xbf"):
        try:
            list(records(data))
        except Malformed:
            continue


def sheet(text: str, **how: Any) -> Sheet:
    return Sheet(text.encode(), **how)


def test_columns_go_by_our_names_whatever_case_and_blanks_they_have() -> None:
    found = sheet("Catalogue Number;Artikel;;valid-from\n1;2;;3\n", ours=_ours)
    assert found.names == ("catalogue_number", "item", "", "valid_from")
    assert [one.cells for one in found.rows()] == [("1", "2", "", "3")]


def _ours(name: str) -> str:
    return {"Artikel": "item"}.get(name, name)


@pytest.mark.parametrize("text", ["", "\n", "a,b,A\n1,2,3\n", "H,1\n", '"a,b\n1,2\n'])
def test_a_file_without_clear_column_names_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(Malformed) as wrong:
        sheet(text)
    assert wrong.value.path in ("file", "row 1", "row 2")


WHOLE = "H,CAT-1,2026-11-21,2\nitem,price\nA,1.50\nB,2\nT,2,3.50\n"


def test_header_and_trailer_count_the_rows_and_add_them_up() -> None:
    found = sheet(WHOLE)
    assert (found.check("price", required=True), found.number, found.made_on) == (2, "CAT-1", "2026-11-21")
    assert [one.cells[0] for one in found.rows()] == ["A", "B"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WHOLE.replace("T,2,3.50\n", ""), "cut off"),
        (WHOLE.replace("T,2,", "T,3,"), "T says 3 rows, there are 2"),
        (WHOLE.replace("21,2\n", "21,9\n"), "H says 9 rows"),
        (WHOLE.replace("3.50", "3.51"), "price adds up to 3.51, it is 3.50"),
        (WHOLE + "C,1\n", "row 6 stands after the T record"),
        (WHOLE.replace("T,2,", "T,two,"), "no number of rows"),
        (WHOLE.replace("3.50", "x"), "no number"),
    ],
)
def test_a_count_that_is_another_one_refuses_the_file(text: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason) as wrong:
        sheet(text).check("price")
    assert wrong.value.path


def test_a_file_cut_at_any_byte_of_its_rows_or_their_count_never_counts_as_whole() -> None:
    for length in range(WHOLE.index("T,2") + len("T,2")):
        with pytest.raises(Malformed):
            sheet(WHOLE[:length]).check("price", required=True)


def test_a_file_without_counts_is_taken_unless_they_are_required() -> None:
    assert sheet("item,price\nA,1\n").check("price") == 1
    with pytest.raises(Malformed, match="no H record"):
        sheet("item,price\nA,1\n").check("price", required=True)


def test_numbers_are_exact_or_none() -> None:
    assert decimal("-12.50") == Decimal("-12.50") and decimal("1,5", ",") == Decimal("1.5")
    for text in ("", "1e3", "1,000.00", "1 000", "NaN", "١٢", "--1", "1.2.3", "1" * 19, "."):
        assert decimal(text) is None
    assert decimal("1,5") is None and decimal("1.000,5", ",") is None
    assert decimal("1250", ",") == 1250
    assert decimal("1.250", ",") is None, "of a sender with commas this may be a thousand"


ENCODINGS = [
    ("utf-8", b"", ""),
    ("utf-8", codecs.BOM_UTF8, ""),
    ("utf-8", codecs.BOM_UTF8, "windows-1252"),
    ("utf-16-le", codecs.BOM_UTF16_LE, ""),
    ("utf-16-be", codecs.BOM_UTF16_BE, ""),
    ("utf-16-le", b"", "utf-16-le"),
    ("utf-32-be", codecs.BOM_UTF32_BE, ""),
    ("latin-1", b"", "iso-8859-1"),
    ("cp1252", b"", "windows-1252"),
]


@pytest.mark.parametrize(("encoding", "mark", "character_set"), ENCODINGS)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_some_rows_of_a_file_are_a_file_byte_for_byte_as_its_sender_wrote_them(
    encoding: str, mark: bytes, character_set: str, separator: str, end: str
) -> None:
    def written(*rows: str) -> bytes:
        return mark + "".join(row.replace(";", separator) + end for row in rows).encode(encoding)

    title, quoted, plain = "item;name", f'A;"é{end}two"', "B;ü"
    found = Sheet(written(title, quoted, plain, "", ""), character_set=character_set)
    first, second = found.rows()
    assert (first.cells, second.cells) == (("A", "é\ntwo"), ("B", "ü"))
    assert found.again([first]) == written(title, quoted) and found.again([second]) == written(title, plain)
    again = Sheet(found.again([first]), character_set=character_set)
    assert [one.cells for one in again.rows()] == [first.cells]


def test_a_row_that_is_not_in_its_character_set_or_has_a_nul_keeps_its_bytes_and_reads_once_the_set_is_named() -> None:
    found = Sheet(b"item,name\nA,caf\xe9\nB,\x00x\nC,y")
    bad, nul, last = found.rows()
    assert bad.fault and nul.fault and not last.fault
    assert found.again([bad]) == b"item,name\nA,caf\xe9\n" and found.again([nul]) == b"item,name\nB,\x00x\n"
    assert found.again([last]) == b"item,name\nC,y\n", "it ends, though the file did not"
    (mended,) = Sheet(found.again([bad]), character_set="windows-1252").rows()
    assert mended.cells == ("A", "café") and not mended.fault


def test_what_we_write_holds_no_formula_and_reads_back() -> None:
    assert cells(write([("row", "reason"), ("1", '=cmd("x")'), ("2", "a,b")])) == [
        ("row", "reason"),
        ("1", '\'=cmd("x")'),
        ("2", "a,b"),
    ]
