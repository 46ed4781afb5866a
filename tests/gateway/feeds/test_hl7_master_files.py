"""MFN^M05 and MFN^M16: locations, items, packaging and prices to come; a bad row stands apart and the good ones are taken."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.catalogue import MasterFile
from canonical.errors import Malformed
from tests.formats.hl7_files import MSH, message, sample
from tests.gateway.feeds.hl7_senders import nouns

M05 = MSH.replace("OMS^O05^OMS_O05", "MFN^M05^MFN_M05")
M16 = MSH.replace("OMS^O05^OMS_O05", "MFN^M16^MFN_M16").replace("2.5.1", "2.6")


def file(data: bytes, **tables: dict[str, str]) -> MasterFile:
    (found,) = nouns(data, tables)
    assert isinstance(found, MasterFile)
    return found


def test_a_location_file_says_what_is_there_and_what_is_closed() -> None:
    found = file(sample("mfn_m05"))
    assert (found.kind, found.source, found.facility, found.number) == ("locations", "WARD", "NGH", "LOC-12")
    east, west = found.locations
    assert (east.location, east.name, east.action, east.active, east.cost_centre) == (
        *("4EAST", "Ward 4 East", "update", True),
        "CC-4100",
    )
    assert (west.location, west.action, west.active, west.valid_from) == (
        *("4WEST", "deactivate", False),
        date(2026, 12, 1),
    )


def test_a_room_of_a_ward_is_a_place_of_its_own_and_goes_by_the_senders_table() -> None:
    data = message("MFI|LOC||UPD", "MFE|MAD|1|20261201|x", "LOC|4EAST^12^A|Room", head=M05)
    assert file(data).locations[0].location == "4EAST-12-A"
    assert file(data, location={"4EAST-12-A": "NGH-W3"}).locations[0].location == "NGH-W3"


def test_an_item_file_says_packaging_and_the_price_now_and_to_come() -> None:
    (entry,) = file(sample("mfn_m16")).entries
    assert (entry.item, entry.supplier, entry.catalogue_number, entry.order_unit) == (
        *("ITM-1001", "ALPINE", "ALP-1001"),
        "BX",
    )
    assert [(p.unit, p.base_units) for p in entry.packagings] == [("EA", 1), ("BX", 100), ("CA", 1000)]
    assert [(p.unit, str(p.price.amount), p.valid_from) for p in entry.prices] == [
        ("EA", "0.21", None),
        ("BX", "18.75", None),
        ("BX", "19.10", date(2027, 1, 1)),
        ("CA", "180.00", None),
    ]


def test_each_vendor_of_an_item_is_an_entry() -> None:
    data = message(
        *("MFI|INV||UPD", "MFE|MUP|r1|20261201|ITM-1", "ITM|ITM-1|Gloves", "VND|1|ALPINE||A-1", "PKG|1|BX|Y|100|9&USD"),
        *("VND|2|BOREAL||B-1", "PKG|1|CA|Y|1000|80&EUR"),
        head=M16,
    )
    assert [(e.supplier, e.order_unit, str(e.prices[0].price)) for e in file(data).entries] == [
        ("ALPINE", "BX", "9.00 USD"),
        ("BOREAL", "CA", "80.00 EUR"),
    ]


def test_bad_rows_stand_apart_with_their_place_and_the_good_ones_are_taken() -> None:
    rows = [
        *("MFE|MUP|r1|20261201|A", "ITM|ITM-1|Gloves", "VND|1|ALPINE||A-1", "PKG|1|BX|Y|100|9&USD"),
        *("MFE|MUP|r2|20261201|B", "ITM|ITM-2|Masks", "VND|1|ALPINE||A-2", "PKG|1|BX|Y|12.5|9&USD"),
        *("MFE|ZZZ|r3|20261201|C", "ITM|ITM-3|Caps"),
        *("MFE|MUP|r4|20261201|D", "ITM|ITM-4|Gowns", "VND|1|ALPINE||A-4", "PKG|1|BX|Y|10|9&USD|8&USD"),
        *("MFE|MUP|r5|20261201|E",),
        *("MFE|MUP|r6|20261201|F", "ITM|ITM-6|Tape", "VND|1|ALPINE||A-6", "PKG|1|BX|Y|10|dear&USD"),
        *("MFE|MUP|r7|20261201|G", "ITM|ITM-7|Pins"),
    ]
    found = file(message("MFI|INV||UPD", *rows, head=M16))
    assert [entry.row for entry in found.entries] == ["r1", "r7"]
    assert [(bad.row, bad.path) for bad in found.bad_rows] == [
        ("r2", "PKG(2)-4"),
        ("r3", "MFE(3)-1"),
        ("r4", "PKG(3)-7"),
        ("r5", "MFE(5)"),
        ("r6", "PKG(4)-5.1.1"),
    ]
    assert all(bad.path in bad.reason for bad in found.bad_rows)


def test_a_code_that_is_not_in_the_table_makes_a_bad_row_only() -> None:
    rows = ("MFE|MUP|r1||A", "ITM|X-1|Gloves", "MFE|MUP|r2||B", "ITM|X-2|Masks")
    found = file(message("MFI|INV||UPD", *rows, head=M16), item={"X-1": "ITM-1001"})
    assert [entry.item for entry in found.entries] == ["ITM-1001"]
    assert found.bad_rows[0].reason == "ITM(2)-1: no item for code X-2 of sender WARD"


@pytest.mark.parametrize("segments", [(), ("MFI|INV||UPD",), ("MFE|MUP|1||A", "ITM|ITM-1|x")])
def test_what_is_no_master_file_is_refused(segments: tuple[str, ...]) -> None:
    with pytest.raises(Malformed) as refused:
        file(message(*segments, head=M16))
    assert refused.value.path in ("MFI", "MFE")
