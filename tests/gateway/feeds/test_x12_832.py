"""832: a supplier's catalogue; bad rows stand apart, and the 997 takes the file with errors noted."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.catalogue import MasterFile
from canonical.errors import Malformed
from formats.x12 import Document, check, read, segment
from gateway.registry import X12_KINDS, read_x12
from tests.gateway.feeds.x12_files import ALPINE, SAMPLES

SAMPLE = SAMPLES / "832_three_bad_rows.x12"


def catalogue(*body: str) -> MasterFile:
    segments = [segment(name, *rest.split("*")) for name, _, rest in (one.partition("*") for one in body)]
    (interchange,) = read(SAMPLE.read_bytes())
    (found,) = read_x12(interchange, Document(segment("ST", "832", "0001"), segments), ALPINE)
    assert isinstance(found, MasterFile)
    return found


def test_the_good_rows_of_a_catalogue_are_taken_and_the_bad_ones_stand_apart() -> None:
    (interchange,) = read(SAMPLE.read_bytes())
    report = check(interchange, kinds=X12_KINDS)
    ((_, document),) = report.accepted
    assert report.groups[0].documents[0].status == "E"
    (file,) = read_x12(interchange, document, ALPINE)
    assert isinstance(file, MasterFile)
    assert (file.kind, file.source, file.number) == ("catalogue", "ALPINE", "ALP-2027-Q1")
    assert [(e.row, e.item, e.catalogue_number) for e in file.entries] == [
        ("1", "ITM-1001", "ALP-GLV-M"),
        ("2", None, "ALP-GLV-L"),
        ("6", None, "ALP-NEW-1"),
    ]
    assert [(bad.row, bad.path) for bad in file.bad_rows] == [
        ("3", "CTP/17/CTP03"),
        ("4", "LIN/18/LIN02"),
        ("5", "DTM/21/DTM02"),
    ]


def test_elements_in_error_still_refuse_what_is_no_list_of_rows() -> None:
    text = (SAMPLES / "855_partly_backordered.x12").read_text("ascii").replace("PO1*2*24*EA", "PO1*2*many*EA")
    (interchange,) = read(text.encode())
    assert check(interchange, kinds=X12_KINDS).accepted == []


def test_a_price_has_its_own_days_and_currency_or_those_of_its_item_or_catalogue() -> None:
    file = catalogue(
        *("BCT*PC*1", "DTM*007*20270101", "CUR*SE*EUR", "LIN*1*VC*A", "CTP**CON*1.50*1*BX"),
        *("CTP**CON*2.50*1*CA", "CUR*SE*CAD", "DTM*007*20270301", "DTM*036*20271231"),
        *("LIN*2*VC*B", "DTM*007*20270201", "CTP**CON*3*1*BX"),
    )
    first, second = file.entries
    assert (first.valid_from, second.valid_from) == (date(2027, 1, 1), date(2027, 2, 1))
    assert [(str(p.price), p.unit, p.valid_from, p.valid_to) for p in first.prices] == [
        ("1.50 EUR", "BX", None, None),
        ("2.50 CAD", "CA", date(2027, 3, 1), date(2027, 12, 31)),
    ]


def test_packing_is_said_only_where_it_is_whole_and_of_one_unit() -> None:
    assert (
        catalogue("BCT*PC*1", "LIN*1*VC*A", "PO4*10*10*EA", "CTP**CON*1*1*BX").entries[0].packagings[0].base_units
        == 100
    )
    assert catalogue("BCT*PC*1", "LIN*1*VC*A", "PO4*12*500*ML", "CTP**CON*1*1*CA").entries[0].packagings == ()
    assert catalogue("BCT*PC*1", "LIN*1*VC*A", "PO4*5*0.5*EA", "CTP**CON*1*1*BX").bad_rows[0].path == "PO4/0/PO401"


def test_a_catalogue_without_items_is_refused() -> None:
    for body in (("BCT*PC*1",), ("LIN*1*VC*A",)):
        with pytest.raises(Malformed):
            catalogue(*body)
