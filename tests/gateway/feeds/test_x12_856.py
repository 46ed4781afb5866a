"""An 856 says what is on its way: lots and expiry dates by item, packages, and one notice for each order."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from canonical.base import Quantity
from canonical.errors import Malformed
from canonical.purchasing import ShipNotice
from tests.gateway.feeds.x12_files import noun, nouns

SECOND_ORDER = "HL*8*1*O~\nPRF*PO-20002~\nHL*9*8*I~\nLIN*1*VC*ALP-1009~\nSN1**3*CS~\nCTT*9~"


def test_lots_serials_and_expiry_dates_stand_with_their_items() -> None:
    read = noun(ShipNotice, "856_lots")
    assert (read.number, read.order, read.shipped_on, read.expected) == (
        "SH-4411",
        "PO-20001",
        date(2026, 11, 4),
        date(2026, 11, 6),
    )
    assert [(line.number, line.quantity, line.lot, line.serial, line.expires) for line in read.lines] == [
        (1, Quantity(value=Decimal(40), unit="BX"), "L77A", "", date(2028, 5, 31)),
        (1, Quantity(value=Decimal(10), unit="BX"), "L77B", "", date(2028, 6, 30)),
        (2, Quantity(value=Decimal(24), unit="EA"), "", "SN-5501", None),
    ]


def test_packages_carrier_and_tracking_are_taken_from_the_levels_above_the_items() -> None:
    read = noun(ShipNotice, "856_lots")
    assert read.packages == ("00106141411928374657", "00106141411928374664")
    assert (read.carrier, read.tracking) == ("UPSN", "1Z999AA10123456784")


def test_items_directly_under_the_order_are_read_too() -> None:
    read = noun(ShipNotice, "taught_repetition_mark")
    assert (read.order, read.lines[0].quantity.value, read.lines[0].supplier_item) == ("99999817", Decimal(24), "BOR-1")


def test_one_shipment_for_two_orders_becomes_two_notices() -> None:
    first, second = nouns("856_lots", ("CTT*7~", SECOND_ORDER))
    assert isinstance(first, ShipNotice) and isinstance(second, ShipNotice)
    assert (first.order, len(first.lines)) == ("PO-20001", 3)
    assert (second.order, [str(line.quantity) for line in second.lines]) == ("PO-20002", ["3 CA"])
    assert second.packages == ()
    assert second.shipped_on == date(2026, 11, 4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("HL*4*3*I", "HL*4*9*I"),
        ("HL*4*3*I", "HL*3*2*I"),
        ("HL*2*1*O~\nPRF*PO-20001~", "HL*2*1*O~"),
        ("BSN*00*", "BSN*01*"),
    ],
)
def test_a_tree_that_does_not_hold_is_refused(old: str, new: str) -> None:
    with pytest.raises(Malformed):
        noun(ShipNotice, "856_lots", (old, new))
