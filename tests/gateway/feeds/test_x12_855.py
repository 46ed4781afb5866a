"""An 855 says, line by line, what the supplier will do; codes are carried as they came."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from canonical.base import Money, Quantity
from canonical.errors import Malformed
from canonical.purchasing import OrderAcknowledgement
from tests.gateway.feeds.x12_files import noun


def test_a_line_may_be_partly_accepted_and_partly_back_ordered() -> None:
    read = noun(OrderAcknowledgement, "855_partly_backordered")
    assert (read.supplier, read.order, read.code, read.supplier_reference) == ("ALPINE", "PO-20001", "AD", "SO-88120")
    first = read.lines[0]
    assert (first.number, first.supplier_item, first.unit_price) == (1, "ALP-1001", Money(amount=Decimal("18.75")))
    assert [(ack.code, ack.quantity, ack.dated) for ack in first.acknowledgements] == [
        ("IA", Quantity(value=Decimal(50), unit="BX"), date(2026, 11, 5)),
        ("IB", Quantity(value=Decimal(50), unit="BX"), date(2026, 11, 19)),
    ]


def test_a_substitute_a_price_change_and_an_unknown_code_are_carried() -> None:
    read = noun(OrderAcknowledgement, "855_partly_backordered")
    second, third, fourth = read.lines[1:]
    assert (second.acknowledgements[0].code, second.unit_price) == ("IP", Money(amount=Decimal("3.75")))
    assert (third.acknowledgements[0].code, third.acknowledgements[0].supplier_item) == ("IS", "ALP-1003B")
    assert third.quantity == Quantity(value=Decimal(2), unit="CA")
    assert fourth.acknowledgements[0].code == "ZQ"


def test_the_date_may_stand_in_the_segment_after_the_acknowledgement() -> None:
    read = noun(OrderAcknowledgement, "855_partly_backordered", ("ACK*IP*24*EA~", "ACK*DR*24*EA~\nDTM*067*20261209~"))
    assert read.lines[1].acknowledgements[0].dated == date(2026, 12, 9)


def test_the_header_alone_can_answer_the_whole_order() -> None:
    read = noun(
        OrderAcknowledgement,
        "855_partly_backordered",
        ("BAK*00*AD*PO-20001*20261102****SO-88120", "BAK*00*RJ*PO-20001*20261102*****20261103"),
    )
    assert (read.code, read.acknowledged_on) == ("RJ", date(2026, 11, 3))


def test_the_unit_a_price_is_for_is_named_where_the_supplier_says_it() -> None:
    each = noun(OrderAcknowledgement, "855_partly_backordered", ("18.75**VC*ALP-1001", "0.19*PE*VC*ALP-1001"))
    assert each.lines[0].price_unit == "EA"
    strange = noun(OrderAcknowledgement, "855_partly_backordered", ("18.75**VC*ALP-1001", "0.19*HP*VC*ALP-1001"))
    assert strange.lines[0].price_unit == "HP"


def test_a_cancelled_answer_is_refused_rather_than_read_as_an_answer() -> None:
    with pytest.raises(Malformed) as refused:
        noun(OrderAcknowledgement, "855_partly_backordered", ("BAK*00*", "BAK*01*"))
    assert refused.value.path == "BAK/2/BAK01"


def test_a_value_too_precise_for_money_is_refused_with_its_place() -> None:
    with pytest.raises(Malformed) as refused:
        noun(OrderAcknowledgement, "855_partly_backordered", ("*18.75*", "*18.75000001*"))
    assert "amount" in refused.value.path
