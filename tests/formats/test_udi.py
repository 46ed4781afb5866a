"""Barcodes of the three agencies are read to item, lot, serial number and expiration date, or refused with the reason."""

from __future__ import annotations

import random
import string
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.errors import Malformed
from canonical.udi import Udi
from formats import udi
from formats.udi_hibcc import ALPHABET

GS = "\x1d"
ITEM = "51022222233336"  # of the FDA's own example


def hibc(body: str) -> str:
    """With its check character."""
    return body + ALPHABET[sum(ALPHABET.index(one) for one in body) % 43]


def said(raw: str) -> dict[str, object]:
    return udi.read(raw).model_dump(exclude_defaults=True, exclude={"raw"})


def refusal(raw: str) -> str:
    with pytest.raises(Malformed) as no:
        udi.read(raw)
    assert no.value.path == "udi"
    return no.value.message


IN_FULL = {
    "agency": "GS1",
    "device": ITEM,
    "made": date(2014, 12, 31),
    "expires": date(2015, 7, 7),
    "lot": "A213B1",
    "serial": "1234",
}


@pytest.mark.parametrize(
    "raw",
    [
        f"(01){ITEM}(11)141231(17)150707(10)A213B1(21)1234",
        f"01{ITEM}111412311715070710A213B1{GS}211234",
        f"]d201{ITEM}111412311715070710A213B1{GS}211234",
        f"]C101{ITEM}111412311715070710A213B1{GS}211234\r\n",
        f"01{ITEM}111412311715070710A213B1{GS}211234{GS}",
        f"https://id.gs1.org/01/{ITEM}/10/A213B1/21/1234?11=141231&17=150707",
    ],
)
def test_one_gs1_identifier_is_read_alike_however_it_was_scanned(raw: str) -> None:
    assert said(raw) == IN_FULL
    assert udi.read(raw).raw == raw.strip("\r\n")


@pytest.mark.parametrize("raw", ["9506000134352", "09506000134352", "0109506000134352"])
def test_a_bare_trade_item_number_is_its_fourteen_digits(raw: str) -> None:
    assert said(raw) == {"agency": "GS1", "device": "09506000134352"}


def test_a_day_of_00_is_the_end_of_its_month() -> None:
    assert udi.read(f"01{ITEM}17270200").expires == date(2027, 2, 28)
    assert udi.read(f"01{ITEM}17280200").expires == date(2028, 2, 29), "a leap year"


def test_an_expiry_to_the_hour_counts_by_its_day() -> None:
    assert udi.read(f"01{ITEM}70032612311200").expires == date(2026, 12, 31)


def test_what_a_logistic_unit_contains_is_read_with_how_many() -> None:
    assert said(f"02{ITEM}37240") == {"agency": "GS1", "device": ITEM, "quantity": 240}


def test_a_wrong_check_digit_of_a_trade_item_is_refused_however_it_came() -> None:
    for raw in ("0151022222233337", "(01)51022222233337", "51022222233337", f"0151022222233337{GS}10A"):
        assert "check digit" in refusal(raw)


def test_an_identifier_given_twice_in_two_ways_is_refused_and_twice_alike_is_not() -> None:
    assert "lot is given twice" in refusal(f"(01){ITEM}(10)A(10)B")
    assert "01 is given twice" in refusal(f"01{ITEM}0109506000134352")
    assert udi.read(f"(01){ITEM}(10)A(10)A").lot == "A"


@pytest.mark.parametrize(
    "raw", [f"01{ITEM}17261332", f"(01){ITEM}(17)26", "hello", "17261231", "10LOT", "]d2", "(01", "()"]
)
def test_what_is_no_gs1_barcode_is_refused(raw: str) -> None:
    assert refusal(raw).startswith("Not a GS1 barcode we can read")


@pytest.mark.parametrize(
    ("secondary", "expected"),
    [
        ("", {}),
        ("/$LOT9", {"lot": "LOT9"}),
        ("/$+SER9", {"serial": "SER9"}),
        ("/$$0927LOT9", {"expires": date(2027, 9, 30), "lot": "LOT9"}),
        ("/$$0228", {"expires": date(2028, 2, 29)}),
        ("/$$2093027LOT9", {"expires": date(2027, 9, 30), "lot": "LOT9"}),
        ("/$$3270930LOT9", {"expires": date(2027, 9, 30), "lot": "LOT9"}),
        ("/$$427093023LOT9", {"expires": date(2027, 9, 30), "lot": "LOT9"}),
        ("/$$527001LOT9", {"expires": date(2027, 1, 1), "lot": "LOT9"}),
        ("/$$62700123LOT9", {"expires": date(2027, 1, 1), "lot": "LOT9"}),
        ("/$$7LOT9", {"lot": "LOT9"}),
        ("/$$+7SER9", {"serial": "SER9"}),
        ("/$$+0927SER9", {"expires": date(2027, 9, 30), "serial": "SER9"}),
        ("/$$8240927LOT9", {"quantity": 24, "expires": date(2027, 9, 30), "lot": "LOT9"}),
        ("/$$9001003270930LOT9", {"quantity": 100, "expires": date(2027, 9, 30), "lot": "LOT9"}),
        ("/27001LOT9", {"expires": date(2027, 1, 1), "lot": "LOT9"}),
        ("/S77DE", {"serial": "77DE"}),
        ("/$$7LOT9/S77DE/16D20261101/14D20280131/Q500", {
            "lot": "LOT9", "serial": "77DE", "made": date(2026, 11, 1), "expires": date(2028, 1, 31), "quantity": 500,
        }),
    ],
)  # fmt: skip
def test_each_secondary_structure_of_hibcc_is_read(secondary: str, expected: dict[str, object]) -> None:
    assert said(hibc(f"+A123BJC5D6E71{secondary}")) == {"agency": "HIBCC", "device": "A123BJC5D6E71"} | expected


