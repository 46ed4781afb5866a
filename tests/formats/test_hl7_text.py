"""Character sets, escapes and values of HL7: what the bytes of a field stand for, and the way back."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest

from canonical.senders import CHARACTER_SETS
from formats import hl7_values as values
from formats.hl7 import STANDARD, Fault, Marks, Moment, Price, Unreadable, escape, read, unescape
from formats.hl7_text import _SETS, codec_of
from tests.formats.hl7_files import MSH, message, sample

AT = Fault("", "", "", "OBX", 1, 5)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (r"\F\\S\\T\\R\\E\ ", "|^&~\\ "),
        (r"\E\F\E\ ", "\\F\\ "),
        (r"one\.br\two\.sp\three", "one\ntwo\nthree"),
        (r"a \H\bold\N\ b", "a bold b"),
        (r"\X0D0A\x\X41\ ", "\r\nxA "),
        (r"\XC3A9\t\XE9\ ", "ét\\XE9\\ "),
        (r"\X00\ \X1C\ \XZZ\ \X4\ ", r"\X00\ \X1C\ \XZZ\ \X4\ "),
        (r"\Zxx\ \C2842\ \M2442\ \.in+4\ \Q\ ", r"\Zxx\ \C2842\ \M2442\ \.in+4\ \Q\ "),
        ("C:\\temp", "C:\\temp"),
        ("\\", "\\"),
        ("", ""),
        (r"\P\ ", r"\P\ "),
    ],
)
def test_escapes_are_undone_and_what_we_do_not_know_is_kept(wire: str, text: str) -> None:
    assert unescape(wire) == text


def test_escapes_follow_the_marks_of_the_message() -> None:
    assert read(sample("taught_odd_marks")).value("RQD-2.2") == "Price $5 ~ cup"
    assert unescape(r"\P\ ", Marks(truncation="#")) == "# "
    assert unescape(r"\F\ ", Marks(escape="")) == r"\F\ "


def test_hexadecimal_is_read_in_the_set_of_the_message() -> None:
    assert read(sample("omn_o07")).value("NTE-3") == "Café on level 2"
    latin = message("NTE|1||Caf\\XE9\\", head=MSH + "||||||8859/1")
    assert read(latin).value("NTE-3") == "Café"


def test_any_text_written_is_read_back_the_same() -> None:
    chance = random.Random(7)
    signs = "ab|^~\\&#\r\n\t\x7f\"' é病𝒳.XFSTRE"
    for _ in range(3000):
        text = "".join(chance.choices(signs, k=chance.randint(0, 12)))
        wire = escape(text)
        assert not set(wire) & set("|^~&\r\n")
        assert unescape(wire) == text
    assert escape("a\x0bb\x1cc\0") == "a\\X0B\\b\\X1C\\c\\X00\\"  # what would break the frame


def test_a_separator_cannot_be_written_without_an_escape_character() -> None:
    with pytest.raises(Unreadable, match="no escape"):
        escape("a|b", Marks(escape=""))
    assert escape("plain", Marks(escape="")) == "plain"


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("", "ascii"),
        ("ASCII", "ascii"),
        ("8859/1", "iso8859-1"),
        ("8859/15", "iso8859-15"),
        ("ISO-8859-1", "iso8859-1"),
        ("UNICODE UTF-8", "utf-8"),
        ("utf-8", "utf-8"),
        ("UNICODE UTF-16", "utf-16"),
        ("UNICODE UTF-32", "utf-32"),
        ("GB 18030-2000", "gb18030"),
        ("KS X 1001", "euc_kr"),
        ("BIG-5", "big5"),
        ("~ISO IR87", "iso2022_jp_ext"),
        ("ISO IR14~ISO IR87~ISO IR159", "iso2022_jp_ext"),
        ("ASCII~8859/1", "ascii"),
        ("8859/1~ISO IR87", ""),
        ("CNS 11643-1992", ""),
        ("KLINGON", ""),
        ("Ŗ]", ""),
    ],
)
def test_msh_18_names_the_character_set(declared: str, codec: str) -> None:
    assert codec_of(declared) == codec


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("taught_latin1", "Café on level 2"),
        ("taught_utf16", "Café 病院 on level 2"),
        ("taught_japanese", "病院の紙コップ 消耗品 level 2"),
    ],
)
def test_text_in_every_set_is_read(name: str, text: str) -> None:
    assert read(sample(name)).value("NTE-3") == text


@pytest.mark.parametrize(
    ("charset", "put"),
    [("ASCII", b"\xc3\xa9"), ("", b"\xe9"), ("UNICODE UTF-8", b"\xe9"), ("~ISO IR87", b"\x80"), ("~ISO IR87", b"\x9a")],
)
def test_bytes_that_do_not_fit_are_refused_with_their_place(charset: str, put: bytes) -> None:
    data = message("NTE|1||plain", "NTE|2||caf\0", head=f"{MSH}||||||{charset}").replace(b"\0", put)
    with pytest.raises(Unreadable) as refused:
        read(data)
    assert (refused.value.code, refused.value.path) == ("character-set", "NTE(2)-3")
    assert f"Byte {data.index(put)} " in refused.value.message


def test_bytes_of_eight_bits_after_an_escape_are_no_japanese_text_either() -> None:
    data = message("NTE|1||a\x1b\0b\x0b", head=MSH + "||||||~ISO IR87")
    for put in (b"\x9a", b"\x80"):
        with pytest.raises(Unreadable, match=f"Byte {data.index(0)} does not fit"):
            read(data.replace(b"\0", put))


def test_a_senders_own_default_set_is_used_where_msh_18_is_empty() -> None:
    data = message("NTE|1||caf\0").replace(b"\0", b"\xe9")
    assert read(data, default="8859/1").value("NTE-3") == "café"


@pytest.mark.parametrize(
    ("text", "first", "precision"),
    [
        ("2026", datetime(2026, 1, 1), "year"),  # noqa: DTZ001
        ("202611", datetime(2026, 11, 1), "month"),  # noqa: DTZ001
        ("20261102", datetime(2026, 11, 2), "day"),  # noqa: DTZ001
        ("2026110209", datetime(2026, 11, 2, 9), "hour"),  # noqa: DTZ001
        ("202611020915", datetime(2026, 11, 2, 9, 15), "minute"),  # noqa: DTZ001
        ("20261102091530+0000", datetime(2026, 11, 2, 9, 15, 30, tzinfo=UTC), "second"),
        ("20261102091530.1234-0530", None, "fraction"),
        ("20240229", datetime(2024, 2, 29), "day"),  # noqa: DTZ001
    ],
)
def test_a_time_is_as_exact_as_it_was_sent(text: str, first: datetime | None, precision: str) -> None:
    found = values.moment(text, AT)
    first = first or datetime(2026, 11, 2, 9, 15, 30, 123400, tzinfo=timezone(-timedelta(hours=5, minutes=30)))
    assert (found.at, found.precision) == (first, precision)
    assert found.at.utcoffset() == first.utcoffset()
    assert values.as_moment(found.at, found.precision) == text


@pytest.mark.parametrize(
    "wrong",
    ["20260229", "20261301", "20260431", "2026110224", "202611020960", "20261102091560", "26", "2026-11-02", "20261102T09",
     "20261102091530.12345", "20261102+2500", "00000000", "0000", "20261102 ", "２０２６"],
)  # fmt: skip
def test_what_is_not_in_the_calendar_is_refused(wrong: str) -> None:
    assert not values.is_moment(wrong)
    with pytest.raises(Unreadable) as refused:
        values.moment(wrong, AT)
    assert refused.value.path == "OBX-5"


def test_a_day_less_exact_than_a_day_is_refused_not_guessed() -> None:
    with pytest.raises(Unreadable, match="exact to the day"):
        values.day("202611", AT)
    assert values.day("20261102235959", AT) == date(2026, 11, 2)


def test_clocks_and_their_zones() -> None:
    assert values.clock("0915", AT) == time(9, 15)
    assert values.clock("091530.5+0100", AT) == time(9, 15, 30, 500000, tzinfo=timezone(timedelta(hours=1)))
    for wrong in ("24", "9", "0960", "09:15", "0915+9"):
        with pytest.raises(Unreadable):
            values.clock(wrong, AT)


@pytest.mark.parametrize(
    ("text", "number"),
    [("007", "7"), ("+3", "3"), (".5", "0.5"), ("4.", "4"), ("-12.50", "-12.50"), ("1" * 40, "1" * 40)],
)
def test_numbers_are_exact_decimals(text: str, number: str) -> None:
    assert values.number(text, AT) == Decimal(number)


def test_money_keeps_its_currency_and_refuses_what_is_none() -> None:
    assert values.price("12.50", "usd", AT) == Price(Decimal("12.50"), "USD")
    assert values.price("12.50", "", AT).currency == ""
    for amount, currency in (("12,50", "USD"), ("", "USD"), ("1", "DOLLAR"), ("1", "US1")):
        with pytest.raises(Unreadable):
            values.price(amount, currency, AT)


def test_numbers_are_written_without_an_exponent() -> None:
    assert values.as_number(Decimal("1E+3")) == "1000"
    assert values.as_number(Decimal("0.0000001")) == "0.0000001"
    assert values.as_moment(datetime(987, 1, 2, 3, 4, 5), "day") == "09870102"  # noqa: DTZ001
    assert Moment(datetime(2026, 11, 2, tzinfo=UTC), "day").day == date(2026, 11, 2)
    assert STANDARD.encoding == "^~\\&"


def test_the_sets_a_senders_row_may_name_are_those_there_is_a_codec_for() -> None:
    assert {name: codec_of(name) for name in CHARACTER_SETS} == _SETS
