"""The three-way match: every outcome and every tolerance at its edge."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from canonical.base import Money
from canonical.invoicing import Invoice, InvoiceLine
from canonical.matching import HEADER_HOLD, PAY, PRICE_HOLD, QUANTITY_HOLD, RECEIPT_MISSING, Match, Progress, match
from canonical.parties import Tolerances
from canonical.purchasing import OrderLine, PurchaseOrder
from tests import build

UNITS = {"EA": 1, "BX": 10, "CA": 100}


def order(price: str = "100", quantity: str = "10", **fields: Any) -> PurchaseOrder:
    line = OrderLine(
        id="1",
        number=1,
        requisition_line="1",
        item="ITM-1",
        supplier_item="ALP-1",
        quantity=build.each(quantity, "BX"),
        unit_price=build.usd(price),
        **fields,
    )
    return PurchaseOrder(
        facility="NGH",
        number="PO1",
        supplier="ALPINE",
        ship_to="OR-1",
        cost_centre="CC-4100",
        ordered_on=date(2026, 11, 20),
        lines=(line,),
    )


def bill(
    price: str = "100", quantity: str = "10", unit: str = "BX", total: str | None = None, **fields: Any
) -> Invoice:
    price_unit, line_fields = fields.pop("price_unit", None), fields.pop("line", {})
    line = InvoiceLine(
        **({"number": 1, "supplier_item": "ALP-1"} | line_fields),
        quantity=build.each(quantity, unit),
        unit_price=build.usd(price),
        price_unit=price_unit,
    )
    charges = [fields.get(name) for name in ("freight", "tax", "other_charges")]
    amount = Decimal(price) * Decimal(quantity) + sum((c.amount for c in charges if c), Decimal(0))
    return Invoice(
        **(
            {
                "supplier": "ALPINE",
                "number": "INV1",
                "invoiced_on": date(2026, 11, 20),
                "lines": (line,),
                "total": build.usd(total if total is not None else str(amount)),
            }
            | fields
        )
    )


def outcome(
    ordered: PurchaseOrder, billed: Invoice, received: str = "10", invoiced: str = "0", *, more: bool = False
) -> Match:
    before = Progress(received=Decimal(received), invoiced=Decimal(invoiced), more_expected=more, units=UNITS)
    return match(ordered, billed, {"1": before}, Tolerances())


def test_what_was_ordered_received_and_billed_alike_is_paid() -> None:
    found = outcome(order(), bill())
    assert (found.outcome, found.reasons, found.debit_memo) == (PAY, (), build.usd("0"))


@pytest.mark.parametrize(
    ("price", "quantity", "expected"),
    [
        ("102", "10", PAY),  # 2 % and 20 USD
        ("102.01", "10", PRICE_HOLD),  # above 2 %
        ("102", "25", PAY),  # 2 % and exactly 50 USD
        ("102", "26", PRICE_HOLD),  # 2 %, but 52 USD
        ("99", "10", PAY),  # cheaper passes
        ("1", "10", PAY),
    ],
)
def test_a_price_passes_only_inside_both_the_percent_and_the_amount(price: str, quantity: str, expected: str) -> None:
    found = outcome(order(quantity=quantity), bill(price, quantity), received=quantity)
    assert found.outcome == expected
    assert found.decides == ("buyer" if expected == PRICE_HOLD else "")


def test_a_price_hold_keeps_back_the_difference() -> None:
    found = outcome(order(), bill("110"))
    assert (found.outcome, found.debit_memo) == (PRICE_HOLD, build.usd("100"))


@pytest.mark.parametrize(
    ("fields", "billed", "expected"),
    [
        ({}, "10", PAY),
        ({}, "10.000001", QUANTITY_HOLD),
        ({"bulk": True}, "10.5", PAY),
        ({"bulk": True}, "10.500001", QUANTITY_HOLD),
        ({"bulk": True, "tracking": "lot"}, "10.000001", QUANTITY_HOLD),
        ({"bulk": True, "tracking": "serial"}, "11", QUANTITY_HOLD),
        ({"tracking": "implant"}, "11", QUANTITY_HOLD),
        ({"tracking": "lot"}, "10", PAY),
    ],
)
def test_no_more_is_paid_than_came_but_for_bulk(fields: dict[str, Any], billed: str, expected: str) -> None:
    assert outcome(order(**fields), bill(quantity=billed)).outcome == expected


def test_an_over_invoice_keeps_back_what_did_not_come() -> None:
    found = outcome(order(), bill(quantity="12"))
    assert (found.outcome, found.debit_memo) == (QUANTITY_HOLD, build.usd("200"))
    assert found.lines[0].accepted == build.each("10", "BX")


@pytest.mark.parametrize(
    ("received", "invoiced", "billed", "more", "expected"),
    [
        ("0", "0", "10", True, RECEIPT_MISSING),
        ("4", "0", "10", True, RECEIPT_MISSING),
        ("4", "0", "4", True, PAY),
        ("4", "4", "6", True, RECEIPT_MISSING),
        ("10", "4", "6", False, PAY),
        ("10", "4", "7", False, QUANTITY_HOLD),
        ("4", "0", "11", True, QUANTITY_HOLD),  # more than was ordered never comes
        ("4", "0", "10", False, QUANTITY_HOLD),  # the rest has ended
    ],
)
def test_a_receipt_is_missing_only_while_one_may_still_come(
    received: str, invoiced: str, billed: str, more: bool, expected: str
) -> None:
    found = outcome(order(), bill(quantity=billed), received, invoiced, more=more)
    assert found.outcome == expected
    assert found.decides == {RECEIPT_MISSING: "receiving", QUANTITY_HOLD: "buyer"}.get(expected, "")


def test_a_price_per_each_is_matched_against_an_order_in_boxes() -> None:
    fits = outcome(order(), bill("10", "10", total="1000", price_unit="EA"))
    assert (fits.outcome, fits.lines[0].billed_price) == (PAY, build.usd("100"))
    assert outcome(order(), bill("10.50", "10", total="1050", price_unit="EA")).outcome == PRICE_HOLD


def test_a_quantity_in_each_is_matched_against_an_order_in_boxes() -> None:
    found = outcome(order(), bill("10", "100", unit="EA"))
    assert (found.outcome, found.lines[0].billed) == (PAY, build.each("10", "BX"))


@pytest.mark.parametrize("change", [{"unit": "PK"}, {"price_unit": "PK"}])
def test_a_unit_the_item_is_not_packed_in_is_held(change: dict[str, str]) -> None:
    found = outcome(order(), bill(total="1000", **change))
    assert found.outcome == QUANTITY_HOLD and "PK" in found.reasons[0]


@pytest.mark.parametrize(("freight", "expected"), [("0", PAY), ("25", PAY), ("25.01", HEADER_HOLD)])
def test_freight_passes_up_to_its_limit(freight: str, expected: str) -> None:
    assert outcome(order(), bill(freight=build.usd(freight))).outcome == expected


@pytest.mark.parametrize(
    ("total", "expected"),
    [("1005", PAY), ("995", PAY), ("1005.01", HEADER_HOLD), ("994.99", HEADER_HOLD)],
)
def test_the_header_may_differ_from_its_parts_by_little(total: str, expected: str) -> None:
    assert outcome(order(), bill(total=total)).outcome == expected


def test_tax_belongs_to_the_total() -> None:
    assert outcome(order(), bill(tax=build.usd("70"))).outcome == PAY
    assert outcome(order(), bill(tax=build.usd("70"), total="1000")).outcome == HEADER_HOLD


def test_a_tax_no_tax_comes_to_is_for_finance_and_not_accepted() -> None:
    found = outcome(order(), bill(tax=build.usd("900")))
    assert (found.outcome, found.debit_memo) == (HEADER_HOLD, build.usd("900"))
    assert "tax 900" in found.reasons[0]


def test_charges_nobody_ordered_are_for_finance() -> None:
    found = outcome(order(), bill(other_charges=build.usd("3")))
    assert (found.outcome, found.decides, found.debit_memo) == (HEADER_HOLD, "finance", build.usd("3"))


def test_paid_short_freight_above_its_limit_is_kept_back_whole() -> None:
    assert outcome(order(), bill(freight=build.usd("40"))).debit_memo == build.usd("40")


def test_another_currency_is_held_with_nothing_to_accept() -> None:
    euros = bill().model_copy(update={"currency": "EUR", "total": Money(amount=Decimal(1000), currency="EUR")})
    found = outcome(order(), euros)
    assert (found.outcome, found.lines) == (HEADER_HOLD, ()) and "EUR" in found.reasons[0]


@pytest.mark.parametrize(
    "line", [{"number": 9, "supplier_item": ""}, {"supplier_item": "ALP-9"}, {"number": None, "supplier_item": "X"}]
)
def test_a_line_that_is_not_on_the_order_is_for_finance(line: dict[str, Any]) -> None:
    found = outcome(order(), bill(line=line))
    assert found.outcome == HEADER_HOLD and "is not on the order" in found.reasons[0]
    assert found.debit_memo == build.usd("1000")


def test_a_line_without_its_number_is_found_by_its_catalogue_number() -> None:
    assert outcome(order(), bill(line={"number": None})).outcome == PAY


def test_two_lines_of_one_bill_for_the_same_goods_are_counted_together() -> None:
    one = bill(quantity="6").lines[0]
    found = outcome(order(), bill(quantity="6", lines=(one, one), total="1200"))
    assert (found.outcome, found.debit_memo) == (QUANTITY_HOLD, build.usd("200"))


def test_the_gravest_thing_decides() -> None:
    dear_and_many = outcome(order(), bill("110", "12"))
    assert dear_and_many.outcome == QUANTITY_HOLD
    assert dear_and_many.debit_memo == build.usd("320")  # 12 at 110, of which 10 at 100 are accepted


@pytest.mark.parametrize(
    "odd",
    [
        {"quantity": "-10"},
        {"quantity": "0"},
        {"price": "-100"},
        {"freight": build.usd("-5")},
        {"tax": build.usd("-5")},
        {"other_charges": build.usd("-5")},
        {"invoiced_on": date(9999, 12, 31)},
        {"invoiced_on": date(1, 1, 1)},
    ],
)
def test_a_bill_out_of_reason_never_passes_and_leaves_nothing_to_accept(odd: dict[str, Any]) -> None:
    """Less than nothing would make room for the same goods to be billed, and paid, again."""
    found = match(order(), bill(**odd), {"1": Progress(received=Decimal(10), invoiced=Decimal(10))}, Tolerances())
    assert (found.outcome, found.decides, found.lines) == (HEADER_HOLD, "finance", ())
