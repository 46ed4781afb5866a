"""RDS^O13, INU^U05 and OMS^O05 of stock use: what a pharmacy dispensed, an analyser used up and a department took becomes uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from canonical.errors import Malformed
from canonical.purchasing import Requisition
from canonical.senders import Sender
from canonical.usage import UsageEvent
from tests.formats.hl7_files import MSH, message, sample
from tests.gateway.feeds.hl7_senders import WARD, nouns

PHARMACY = Sender(
    code="PHARMACY", facility="NGH", addresses=("10.1.0.0/16",), source="pharmacy-desk", deliver_to="NGH-PHARM"
)
ANALYZER = Sender(code="LAB", facility="NGH", addresses=("10.1.0.0/16",), source="analyzers")
THEATRE = WARD.changed(stock_use=True, deliver_to=None, cost_centre=None)
PID = "PID|1||900001^^^NGH^MR||DOE^JANE||19700101|F"
RXD = "RXD|1|MED-77^Saline^NGH|20261102101200|2|BAG^Bag^L||RX-1"
EQU = "EQU|ANALYZER01^NGH|20261102155900|OP"
INV = "INV|REA-12^Reagent kit^NGH|OK|RC||||500|120||380|mL^Millilitre^UCUM|20270131||||LOT-R9"


def uses(
    kind: str,
    *segments: str,
    sender: Sender,
    tables: Mapping[str, dict[str, str]] | None = None,
    version: str = "2.5.1",
) -> tuple[Any, ...]:
    head = MSH.replace("OMS^O05^OMS_O05", kind).replace("2.5.1", version)
    return nouns(message(*segments, head=head), tables, sender=sender)


def refusal(kind: str, *segments: str, sender: Sender) -> Malformed:
    with pytest.raises(Malformed) as refused:
        uses(kind, *segments, sender=sender)
    assert refused.value.path and refused.value.path in refused.value.message
    return refused.value


def test_a_dispense_is_a_use_of_the_pharmacys_stock_with_a_name_for_each_of_its_lots() -> None:
    tables = {"item": {"MED-77": "ITM-1008"}, "unit": {"BAG": "EA"}}
    first, second = nouns(sample("rds_o13"), tables, sender=PHARMACY)
    assert isinstance(first, UsageEvent)
    assert (first.number, first.sequence, first.kind) == ("RXO-5512^LOT-7A", 1, "use")
    assert (first.item, first.amount, first.unit) == ("ITM-1008", Decimal(1), "EA"), "two bags of two lots"
    assert (first.lot, first.expires) == ("LOT-7A", date(2028, 6, 30))
    assert (second.number, second.lot, second.expires) == ("RXO-5512^LOT-7B", "LOT-7B", date(2028, 7, 31))
    assert (first.location, first.used_at) == ("NGH-PHARM", datetime(2026, 11, 2, 10, 12, tzinfo=UTC))


def test_one_lot_keeps_the_orders_own_number_and_its_quantity() -> None:
    (use,) = uses("RDS^O13", PID, "ORC|RE||RXO-1", RXD + "|||||||||||L-1|20280630", sender=PHARMACY)
    assert (use.number, use.sequence, use.amount, use.lot) == ("RXO-1", 1, Decimal(2), "L-1")
    assert uses("RDS^O01", PID, "ORC|RE||RXO-1", RXD, sender=PHARMACY, version="2.3")[0].number == "RXO-1"


def test_several_lots_of_which_nobody_says_how_many_are_refused() -> None:
    wrong = refusal("RDS^O13", PID, "ORC|RE||RXO-1", RXD.replace("|2|", "|5|") + "|||||||||||A~B", sender=PHARMACY)
    assert wrong.path == "RXD-18" and "2 lots" in wrong.message


@pytest.mark.parametrize("control", ["CA", "OC", "CR", "DC", "OD", "DR"])
def test_a_cancelled_dispense_takes_back_the_one_of_its_order_and_number(control: str) -> None:
    (void,) = uses("RDS^O13", PID, f"ORC|{control}||RXO-1", RXD.replace("RXD|1", "RXD|2"), sender=PHARMACY)
    assert (void.kind, void.number, void.sequence) == ("void", f"RXO-1^{control}", 2)
    assert (void.voids_number, void.voids_sequence) == ("RXO-1", 2)


def test_dispenses_of_several_orders_stand_each_under_its_own() -> None:
    found = uses("RDS^O13", PID, "ORC|RE||A", RXD, "ORC|NW||B", RXD, RXD.replace("RXD|1", "RXD|2"), sender=PHARMACY)
    assert [(use.number, use.sequence) for use in found] == [("A", 1), ("B", 1), ("B", 2)]
    assert uses("RDS^O13", "ORC|RE|P-1", RXD.replace("RX-1", ""), sender=PHARMACY)[0].number == "P-1"
    assert uses("RDS^O13", "ORC|RE|P-1", RXD, sender=PHARMACY)[0].number == "RX-1"


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({26: "SAT"}, "NGH-SAT"),
        ({26: "UNKNOWN"}, "UNKNOWN"),
        ({13: "4EAST^12"}, "NGH-4E"),
        ({13: "5WEST"}, "NGH-PHARM"),
        ({}, "NGH-PHARM"),
    ],
)
def test_the_store_it_was_taken_from_goes_before_the_ward_it_went_to(fields: dict[int, str], location: str) -> None:
    parts = RXD.split("|") + [""] * 30
    for field, value in fields.items():
        parts[field] = value
    tables = {"location": {"SAT": "NGH-SAT", "4EAST": "NGH-4E"}}
    (use,) = uses("RDS^O13", PID, "ORC|RE||A", "|".join(parts), sender=PHARMACY, tables=tables)
    assert use.location == location


@pytest.mark.parametrize(
    ("segments", "path"),
    [
        (("ORC|SC||A", RXD), "ORC-1"),
        (("ORC|RE", RXD.replace("RX-1", "")), "ORC-3"),
        (("ORC|RE||A", RXD.replace("|2|", "|x|")), "RXD-4"),
        (("ORC|RE||A", RXD.replace("|2|", "||")), "RXD-4"),
        (("ORC|RE||A", RXD.replace("|2|", "|-2|")), "RXD-4"),
        (("ORC|RE||A", RXD.replace("20261102101200", "")), "RXD-3"),
        (("ORC|RE||A", RXD.replace("MED-77^Saline^NGH", "")), "RXD-2"),
        (("ORC|RE||A", RXD.replace("RXD|1", "RXD|one")), "RXD-1"),
        ((RXD,), "ORC"),
        (("ORC|RE||A",), "RXD"),
    ],
)
def test_a_dispense_that_cannot_be_read_is_refused_with_its_place(segments: tuple[str, ...], path: str) -> None:
    assert refusal("RDS^O13", PID, *segments, sender=PHARMACY).path.startswith(path)


def test_what_an_analyser_used_up_is_a_use_named_by_instrument_time_substance_and_lot() -> None:
    tables = {"item": {"REA-12": "ITM-2001"}, "location": {"ANALYZER01": "NGH-LAB"}, "unit": {"mL": "ML"}}
    (use,) = nouns(sample("inu_u05"), tables, sender=ANALYZER)
    assert (use.number, use.sequence) == ("ANALYZER01/20261102155900/REA-12/LOT-R9", 1)
    assert (use.item, use.amount, use.unit, use.lot) == ("ITM-2001", Decimal(380), "ML", "LOT-R9")
    assert (use.expires, use.location) == (date(2027, 1, 31), "NGH-LAB")
    assert nouns(sample("inu_u05"), tables, sender=ANALYZER) == (use,), "the same inventory again is the same use"


def test_what_only_lies_there_is_no_use_and_alike_substances_are_counted() -> None:
    lies = INV.replace("|380|", "||")
    assert uses("INU^U05", EQU, lies, INV.replace("|380|", "|0|"), sender=ANALYZER) == ()
    first, second = uses("INU^U05", EQU, INV, INV, sender=ANALYZER)
    assert (first.number, first.sequence, second.sequence) == (second.number, 1, 2)
    assert first.location == "ANALYZER01", "as written, where no table and no row says which store that is"


def test_a_name_that_would_be_too_long_ends_in_a_hash_of_it_all() -> None:
    other = EQU.replace("ANALYZER01", "A" * 90)
    (first,) = uses("INU^U05", other, INV, sender=ANALYZER)
    (second,) = uses("INU^U05", other, INV.replace("LOT-R9", "LOT-R8"), sender=ANALYZER)
    assert len(first.number) == 80 and first.number[:59] == "A" * 59 and first.number != second.number


@pytest.mark.parametrize(
    ("segments", "path"),
    [
        ((INV,), "EQU"),
        ((EQU.replace("ANALYZER01^NGH", ""), INV), "EQU-1"),
        ((EQU.replace("20261102155900", ""), INV), "EQU-2"),
        ((EQU, INV.replace("|380|", "|some|")), "INV-10"),
        ((EQU, INV.replace("|380|", "|-1|")), "INV-10"),
        ((EQU, INV.replace("REA-12^Reagent kit^NGH", "")), "INV-1"),
    ],
)
def test_an_inventory_that_cannot_be_read_is_refused_with_its_place(segments: tuple[str, ...], path: str) -> None:
    assert refusal("INU^U05", *segments, sender=ANALYZER).path.startswith(path)


def test_an_order_of_stock_says_what_was_taken_where_the_senders_row_says_so() -> None:
    tables = {"item": {"GZ-44": "ITM-1003", "PREP-PAD": "ITM-1024"}, "unit": {"BOX": "BX", "EACH": "EA"}}
    gauze, pads = nouns(sample("oms_o05_stock_use"), tables, sender=THEATRE)
    assert isinstance(gauze, UsageEvent)
    assert (gauze.kind, gauze.number, gauze.sequence) == ("use", "U-501", 1)
    assert (gauze.item, gauze.amount, gauze.unit, gauze.lot) == ("ITM-1003", Decimal(2), "BX", "GZ-9")
    assert (gauze.location, gauze.used_at) == ("NGH-OR", datetime(2026, 11, 2, 11, 55, tzinfo=UTC))
    assert (pads.kind, pads.number, pads.voids_number) == ("void", "U-400^CA", "U-400")
    asked = nouns(sample("oms_o05"), {}, sender=WARD)
    assert all(isinstance(one, Requisition) for one in asked), "any other sender asks for something"


@pytest.mark.parametrize(
    ("segments", "path"),
    [
        (("ORC|XO|U-1|||||||20261102", "RQD|1|GZ||||BX"), "ORC-1"),
        (("ORC|NW|U-1|||||||20261102", "RQD|1|GZ||||BX"), "RQD-5"),
        (("ORC|NW|U-1", "RQD|1|GZ|||2|BX"), "ORC-9"),
        (("ORC|NW||||||||20261102", "RQD|1|GZ|||2|BX"), "ORC-2"),
        (("ORC|NW|U-1|||||||20261102", "RQD|1||||2|BX"), "RQD-2"),
        (("ORC|NW|U-1|||||||20261102", "RQD|1|GZ|||-2|BX"), "RQD-5"),
        (("ORC|NW|U-1|||||||20261102",), "RQD"),
    ],
)
def test_stock_taken_that_cannot_be_read_is_refused_with_its_place(segments: tuple[str, ...], path: str) -> None:
    assert refusal("OMS^O05", *segments, sender=THEATRE).path.startswith(path)
