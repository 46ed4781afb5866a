"""Each, box and case of one item, and what one of them costs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from canonical.base import Money, Quantity
from canonical.errors import Malformed
from canonical.supply import ContractPrice, Item, Packaging, SupplierItem

GLOVES = Item(
    code="ITM-1001",
    packagings=(Packaging(unit="BX", base_units=100), Packaging(unit="CA", base_units=1000)),
    suppliers=(
        SupplierItem(
            supplier="BOREAL",
            catalogue_number="BOR-7",
            order_unit="CA",
            packagings=(Packaging(unit="CA", base_units=500),),
        ),
        SupplierItem(supplier="ALPINE", catalogue_number="ALP-7", order_unit="BX", preferred=True),
    ),
)


def _quantity(text: str) -> Quantity:
    value, unit = text.split()
    return Quantity(value=Decimal(value), unit=unit)


@pytest.mark.parametrize(
    ("asked", "unit", "gives"),
    [
        ("3 BX", "EA", "300 EA"),
        ("300 EA", "BX", "3 BX"),
        ("2 CA", "BX", "20 BX"),
        ("20 BX", "CA", "2 CA"),
        ("0.5 CA", "BX", "5 BX"),
        ("7 EA", "EA", "7 EA"),
    ],
)
def test_each_box_and_case_convert_exactly(asked: str, unit: str, gives: str) -> None:
    assert GLOVES.convert(_quantity(asked), unit) == _quantity(gives)


@pytest.mark.parametrize(("asked", "unit"), [("150 EA", "BX"), ("15 BX", "CA"), ("0.005 BX", "EA")])
def test_what_is_not_a_whole_number_of_the_unit_is_refused(asked: str, unit: str) -> None:
    with pytest.raises(Malformed, match="not a whole number") as refused:
        GLOVES.convert(_quantity(asked), unit)
    assert (refused.value.path, refused.value.code) == ("quantity", "business-rule")


def test_a_unit_the_item_is_not_packed_in_is_refused() -> None:
    with pytest.raises(Malformed, match="not packed in DZ") as refused:
        GLOVES.convert(_quantity("1 DZ"), "EA")
    assert refused.value.path == "unit"


def test_a_suppliers_own_packaging_goes_first() -> None:
    assert GLOVES.convert(_quantity("1 CA"), "EA", "BOREAL") == _quantity("500 EA")
    assert GLOVES.convert(_quantity("1 CA"), "EA", "ALPINE") == _quantity("1000 EA")


def test_the_base_unit_holds_one() -> None:
    with pytest.raises(ValidationError, match="holds one"):
        Item(code="X", base_unit="EA", packagings=(Packaging(unit="EA", base_units=10),))


@given(st.integers(1, 10**5), st.integers(1, 9_999))
def test_there_and_back_is_the_same_quantity(boxes: int, pack: int) -> None:
    item = Item(code="X", packagings=(Packaging(unit="BX", base_units=pack),))
    asked = Quantity(value=Decimal(boxes), unit="BX")
    assert item.convert(item.convert(asked, "EA"), "BX") == asked


def test_more_than_can_be_counted_is_refused_in_our_own_words() -> None:
    with pytest.raises(Malformed, match="can be counted"):
        GLOVES.convert(_quantity("999999999 CA"), "EA")


def test_a_price_per_each_is_not_a_price_per_case() -> None:
    each = Money(amount=Decimal("0.12"))
    assert GLOVES.price_in(each, "EA", "CA") == Money(amount=Decimal(120))
    assert GLOVES.price_in(Money(amount=Decimal(120)), "CA", "EA") == each
    assert GLOVES.price_in(each, "EA", "CA", "BOREAL") == Money(amount=Decimal(60))


def test_a_price_that_does_not_divide_keeps_six_places() -> None:
    thirds = Item(code="X", packagings=(Packaging(unit="PK", base_units=3),))
    assert thirds.price_in(Money(amount=Decimal(1)), "PK", "EA").amount == Decimal("0.333333")


@given(st.integers(1, 10**9), st.integers(1, 10**4))
def test_a_price_per_each_comes_back_from_a_price_per_case(cents: int, pack: int) -> None:
    item = Item(code="X", packagings=(Packaging(unit="CA", base_units=pack),))
    each = Money(amount=Decimal(cents).scaleb(-2))
    assert item.price_in(item.price_in(each, "EA", "CA"), "CA", "EA") == each


def test_a_supplier_is_chosen_as_of_the_day() -> None:
    item = Item(
        code="X",
        suppliers=(
            SupplierItem(supplier="A", catalogue_number="1", order_unit="EA", valid_to=date(2026, 6, 30)),
            SupplierItem(supplier="A", catalogue_number="2", order_unit="EA", valid_from=date(2026, 7, 1)),
            SupplierItem(
                supplier="B", catalogue_number="3", order_unit="EA", preferred=True, valid_from=date(2026, 7, 1)
            ),
        ),
    )
    june, july = date(2026, 6, 30), date(2026, 7, 1)
    assert (item.at_supplier("A", june) or pytest.fail()).catalogue_number == "1"
    assert (item.at_supplier("A", july) or pytest.fail()).catalogue_number == "2"
    assert (item.preferred_supplier(june) or pytest.fail()).supplier == "A"
    assert (item.preferred_supplier(july) or pytest.fail()).supplier == "B"
    assert item.at_supplier("C", july) is None


def test_a_contract_price_holds_between_its_two_days() -> None:
    price = ContractPrice(
        contract="K-1",
        supplier="A",
        item="X",
        unit="EA",
        price=Money(amount=Decimal(1)),
        valid_from=date(2026, 1, 1),
        valid_to=date(2026, 12, 31),
    )
    assert price.holds(date(2026, 1, 1)) and price.holds(date(2026, 12, 31))
    assert not price.holds(date(2025, 12, 31)) and not price.holds(date(2027, 1, 1))


@pytest.mark.parametrize(("asked", "unit"), [("0.5 BX", "BX"), ("1.5 EA", "EA"), ("2.000001 CA", "CA")])
def test_a_part_of_a_unit_is_refused_also_where_nothing_is_converted(asked: str, unit: str) -> None:
    with pytest.raises(Malformed, match="not a whole number"):
        GLOVES.convert(_quantity(asked), unit)
    assert GLOVES.convert(_quantity(f"2.0 {unit}"), unit).value == 2
