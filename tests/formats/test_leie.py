"""OIG's list as it is published, and files that are not all of it."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.errors import Malformed
from formats import leie

TODAY = date(2026, 11, 20)
HEADING = ",".join(leie.COLUMNS)


def row(**said: str) -> str:
    """A row as OIG writes it: every cell quoted."""
    given = {"LASTNAME": "DOE-RÍOS", "FIRSTNAME": "JANE", "GENERAL": "IND- LIC HC SERV PRO", "NPI": "0000000000"}
    given |= {"DOB": "19750414", "STATE": "IL", "EXCLTYPE": "1128a1", "EXCLDATE": "20190520"}
    given |= {"REINDATE": "00000000", "WAIVERDATE": "00000000"}
    return ",".join(f'"{(given | said).get(name, "")}"' for name in leie.COLUMNS)


def file(*rows: str) -> bytes:
    return "\r\n".join([HEADING, *rows, ""]).encode()


def test_a_row_is_read_with_its_names_folded_and_its_nulls_as_nothing() -> None:
    (found,) = leie.read(file(row()), TODAY)
    assert (found.family, found.given, found.npi) == ("dorios", "jane", "")
    assert (found.birth_date, found.excluded_on, found.waived_on) == (date(1975, 4, 14), date(2019, 5, 20), None)


def test_a_real_npi_is_kept_and_one_with_a_wrong_digit_is_none() -> None:
    found = leie.read(file(row(NPI="1234567893"), row(NPI="1234567890")), TODAY)
    assert [one.npi for one in found] == ["1234567893", ""]


def test_who_is_reinstated_by_the_day_is_left_out_and_who_will_be_is_not() -> None:
    found = leie.read(file(row(REINDATE="20261120"), row(REINDATE="20261121", LASTNAME="LATER")), TODAY)
    assert [one.family for one in found] == ["later"]


def test_a_quoted_comma_and_a_business_without_a_person_are_read() -> None:
    found = leie.read(file(row(LASTNAME="", FIRSTNAME="", BUSNAME="CARE, INC", DOB="")), TODAY)
    assert [(one.family, one.business, one.birth_date) for one in found] == [("", "CARE, INC", None)]


def test_a_byte_order_mark_and_a_file_of_windows_are_read() -> None:
    assert leie.read(b"\xef\xbb\xbf" + file(row()), TODAY)
    (found,) = leie.read(file(row()).decode().encode("cp1252"), TODAY)
    assert found.family == "dorios"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "list-empty"),
        (b" \r\n", "list-empty"),
        (file(), "list-empty"),
        (file(row())[:-2], "list-truncated"),
        (file(row(), row())[:-60] + b"\r\n", "list-truncated"),
        (file('"DOE","JANE"'), "list-truncated"),
        (b"<html>404</html>\r\n", "data-invalid"),
        (file(row(EXCLDATE="2019-05-20")), "data-invalid"),
        (file(row(DOB="19750231")), "data-invalid"),
    ],
)
def test_what_is_not_a_whole_edition_is_refused_whole(data: bytes, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        leie.read(data, TODAY)
    assert refused.value.code == code


def test_a_file_cut_anywhere_is_refused_or_ends_between_two_rows() -> None:
    whole = file(row(), row(LASTNAME="SECOND"), row(LASTNAME="THIRD"))
    ends = {len(file(row())), len(file(row(), row(LASTNAME="SECOND"))), len(whole)}
    for size in range(len(whole) + 1):
        try:
            leie.read(whole[:size], TODAY)
        except Malformed:
            continue
        assert size in ends


def test_no_failure_names_anybody() -> None:
    with pytest.raises(Malformed) as refused:
        leie.read(file(row(EXCLDATE="JANE")), TODAY)
    assert "JANE" not in refused.value.message and "DOE" not in refused.value.message
