"""What a FHIR file would become is shown resource by resource, as its door and feed would take it; nothing is kept."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.errors import Malformed
from canonical.purchasing import Requisition
from canonical.senders import Mapping
from canonical.usage import UsageEvent
from gateway.simulate import Book, simulate
from tests.formats.fhir_files import ALL, PUBLIC, RESOURCES, changed, kind, sample
from tests.gateway.fhir_house import WARD

TODAY = date(2026, 11, 21)
BOOK = Book(TODAY, senders=[WARD])


@pytest.mark.parametrize("name", RESOURCES)
def test_a_resource_is_read_in_the_release_it_fits(name: str) -> None:
    (found,) = simulate(sample(name), BOOK, sender="WARD")
    assert (found.kind, found.known, found.refused) == (name.replace("_", "/"), True, False)
    expected = Requisition if kind(name) == "SupplyRequest" else UsageEvent
    assert found.reads and not found.problems and isinstance(found.nouns[0], expected)


def test_a_bundle_is_shown_entry_by_entry() -> None:
    found = simulate(sample("r5_Bundle"), BOOK, sender="WARD")
    assert [one.kind for one in found] == ["r5/SupplyRequest", "r5/SupplyDelivery", "r5/DeviceUsage"]
    assert [one.control for one in found] == ["W-2026-0201", "", "U-90"]
    assert isinstance(found[0].nouns[0], Requisition)
    assert all(isinstance(one.nouns[0], UsageEvent) for one in found[1:])


def test_the_senders_tables_of_that_day_count() -> None:
    tables = [Mapping(sender="WARD", table="unit", rows={"box": "BX"}, valid_from=date(2026, 12, 1))]
    book = Book(date(2026, 12, 1), senders=[WARD], mappings=tables)
    (found,) = simulate(sample("r5_SupplyRequest"), book, sender="WARD")
    assert found.refused and found.problems[0].path == "SupplyRequest.quantity.code"
    (before,) = simulate(sample("r5_SupplyRequest"), Book(TODAY, senders=[WARD], mappings=tables), sender="WARD")
    assert not before.refused


def test_what_the_door_would_refuse_is_said_with_its_place() -> None:
    (found,) = simulate(changed("r5_SupplyRequest", status="x"), BOOK, sender="WARD")
    assert found.refused and found.problems[0].path == "SupplyRequest.status"
    (narrow,) = simulate(
        sample("r5_SupplyRequest"), Book(TODAY, senders=[WARD.changed(kinds=("r5/D*",))]), sender="WARD"
    )
    assert narrow.refused and "may not send r5/SupplyRequest" in narrow.problems[0].reason
    (other,) = simulate(sample("r5_SupplyRequest"), BOOK, sender="WARD", release="r4b")
    assert other.refused and other.kind == "r4b/SupplyRequest"
    (wrapped,) = simulate(b'{"resourceType":"Bundle","type":"searchset"}', BOOK)
    assert wrapped.refused and wrapped.problems[0].path == "Bundle.type"


def test_what_is_no_fhir_is_refused() -> None:
    for data in (b"{", b'{"a":1,"a":2}'):
        with pytest.raises(Malformed):
            simulate(data, BOOK)
    for wrong in ({"release": "r6"}, {"sender": "NOBODY"}):
        with pytest.raises(Malformed):
            simulate(sample("r5_SupplyRequest"), BOOK, **wrong)


@pytest.mark.parametrize("name", ALL)
def test_a_sender_nobody_knows_is_read_as_one_that_speaks_our_codes(name: str) -> None:
    assert all((one.sender, one.known) == ("UNKNOWN", False) for one in simulate(sample(name), Book(TODAY)))


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with fhir samples")
def test_official_examples_are_shown_in_their_release() -> None:
    for file in sorted(PUBLIC.glob("*.json")):
        (found,) = simulate(file.read_bytes(), BOOK, sender="WARD")
        assert found.kind.endswith(kind(file.stem)) or found.refused
