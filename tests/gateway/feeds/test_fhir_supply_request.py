"""A department's SupplyRequest becomes a requisition of one line: exactly as asked, by its sender's tables, and of no patient."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from canonical.errors import Malformed
from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from formats import fhir
from formats.fhir import R4B, R5, Exact
from gateway.registry import fhir_feed, read_fhir
from tests.formats.fhir_files import PUBLIC, changed, sample
from tests.gateway.fhir_house import WARD


def read(
    data: bytes, release: fhir.Release = R5, tables: dict[str, dict[str, str]] | None = None, sender: Sender = WARD
) -> Requisition | None:
    feed = fhir_feed(release.kind("SupplyRequest"))
    assert feed is not None
    found = read_fhir(feed, fhir.read(data, release), sender, Mappings(tables))
    assert all(isinstance(one, Requisition) for one in found)
    return found[0] if found else None  # type: ignore[return-value]


def line_of(tables: dict[str, dict[str, str]] | None = None, **changes: Any) -> Any:
    found = read(changed("r5_SupplyRequest", **changes), tables=tables)
    assert found is not None
    return found.lines[0]


def test_a_request_is_a_requisition_of_one_line() -> None:
    found = read(sample("r5_SupplyRequest"), tables={"item": {"ITM-1001": "ITM-7"}})
    assert found is not None
    assert found.case_id == "procure_to_pay/NGH/ward-desk/W-2026-0117"
    assert (found.department, found.cost_centre, found.requester, found.deliver_to) == (
        "surgery",
        "CC-1",
        "E-2041",
        "NGH-OR",
    )
    assert (found.needed_by, found.emergency) == (date(2026, 12, 1), True)
    assert found.note == "size: M; length: 24.50 cm"
    (line,) = found.lines
    assert (line.item, line.description, line.supplier) == ("ITM-7", "Glove, nitrile, medium", "ALPINE")
    assert str(line.quantity.value) == "1.10" and line.quantity.unit == "BX"


def test_r4b_says_it_in_other_elements() -> None:
    found = read(sample("r4b_SupplyRequest"), R4B, {"department": {"surgery": "OR", "": "none"}, "unit": {"EA": "PC"}})
    assert found is not None
    assert (found.department, found.requester, found.emergency) == ("OR", "E-1", False)
    assert (found.needed_by, found.lines[0].item, found.lines[0].quantity.unit) == (date(2026, 12, 3), "ITM-2050", "PC")


def test_nothing_of_a_patient_or_a_name_is_in_it() -> None:
    found = read(sample("r5_SupplyRequest"))
    assert found is not None
    told = found.model_dump_json()
    assert not any(secret in told for secret in ("900001", "PATIENT", "Nurse"))
    asked_by_patient = read(changed("r5_SupplyRequest", requester={"reference": "Patient/900001"}))
    assert asked_by_patient is not None and asked_by_patient.requester == "E-1"


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        ("1.10", "BX", "1.10"),
        ("0.000001", "EA", "0.000001"),
        ("123456789.123456", "EA", "123456789.123456"),
        ("1E+3", "EA", "1E+3"),
    ],
)
def test_a_quantity_is_exact(number: str, unit: str, expected: str) -> None:
    line = line_of(quantity={"value": Exact(number), "code": unit})
    assert line.quantity.value == Decimal(expected) and str(line.quantity.value) == expected


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"identifier": None}, "SupplyRequest.identifier"),
        ({"status": None}, "SupplyRequest.status"),
        ({"quantity": {"value": 3}}, "SupplyRequest.quantity.unit"),
        ({"quantity": {"unit": "box"}}, "SupplyRequest.quantity.value"),
        ({"quantity": {"value": 0, "code": "EA"}}, "SupplyRequest.quantity.value"),
        ({"quantity": {"value": -1, "code": "EA"}}, "SupplyRequest.quantity.value"),
        ({"quantity": {"value": 3, "code": "EA", "comparator": "<"}}, "SupplyRequest.quantity.comparator"),
        ({"quantity": {"value": Exact("1." + "1" * 40), "code": "EA"}}, "Quantity.value"),
        ({"quantity": {"value": 3, "unit": "box of ten"}}, "SupplyRequest.quantity.unit"),
        ({"item": {"concept": {"coding": [{"system": "http://a.example"}]}}}, "SupplyRequest.item.concept"),
        ({"item": {"reference": {"reference": "Device/7"}}}, "SupplyRequest.item.reference"),
        ({"occurrencePeriod": None, "occurrenceDateTime": "2026-12"}, "SupplyRequest.occurrenceDateTime"),
        ({"occurrencePeriod": {"end": "2026"}}, "SupplyRequest.occurrencePeriod.end"),
    ],
)
def test_what_cannot_be_ordered_is_refused_with_its_place(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(Malformed) as no:
        read(changed("r5_SupplyRequest", **changes))
    assert no.value.path == place and place in no.value.message


@pytest.mark.parametrize("status", ["cancelled", "suspended", "completed", "entered-in-error", "unknown"])
def test_what_may_be_at_the_supplier_already_is_for_a_person(status: str) -> None:
    with pytest.raises(Malformed, match="W-2026-0117 of ward-desk") as no:
        read(changed("r5_SupplyRequest", status=status))
    assert no.value.code == "not-automatic"


@pytest.mark.parametrize(
    "timing",
    [
        {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        {"event": ["2026-12-01", "2026-12-08"]},
        {"code": {"text": "BID"}},
    ],
)
def test_what_repeats_is_for_a_person(timing: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="it repeats"):
        read(changed("r5_SupplyRequest", occurrencePeriod=None, occurrenceTiming=timing))
    once = read(changed("r5_SupplyRequest", occurrencePeriod=None, occurrenceTiming={"event": ["2026-12-01"]}))
    assert once is not None and once.needed_by == date(2026, 12, 1)


def test_a_draft_asks_for_nothing_yet() -> None:
    assert read(changed("r5_SupplyRequest", status="draft")) is None


def test_codes_are_those_of_the_senders_tables() -> None:
    tables = {
        "item": {"04012345000016": "ITM-8", "7": "ITM-9"},
        "unit": {"box": "BX"},
        "location": {"NGH-OR": "OR-STORE"},
        "priority": {"stat": "routine"},
        "cost_centre": {"": "CC-77"},
    }
    found = read(changed("r5_SupplyRequest", quantity={"value": 2, "unit": "box"}), tables=tables)
    assert found is not None
    assert (found.deliver_to, found.cost_centre, found.emergency) == ("OR-STORE", "CC-77", False)
    assert (found.lines[0].item, found.lines[0].quantity.unit) == ("ITM-8", "BX")
    pointed = line_of(tables, item={"reference": {"reference": "Device/7"}}, quantity={"value": 2, "unit": "box"})
    assert pointed.item == "ITM-9"
    with pytest.raises(Malformed, match=r"SupplyRequest\.quantity\.code: no unit for code BX of sender WARD"):
        read(sample("r5_SupplyRequest"), tables=tables)


@pytest.mark.parametrize(("priority", "emergency"), [("stat", True), ("asap", True), ("urgent", False), (None, False)])
def test_at_once_and_as_soon_as_possible_are_an_emergency(priority: str | None, emergency: bool) -> None:
    found = read(changed("r5_SupplyRequest", priority=priority))
    assert found is not None and found.emergency is emergency


def test_of_several_suppliers_a_buyer_chooses() -> None:
    assert line_of(supplier=[{"identifier": {"value": "A"}}, {"identifier": {"value": "B"}}]).supplier is None


def test_what_the_senders_row_must_say_is_asked_of_it() -> None:
    with pytest.raises(Malformed, match="no cost centre is named"):
        read(sample("r5_SupplyRequest"), sender=WARD.changed(cost_centre=None))


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with fhir samples")
def test_the_official_order_lacks_a_unit_and_is_read_with_a_row_for_none() -> None:
    data = (PUBLIC / "r4b_SupplyRequest-simpleorder.json").read_bytes()
    with pytest.raises(Malformed, match="in which unit"):
        read(data, R4B)
    found = read(data, R4B, {"unit": {"": "EA"}})
    assert found is not None
    assert (found.number, found.lines[0].item, found.emergency) == ("Order10284", "BlueTubes", True)
