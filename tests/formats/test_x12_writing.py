"""Writing X12: exact, in each partner's marks, and never something a partner would have to refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.errors import Malformed
from canonical.parties import Partner
from formats.x12 import Envelope, Separators, check, read, segment, write
from formats.x12_values import as_day, as_real, free_text, implied, real, unit
from tests.formats.x12_files import BACK, WHEN

BODY = [
    segment("BEG", "00", "NE", "PO-1", "", "20261102"),
    segment("PO1", "1", "4", "BX", "18.75", "", "VC", "ALP-1001"),
    segment("CTT", "1"),
]


def test_the_isa_is_fixed_width_and_reads_back() -> None:
    data = write(BACK, [("850", BODY)])
    assert data.startswith(
        b"ISA*00*          *00*          *ZZ*FASCIANGH      *ZZ*ALPINEMED      *261102*0915*U*00401*000000007*0*P*>~\n"
    )
    assert data[105:106] == b"~"
    (back,) = read(data)
    assert check(back).refused == []
    assert [one.elements for one in back.documents[0][1].body] == [one.elements for one in BODY]


@pytest.mark.parametrize(
    "marks", [Separators("|", "^", ":"), Separators("\x1d", "\x1c", "\x1f"), Separators("*", "\n", ">")]
)
def test_each_partner_gets_its_own_marks(marks: Separators) -> None:
    (back,) = read(write(replace(BACK, separators=marks), [("850", BODY)]))
    assert (back.separators.element, back.separators.segment) == (marks.element, marks.segment)
    assert check(back).refused == []


def test_a_partner_row_says_ids_marks_and_numbers() -> None:
    partner = Partner(
        code="ALPINE", id="ALPINEMED", our_id="FASCIANGH", group_id="ALPGS", element_separator="|", usage="T"
    )
    envelope = Envelope.to_partner(partner, 12, WHEN, group=34, transaction_set=56)
    (back,) = read(write(envelope, [("850", BODY)]))
    assert (back.receiver, back.control, back.usage) == (("ZZ", "ALPINEMED"), "000000012", "T")
    group, document = back.documents[0]
    assert (group.header[3], group.control, document.control) == ("ALPGS", "34", "0056")


@pytest.mark.parametrize("sign", ["*", "~", ">", "é", "\x07"])
def test_a_separator_or_strange_sign_inside_data_is_refused_with_its_path(sign: str) -> None:
    body = [BODY[0], segment("PO1", "1", "4", "BX", "18.75", "", "VC", f"ALP{sign}1"), BODY[2]]
    with pytest.raises(Malformed) as refused:
        write(BACK, [("850", body)])
    assert refused.value.path == "PO1/3/PO107"


def test_a_document_that_lacks_what_it_must_have_is_not_written() -> None:
    with pytest.raises(Malformed) as refused:
        write(BACK, [("850", BODY[:1])])
    assert refused.value.path.startswith("PO1/")


def test_marks_that_could_be_data_are_refused() -> None:
    with pytest.raises(Malformed):
        write(replace(BACK, separators=Separators("*", "*", ">")), [("850", BODY)])
    with pytest.raises(Malformed):
        write(replace(BACK, separators=Separators("A")), [("850", BODY)])


def test_a_description_is_made_fit_for_the_wire() -> None:
    assert free_text("Gants stériles*taille ~M>", "*~>", 40) == "Gants steriles taille M"
    assert free_text("x" * 100, "", 80) == "x" * 80


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2))
def test_amounts_with_implied_decimals_are_exact(amount: Decimal) -> None:
    assert implied(f"{int(amount.scaleb(2))}", "TDS01") == amount


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=6))
def test_numbers_with_a_point_are_exact(number: Decimal) -> None:
    text = as_real(number)
    assert "E" not in text.upper()
    assert real(text, "PO104") == number


def test_numbers_are_refused_rather_than_rounded() -> None:
    assert implied("1304594", "TDS01") == Decimal("13045.94")
    for wrong in ("1e3", "NaN", "1,5", "", "--1", "Infinity", "٣"):
        with pytest.raises(Malformed):
            real(wrong, "PO104")
    with pytest.raises(Malformed):
        implied("13.5", "TDS01")


def test_units_are_mapped_by_a_table_and_unknown_ones_carried() -> None:
    assert [unit(code) for code in ("EA", "BX", "CA", "CS", "CT", "PK", "DZ", "KG")] == [
        *("EA", "BX", "CA", "CA", "CT", "PK", "DZ", "KG")
    ]
    assert as_day(date(2026, 11, 2)) == "20261102"
