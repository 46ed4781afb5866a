"""An 810 is a bill: exact amounts, freight and tax apart, terms, and the orders it is for."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from canonical.base import Money
from canonical.errors import Malformed
from canonical.invoicing import Invoice
from tests.gateway.feeds.x12_files import noun, nouns

SAMPLE = "810_freight_and_tax"


def _usd(amount: str) -> Money:
    return Money(amount=Decimal(amount))


def test_lines_freight_tax_and_total_are_exact() -> None:
    read = noun(Invoice, SAMPLE)
    assert (read.supplier, read.number, read.invoiced_on, read.order) == (
        "ALPINE",
        "INV-7001",
        date(2026, 11, 6),
        "PO-20001",
    )
    assert (read.freight, read.tax, read.other_charges, read.total) == (
        _usd("24.50"),
        _usd("15.00"),
        None,
        _usd("1998.50"),
    )
    assert [(line.number, str(line.quantity), line.unit_price, line.supplier_item) for line in read.lines] == [
        (1, "100 BX", _usd("18.75"), "ALP-1001"),
        (2, "24 EA", _usd("3.5"), "ALP-1002"),
    ]
    assert not read.credit


def test_terms_are_read_as_days_or_as_a_due_date() -> None:
    read = noun(Invoice, SAMPLE)
    assert (read.discount_percent, read.discount_days, read.net_days) == (Decimal(2), 10, 30)
    dated = noun(Invoice, SAMPLE, ("ITD*01*3*2**10**30", "ITD*01*3*2*20261116**20261206"))
    assert (dated.discount_days, dated.net_days) == (10, 30)


def test_other_charges_and_allowances_are_neither_freight_nor_tax() -> None:
    read = noun(Invoice, SAMPLE, ("SAC*C*D240***2450~", "SAC*C*D240***2450~\nSAC*A*C310***1000~\nSAC*N*D500~"))
    assert (read.freight, read.other_charges) == (_usd("24.50"), _usd("-10.00"))


def test_a_charge_without_an_amount_is_refused() -> None:
    with pytest.raises(Malformed) as refused:
        noun(Invoice, SAMPLE, ("SAC*C*D240***2450", "SAC*C*D240****Z*2.5"))
    assert refused.value.path.endswith("SAC05")


def test_the_currency_and_a_credit_are_said_by_the_supplier() -> None:
    assert noun(Invoice, SAMPLE, ("CUR*SE*USD", "CUR*SE*CAD")).total.currency == "CAD"
    assert noun(Invoice, SAMPLE, ("***DI~", "***CR~")).credit


def test_a_bill_for_several_orders_names_them_all() -> None:
    read = noun(Invoice, SAMPLE, ("*VC*ALP-1002~", "*VC*ALP-1002~\nREF*PO*PO-20009~"))
    assert read.orders == ("PO-20001", "PO-20009")


def test_a_bill_without_lines_still_has_a_total() -> None:
    read = noun(
        Invoice,
        SAMPLE,
        ("IT1*1*100*BX*18.75**VC*ALP-1001~\nIT1*2*24*EA*3.5**VC*ALP-1002~\n", ""),
    )
    assert (read.lines, read.total, read.freight) == ((), _usd("1998.50"), _usd("24.50"))


def test_lines_without_a_number_or_catalogue_number_of_ours_are_carried() -> None:
    first, second = nouns("taught_two_documents_one_group")
    assert isinstance(first, Invoice) and isinstance(second, Invoice)
    assert (first.lines[0].number, first.lines[0].supplier_item, str(first.lines[0].quantity)) == (None, "", "16 CA")
    assert (first.total, second.total) == (_usd("197.44"), _usd("617.00"))


def test_a_price_for_each_on_a_bill_in_boxes_is_said() -> None:
    read = noun(Invoice, SAMPLE, ("BX*18.75**VC", "BX*0.1875*PE*VC"))
    assert (read.lines[0].quantity.unit, read.lines[0].price_unit) == ("BX", "EA")
