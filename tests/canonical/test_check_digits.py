"""Numbers with a check digit: the published examples pass, every single mistyped digit is seen."""

from __future__ import annotations

import pytest

from canonical.check_digits import is_dea, is_npi, mistyped_dea, prescribes, with_dea_digit, with_npi_digit


@pytest.mark.parametrize("number", ["1234567893", "1993999998"])
def test_published_npis_pass(number: str) -> None:
    assert is_npi(number)


def test_any_one_wrong_digit_of_an_npi_is_seen() -> None:
    assert {one for one in _one_digit_off("1234567893", 0) if is_npi(one)} == {"1234567893"}


def test_a_wrong_digit_of_a_dea_number_is_seen_but_where_one_counted_twice_is_five_off() -> None:
    passing = {one for one in _one_digit_off("AB1234563", 2) if is_dea(one)}
    assert passing == {"AB1234563", "AB1734563", "AB1239563", "AB1234513"}


def _one_digit_off(number: str, first: int) -> list[str]:
    return [
        number[:place] + digit + number[place + 1 :] for place in range(first, len(number)) for digit in "0123456789"
    ]


@pytest.mark.parametrize(
    "number", ["", "123456789", "12345678930", "3234567891", "12345678９3", " 1234567893", "0000000000"]
)
def test_what_is_no_npi_at_all_is_none(number: str) -> None:
    assert not is_npi(number)


@pytest.mark.parametrize("number", ["", "A11234563", "ab1234563", "AB123456", "AB12345633", "AB12345６3"])
def test_what_is_no_dea_number_at_all_is_none(number: str) -> None:
    assert not is_dea(number)


def test_a_registrant_without_a_surname_has_a_nine_and_a_distributor_does_not_prescribe() -> None:
    assert is_dea("A91234563")
    assert [prescribes(number) for number in ("MB1234563", "FB1234563", "PB1234563", "")] == [True, True, False, False]


def test_a_number_is_completed_by_its_digit() -> None:
    assert with_npi_digit("123456789") == "1234567893"
    assert with_dea_digit("AB123456") == "AB1234563"


def test_a_dea_number_is_mistyped_only_where_it_has_the_form_of_one() -> None:
    assert mistyped_dea("BM1234564") and not mistyped_dea("BM1234563")
    assert not mistyped_dea("AB1234563-012") and not mistyped_dea(""), "a hospital's, with a resident's suffix"