def test_a_hibc_barcode_is_read_in_print_and_from_a_keyboard_that_has_small_letters() -> None:
    assert udi.read("+A123BJC5D6E71G").device == "A123BJC5D6E71", "the standard's own example"
    assert udi.read("*+A123BJC5D6E71G*").device == "A123BJC5D6E71"
    assert udi.read("+a123bjc5d6e71g").device == "A123BJC5D6E71"
    slashed = next(code for one in ALPHABET[10:36] if (code := hibc(f"+A123{one}1"))[-1] == "/")
    assert udi.read(slashed).device == slashed[1:-1], "a slash may be the check character"


def test_a_hibc_barcode_with_one_character_changed_or_two_swapped_is_refused() -> None:
    good = hibc("+A123BJC5D6E71/$$0927LOT9")
    for at in range(1, len(good)):
        other = "X" if good[at] != "X" else "Y"
        assert refusal(good[:at] + other + good[at + 1 :]).startswith("Not a HIBC barcode we can read")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("+$$0927LOT9", "primary barcode"),
        ("+A123BJC5D6E71/$$1327LOT9", "date"),
        ("+A123BJC5D6E71/$$7LOT9/14D2027112", "date"),
        ("+A123BJC5D6E71/$$31111", "date"),
        ("+A123BJC5D6E71/$$8XX0927", "quantity"),
        ("+A123BJC5D6E71/$$7LOT9/X", "none of the standard's"),
        ("+A123BJC5D6E71/$$+7SER9/SSER8", "two values for serial"),
    ],
)
def test_what_is_not_as_hibcc_has_it_is_refused_with_the_reason(body: str, why: str) -> None:
    assert why in refusal(hibc(body))


def test_isbt_128_is_read_with_its_donation_and_its_dates() -> None:
    assert said("=/A9999XYZ100T0944=,000025=A99971312345600=>014032=}013032&,1000000000000XYZ123") == {
        "agency": "ICCBBA",
        "device": "A9999XYZ100T0944",
        "serial": "000025",
        "donation": "A99971312345600",
        "expires": date(2014, 2, 1),
        "made": date(2013, 2, 1),
        "lot": "XYZ123",
    }
    assert said("=)1TE123456A&)RZ12345678") == {"agency": "ICCBBA", "device": "1TE123456A", "lot": "RZ12345678"}
    assert udi.read("=A99971312345600&>0270312359").expires == date(2027, 1, 31)
    assert udi.read("=A99971312345600=}999365").made == date(1999, 12, 31), "the century digit 9 is before 2000"


@pytest.mark.parametrize(
    "raw",
    [
        "=",
        "=/A9999",
        "=>014032",
        "=A99971312345600=>014400",
        "=A99971312345600=>01",
        "&X",
        "=A99971312345600=>014032=>015032",
    ],
)
def test_what_is_not_as_iccbba_has_it_is_refused(raw: str) -> None:
    assert refusal(raw).startswith("Not an ISBT 128 barcode we can read")


def test_an_empty_and_an_endless_barcode_are_refused() -> None:
    assert refusal("  \r\n") == "The barcode is empty"
    assert "256 at most" in refusal("01" + "9" * 300)


def test_a_refusal_never_repeats_the_barcode() -> None:
    for raw in ("(01)51022222233337(21)SECRET7", "+A123BJC5D6E71/$+SECRET7X", "=/SECRET7", "hello SECRET7"):
        assert "SECRET7" not in refusal(raw)


@given(st.text(max_size=80) | st.text(alphabet=ALPHABET + "=&()" + GS, max_size=80))
def test_whatever_is_scanned_is_read_or_refused(raw: str) -> None:
    try:
        assert isinstance(udi.read(raw), Udi)
    except Malformed as no:
        assert no.path == "udi"


def test_damage_to_good_barcodes_is_read_or_refused() -> None:
    chance = random.Random(2026)
    good = [
        f"01{ITEM}111412311715070710A213B1{GS}211234",
        hibc("+A123BJC5D6E71/$$8240927LOT9/S77DE/16D20261101"),
        "=/A9999XYZ100T0944=,000025=A99971312345600=>014032=}013032&,1000000000000XYZ123",
    ]
    for _ in range(3_000):
        raw = list(chance.choice(good))
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.randrange(3)] = chance.choice(string.printable)
        try:
            udi.read("".join(raw))
        except Malformed as no:
            assert no.path == "udi"
