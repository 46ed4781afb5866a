"""Keys of payments: fixed before the first try, and never those of another payment."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.base import Money
from canonical.invoicing import PaymentOrder


def payment(invoice: str, attempt: int = 1, *, encoded: bool = True) -> PaymentOrder:
    return PaymentOrder(
        facility="NGH",
        case="purchase_order/NGH/PO-1",
        order="PO-1",
        supplier="ALPINE",
        invoice=invoice,
        invoice_key="key",
        amount=Money(amount="10", currency="USD"),
        discount=Money(amount="0", currency="USD"),
        debit_memo=Money(amount="0", currency="USD"),
        pay_on=date(2026, 11, 20),
        attempt=attempt,
        encoded=encoded,
    )


@pytest.mark.parametrize("invoice", ["INV-1", "100%", "A B"])
def test_the_key_of_a_number_without_a_slash_is_the_same_for_every_case(invoice: str) -> None:
    for attempt, end in ((1, ""), (2, "/2")):
        expected = f"purchase_order/NGH/PO-1/payment/{invoice}{end}"
        assert {payment(invoice, attempt, encoded=new).key for new in (True, False)} == {expected}


def test_a_number_with_a_slash_has_a_key_of_its_own_and_a_case_under_way_keeps_its() -> None:
    assert payment("INV", 2).key != payment("INV/2").key == "purchase_order/NGH/PO-1/payment/INV%2F2"
    assert payment("INV/2", encoded=False).key == "purchase_order/NGH/PO-1/payment/INV/2"
