"""Money, quantities, names of cases and how strictly a door reads."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from canonical.base import (
    Currency,
    EmployeeId,
    InvoiceNumber,
    Money,
    Quantity,
    UnitCode,
    case_id,
    case_parts,
    content_hash,
    in_words,
    read_strictly,
    total,
    zero,
)
from canonical.errors import Malformed
from canonical.people import PersonKey, PersonWordText, StateCode
from canonical.purchasing import Requisition, RequisitionLine

REQUISITION = {
    "facility": "NGH",
    "source": "or-desk",
    "number": "R-1",
    "department": "surgery",
    "cost_centre": "CC-4100",
    "requester": "E-100",
    "deliver_to": "OR-STORE",
    "lines": [{"id": "1", "item": "ITM-1001", "quantity": {"value": "2", "unit": "BX"}}],
}

amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=6)


def _with(path: str, value: object) -> str:
    copy = json.loads(json.dumps(REQUISITION))
    *way, last = path.split(".")
    node = copy
    for part in way:
        node = node[int(part)] if part.isdigit() else node[part]
    node[last] = value
    return json.dumps(copy)


def test_a_door_reads_what_fits() -> None:
    assert read_strictly(Requisition, json.dumps(REQUISITION)).lines[0].quantity == Quantity(
        value=Decimal(2), unit="BX"
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("costcentre", "CC-4100"),
        ("lines.0.quantity.unitt", "EA"),
        ("lines.0.quantity.value", 1.5),
        ("lines.0.quantity.value", "a few"),
        ("lines.0.quantity.value", "NaN"),
        ("lines.0.quantity.unit", "boxes"),
        ("facility", ""),
        ("number", "R\x001"),
        ("needed_by", "next week"),
        ("lines", []),
    ],
)
def test_a_door_refuses_what_does_not_fit_and_says_where(path: str, value: object) -> None:
    with pytest.raises(Malformed) as refused:
        read_strictly(Requisition, _with(path, value))
    assert refused.value.path == path
    assert refused.value.message.startswith(path + ": ")


@pytest.mark.parametrize(
    ("once", "twice", "path"),
    [
        ('"facility": "NGH"', '"facility": "WEST", "facility": "NGH"', "facility"),
        ('"value": "2"', '"value": "200", "value": "2"', "lines.0.quantity.value"),
        ('"value": "2"', '"value": "2", "v\\u0061lue": "2"', "lines.0.quantity.value"),
        ('"lines"', '"lines": [], "lines"', "lines"),
    ],
)
def test_a_name_given_twice_is_refused_with_its_path_since_readers_differ_on_which_counts(
    once: str, twice: str, path: str
) -> None:
    text = json.dumps(REQUISITION)
    assert once in text
    for data in (text.replace(once, twice), text.replace(once, twice).encode()):
        with pytest.raises(Malformed) as refused:
            read_strictly(Requisition, data)
        assert (refused.value.path, refused.value.code) == (path, "data-invalid")
    with pytest.raises(Malformed):
        read_strictly(Requisition, text.replace(once, twice), allow_unknown=True)


def test_the_same_name_in_two_objects_is_no_name_given_twice() -> None:
    lines = [{**REQUISITION["lines"][0], "id": name} for name in "12"]  # type: ignore[dict-item]
    assert len(read_strictly(Requisition, json.dumps({**REQUISITION, "lines": lines})).lines) == 2


def test_a_door_never_repeats_the_value_it_refuses() -> None:
    with pytest.raises(Malformed) as refused:
        read_strictly(Requisition, _with("requester", "Maria Ito, ward 7"))
    assert "Maria" not in refused.value.message


@pytest.mark.parametrize(
    ("amount", "currency", "plain"),
    [
        ("58.800000", "USD", "58.80"),
        ("58.123400", "USD", "58.1234"),
        ("100", "USD", "100.00"),
        ("100.000000", "JPY", "100"),
        ("0", "BHD", "0.000"),
    ],
)
def test_an_amount_is_shown_to_its_minor_unit_and_loses_nothing(amount: str, currency: str, plain: str) -> None:
    money = Money(amount=Decimal(amount), currency=currency)
    assert str(money.plain().amount) == plain and money.plain().amount == money.amount


def test_a_door_counts_the_other_problems() -> None:
    with pytest.raises(Malformed, match=r"\(and 1 more\)"):
        read_strictly(Requisition, json.dumps({**REQUISITION, "facility": "", "lines": []}))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"text"'])
def test_a_door_refuses_what_is_no_document(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read_strictly(Requisition, data)
    assert refused.value.path == ""


def test_a_partner_that_may_send_more_is_read_with_what_it_adds_left_out() -> None:
    wire = _with("lines.0.ward_note", "left shelf")
    assert read_strictly(Requisition, wire, allow_unknown=True) == Requisition.model_validate(REQUISITION)


def test_between_our_own_versions_a_later_field_is_passed_over() -> None:
    assert Requisition.model_validate_json(_with("lines.0.of_a_later_version", 1)) == Requisition.model_validate(
        REQUISITION
    )


def test_a_line_that_asks_for_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="names an item"):
        RequisitionLine(id="1", quantity=Quantity(value=Decimal(1)))
    with pytest.raises(ValidationError, match="more than nothing"):
        RequisitionLine(id="1", item="ITM-1", quantity=Quantity(value=Decimal(0)))


def test_two_lines_of_one_id_are_refused() -> None:
    with pytest.raises(ValidationError, match="differ"):
        Requisition.model_validate({**REQUISITION, "lines": REQUISITION["lines"] * 2})  # type: ignore[operator]


def test_the_same_content_has_one_hash_however_it_is_written() -> None:
    plain = read_strictly(Requisition, json.dumps(REQUISITION))
    spelt_out = read_strictly(
        Requisition,
        json.dumps(
            {
                **dict(reversed(REQUISITION.items())),
                "note": "",
                "emergency": False,
                "number": " R-1 ",
                "lines": [
                    {"quantity": {"unit": "BX", "value": "2.000"}, "description": "", "item": "ITM-1001", "id": "1"}
                ],
            }
        ),
    )
    assert content_hash(plain) == content_hash(spelt_out)


@pytest.mark.parametrize(
    ("path", "value"), [("note", "urgent"), ("lines.0.quantity.value", "3"), ("lines.0.id", "2"), ("emergency", True)]
)
def test_other_content_has_another_hash(path: str, value: object) -> None:
    plain = content_hash(read_strictly(Requisition, json.dumps(REQUISITION)))
    assert content_hash(read_strictly(Requisition, _with(path, value))) != plain


def test_the_hash_does_not_change_from_one_release_to_the_next() -> None:
    """Claims in the store hold it for years: a new field with a default must leave it as it is."""
    assert content_hash(read_strictly(Requisition, json.dumps(REQUISITION))) == (
        "e0d7619c56590085620a3a1dd0777eb453ccf4e6740ee554aa48028ec505283b"
    )


def test_a_field_can_be_left_out_of_the_hash() -> None:
    one = read_strictly(Requisition, json.dumps(REQUISITION))
    assert content_hash(one, without=frozenset({"note"})) == content_hash(
        one.changed(note="urgent"), without=frozenset({"note"})
    )


@given(amounts, amounts)
def test_money_adds_and_takes_away_exactly(one: Decimal, other: Decimal) -> None:
    a, b = Money(amount=one), Money(amount=other)
    assert (a + b).amount == one + other
    assert (a + b - b).amount == one


@given(amounts)
def test_money_survives_the_wire_exactly_and_in_plain_digits(amount: Decimal) -> None:
    wire = Money(amount=amount).times(100).model_dump_json()
    assert Money.model_validate_json(wire).amount == amount * 100
    assert "E" not in json.loads(wire)["amount"]


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("2.005", "USD", "2.01"),
        ("-2.005", "USD", "-2.01"),
        ("2.004999", "USD", "2.00"),
        ("2.5", "JPY", "3"),
        ("2.0005", "KWD", "2.001"),
    ],
)
def test_money_is_rounded_half_up_to_its_minor_unit(amount: str, currency: str, rounded: str) -> None:
    assert str(Money(amount=Decimal(amount), currency=currency)) == f"{rounded} {currency}"


def test_an_amount_beyond_counting_is_refused_in_our_own_words() -> None:
    most = Money(amount=Decimal(999_999_999_999))
    with pytest.raises(Malformed, match="larger than can be counted"):
        most.times(10**15)
    with pytest.raises(Malformed, match="larger than can be counted"):
        most + most


def test_money_of_two_currencies_is_never_added() -> None:
    with pytest.raises(ValueError, match="EUR cannot be added to USD"):
        zero() + zero("EUR")
    with pytest.raises(ValueError, match="cannot be added"):
        total([zero("EUR")], "USD")


@pytest.mark.parametrize("amount", [1.1, float("nan"), "Infinity", "NaN", "1e30", "0.1234567"])
def test_money_is_never_a_float_nor_without_end(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": amount})


def test_a_quantity_reads_like_people_write_it() -> None:
    assert str(Quantity(value=Decimal("100.00"), unit="EA")) == "100 EA"
    assert str(Quantity(value=Decimal("2.50"), unit="BX")) == "2.5 BX"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=5))
def test_the_name_of_a_case_gives_its_parts_back(parts: list[str]) -> None:
    name = case_id("procure_to_pay", *parts)
    assert case_parts(name) == ("procure_to_pay", *parts)
    assert name.isascii()


@given(st.tuples(st.text(min_size=1), st.text(min_size=1)), st.tuples(st.text(min_size=1), st.text(min_size=1)))
def test_two_cases_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (case_id("p", *one) == case_id("p", *other)) == (one == other)


@pytest.mark.parametrize("text", ["1_0", "１０", "٣", "0x10", "1e99999", "1 0", "", "."])
def test_what_only_looks_like_a_number_to_a_program_is_no_quantity(text: str) -> None:
    with pytest.raises(ValidationError):
        Quantity(value=text, unit="BX")


@pytest.mark.parametrize("text", ["10", " 10 ", "+10", "1E+1", "10.", "10.0"])
def test_a_number_may_be_written_as_people_do(text: str) -> None:
    assert Quantity(value=text, unit="BX").value == 10


@pytest.mark.parametrize(
    ("kind", "wrong", "told"),
    [
        (EmployeeId, "E 100", "letters, digits"),
        (InvoiceNumber, "INV\n9", "one line of text"),
        (PersonWordText, "Bo\tB", "one line of text"),
        (PersonKey, "me", "8 to 40 letters"),
        (Currency, "usd", "three capital letters"),
        (UnitCode, "box", "two or three capital letters"),
        (StateCode, "Il", "two capital letters"),
    ],
)
def test_what_a_pattern_lets_through_is_told_in_words(kind: Any, wrong: str, told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(wrong)
    said = in_words(refused.value.errors()[0]["msg"])
    assert said.startswith("it must be ") and told in said and "^" not in said
