"""What is told of a device's use, and of supplies that went out, becomes uses: exactly as told, and of no patient."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime
from typing import Any

import pytest

from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from canonical.usage import UsageEvent
from formats import fhir
from formats.fhir import R4B, R5, Exact
from gateway.registry import fhir_feed, read_fhir
from tests.formats.fhir_files import changed, release, sample
from tests.gateway.fhir_house import WARD

BARCODE = "(01)04012345000016(17)271231(10)LOT7(21)SER9"
BOTH = ["r5_DeviceUsage", "r4b_DeviceUseStatement"]
DELIVERIES = ["r5_SupplyDelivery", "r4b_SupplyDelivery"]


def read(
    data: bytes, base: fhir.Release, tables: dict[str, dict[str, str]] | None = None, sender: Sender = WARD
) -> tuple[UsageEvent, ...]:
    resource = fhir.read(data, base)
    feed = fhir_feed(resource.kind)
    assert feed is not None
    assert not fhir.check(resource), fhir.check(resource)
    found = read_fhir(feed, resource, sender, Mappings(tables))
    assert all(isinstance(one, UsageEvent) for one in found)
    return found  # type: ignore[return-value]


def used(
    name: str, tables: dict[str, dict[str, str]] | None = None, sender: Sender = WARD, **changes: Any
) -> UsageEvent:
    (found,) = read(changed(name, **changes), release(name), tables, sender)
    return found


def device(name: str, contained: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """What makes a sample use a contained device, as its release points at one."""
    reference = {"reference": "#d"}
    resource = {"resourceType": "Device", "id": "d", **contained}
    return {"device": {"reference": reference} if release(name) == R5 else reference, "contained": [resource, *more]}


@pytest.mark.parametrize("name", BOTH)
def test_a_device_that_was_used_is_one_use_by_its_barcode(name: str) -> None:
    found = used(name)
    assert found.number == ("http://theatre.northfield.example/usage|U-8" + ("8" if name == BOTH[0] else "9"))
    assert (found.facility, found.source, found.sequence, found.kind) == ("NGH", "ward-desk", 1, "use")
    assert found.device is not None and (found.device.agency, found.device.device) == ("GS1", "04012345000016")
    assert (found.item, found.lot, found.serial, str(found.amount)) == ("", "LOT7", "SER9", "1")
    assert (found.location, found.used_at) == ("NGH-OR", datetime(2026, 11, 21, 10, 12, tzinfo=UTC))


@pytest.mark.parametrize("name", BOTH)
def test_a_contained_device_says_lot_serial_date_and_place(name: str) -> None:
    carrier = {
        "deviceIdentifier": "04012345000016",
        "issuer": "http://hl7.org/fhir/NamingSystem/gs1-di",
        "carrierHRF": BARCODE,
    }
    if name == BOTH[1]:
        carrier.pop("issuer")
    place = {"location": {"reference": "Location/OR-3"}}
    found = used(name, **device(name, {"udiCarrier": [carrier], **place}))
    assert (found.lot, found.serial, found.expires, found.location) == ("LOT7", "SER9", date(2027, 12, 31), "OR-3")
    plain = {"lotNumber": "L-1", "serialNumber": "S-1", "expirationDate": "2027-02", "modelNumber": "IMP-7"}
    by_number = used(name, **device(name, plain))
    assert (by_number.item, by_number.lot, by_number.serial) == ("IMP-7", "L-1", "S-1")
    assert by_number.expires == date(2027, 2, 28) and by_number.device is None


def test_what_only_a_machine_reads_is_read_too() -> None:
    scanned = base64.b64encode(b"]d2010401234500001610LOT7").decode()
    carrier = {"deviceIdentifier": "x", "issuer": "urn:x", "carrierAIDC": scanned}
    found = used(BOTH[0], **device(BOTH[0], {"udiCarrier": [carrier]}))
    assert found.device is not None and (found.device.device, found.lot) == ("04012345000016", "LOT7")


def test_a_device_identifier_by_itself_is_one() -> None:
    carrier = {"deviceIdentifier": "4012345000016", "issuer": "http://hl7.org/fhir/NamingSystem/gs1-di"}
    found = used(BOTH[0], **device(BOTH[0], {"udiCarrier": [carrier], "lotNumber": "L-1"}))
    assert found.device is not None and (found.device.device, found.device.agency) == ("04012345000016", "GS1")
    assert found.lot == "L-1"


def test_a_definition_names_the_device_too() -> None:
    udi = {
        "deviceIdentifier": "04012345000016",
        "issuer": "http://hl7.org/fhir/NamingSystem/gs1-di",
        "jurisdiction": "urn:x",
    }
    definition = {"resourceType": "DeviceDefinition", "id": "def", "udiDeviceIdentifier": [udi]}
    own = {"serialNumber": "S-4", "definition": {"reference": {"reference": "#def"}}}
    found = used(BOTH[0], **device(BOTH[0], own, definition))
    assert found.device is not None and (found.device.device, found.serial) == ("04012345000016", "S-4")
    straight = used(BOTH[0], contained=[definition], device={"reference": {"reference": "#def"}})
    assert straight.device is not None and straight.device.device == "04012345000016"


def test_a_code_of_the_senders_table_goes_before_the_barcode_and_an_unknown_one_goes_on_as_written() -> None:
    coded = {"concept": {"coding": [{"code": "X-9"}, {"code": "STAPLER"}], "text": "Stapler"}}
    assert used(BOTH[0], device=coded).item == "X-9"
    known = used(BOTH[0], {"item": {"STAPLER": "ITM-7"}}, device=coded)
    assert (known.item, known.description) == ("ITM-7", "Stapler")
    assert used(BOTH[0], {"item": {"OTHER": "ITM-8"}}, device=coded).item == "X-9"
    pointed = used(BOTH[1], {"item": {"7": "ITM-9"}}, device={"reference": "Device/7"})
    assert pointed.item == "ITM-9"


def test_the_visit_is_known_by_its_number_and_stays_out_of_what_is_kept() -> None:
    by_address = used(BOTH[0], context={"reference": "Encounter/V-7"})
    assert by_address.encounter == "visit|NGH|V-7"
    contained = [
        {
            "resourceType": "Encounter",
            "id": "e",
            "status": "completed",
            "identifier": [{"system": "urn:v", "value": "V-8"}],
        }
    ]
    by_identifier = used(BOTH[0], context={"reference": "#e"}, contained=contained)
    assert by_identifier.encounter == "visit|urn:v|V-8"
    r4b = used(BOTH[1], derivedFrom=[{"reference": "Observation/1"}, {"reference": "Procedure/P-1"}])
    assert r4b.encounter == "procedure|NGH|P-1"
    assert "V-8" not in by_identifier.model_dump_json() and "V-8" not in repr(by_identifier)


@pytest.mark.parametrize("name", BOTH)
def test_nothing_of_a_patient_or_a_name_is_in_it(name: str) -> None:
    site = (
        {"bodySite": {"text": "left hip of Anna"}}
        if name == BOTH[1]
        else {"bodySite": {"concept": {"text": "left hip of Anna"}}}
    )
    found = used(name, note=[{"text": "Anna"}], **site)
    assert not any(secret in found.model_dump_json() for secret in ("900001", "PATIENT", "Anna", "implanted"))


@pytest.mark.parametrize("name", BOTH)
def test_what_was_entered_in_error_takes_the_use_back(name: str) -> None:
    before, after = used(name), used(name, status="entered-in-error")
    assert (after.kind, after.voids_number, after.voids_sequence) == ("void", before.number, before.sequence)
    assert (after.number, after.sequence) == (before.number, 500_001) and after.location == before.location


def test_an_implant_in_use_is_the_same_use_as_when_it_is_over_and_an_intention_is_none() -> None:
    assert used(BOTH[0], status="active") == used(BOTH[0])
    assert read(changed(BOTH[0], status="intended"), R5) == ()
    for status in ("not-done", "stopped", "on-hold"):
        with pytest.raises(Malformed, match=r"DeviceUsage\.status") as no:
            used(BOTH[0], status=status)
        assert no.value.code == "not-automatic"


def test_a_number_counts_with_its_system_however_long_that_is() -> None:
    assert used(BOTH[0], identifier=[{"value": "U-1"}]).number == "U-1"
    long = used(BOTH[0], identifier=[{"system": f"http://{'a' * 90}.example", "value": "U-1"}])
    other = used(BOTH[0], identifier=[{"system": f"http://{'b' * 90}.example", "value": "U-1"}])
    assert long.number.endswith("|U-1") and long.number != other.number and len(long.number) <= 80
    with pytest.raises(Malformed, match=r"DeviceUsage\.identifier"):
        used(BOTH[0], identifier=[{"system": "urn:x", "value": "9" * 90}])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {
                "timingDateTime": None,
                "timingPeriod": {"start": "2026-11-21T08:00:00Z", "end": "2026-11-21T09:00:00+01:00"},
            },
            8,
        ),
        ({"timingDateTime": None, "timingTiming": {"event": ["2026-11-21T09:30:00Z"]}}, 9),
        ({"timingDateTime": "2026-11-21"}, 10),  # the day it was written down
        ({"timingDateTime": "2026-11-20"}, 0),
        ({"timingDateTime": None}, 10),
    ],
)
def test_when_it_was_used(changes: dict[str, Any], expected: int) -> None:
    assert used(BOTH[0], **changes).used_at.astimezone(UTC).hour == expected


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"timingDateTime": None, "dateAsserted": None}, "DeviceUsage.timingDateTime"),
        ({"timingDateTime": "2026"}, "DeviceUsage.timingDateTime"),
        ({"timingDateTime": None, "timingTiming": {"repeat": {"frequency": 1}}}, "DeviceUsage.timingTiming"),
        ({"device": {"concept": {"text": "Stapler"}}}, "DeviceUsage.device.concept"),
        ({"device": {"reference": {"display": "Anna's pump"}}}, "DeviceUsage.device.reference"),
        ({"device": {"reference": {"reference": "#d"}}}, "DeviceUsage.contained"),
        (
            {"device": {"reference": {"identifier": {"value": "(01)04012345000017"}}}},
            "DeviceUsage.device.reference.identifier.value",
        ),
        (device(BOTH[0], {"note": [{"text": "x"}]}), "DeviceUsage.contained[0]"),
        (
            device(
                BOTH[0],
                {"udiCarrier": [{"deviceIdentifier": "1", "issuer": "urn:x", "carrierHRF": BARCODE}], "lotNumber": "L"},
            ),
            "DeviceUsage.contained[0].lotNumber",
        ),
        (device(BOTH[0], {"modelNumber": "M", "expirationDate": "2027"}), "DeviceUsage.contained[0].expirationDate"),
        (device(BOTH[0], {"modelNumber": "M", "lotNumber": "L" * 41}), "DeviceUsage.device"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place_and_no_value(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(Malformed) as no:
        used(BOTH[0], **changes)
    assert no.value.path == place and place in no.value.message
    assert "Anna" not in no.value.message and "04012345" not in no.value.message


def test_what_changes_the_meaning_is_refused_whatever_its_door_tolerates() -> None:
    strange = {"modifierExtension": [{"url": "urn:not", "valueBoolean": True}]}
    for name in (*BOTH, *DELIVERIES):
        resource = fhir.read(changed(name, **strange), release(name))
        feed = fhir_feed(resource.kind)
        assert feed is not None
        with pytest.raises(Malformed, match="modifierExtension"):
            feed(resource, WARD, Mappings())


@pytest.mark.parametrize("name", DELIVERIES)
def test_what_was_supplied_is_used_at_its_destination(name: str) -> None:
    found = used(name, {"item": {"ITM-1001": "ITM-7"}, "location": {"NGH-OR": "OR-STORE"}})
    assert (found.item, found.unit, found.location, found.sequence) == ("ITM-7", "BX", "OR-STORE", 1)
    assert str(found.amount) == "2.000" and found.used_at == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert used(name).item == "ITM-1001"


def test_several_things_in_one_delivery_are_uses_of_their_own_and_are_taken_back_together() -> None:
    vial = {"resourceType": "Medication", "id": "m", "code": {"coding": [{"code": "VIAL"}]}}
    batch = {"batch": {"lotNumber": "B-1", "expirationDate": "2027-05-31"}}
    supplied = [
        {"quantity": {"value": 2, "unit": "BX"}, "itemCodeableConcept": {"coding": [{"code": "ITM-1"}]}},
        {"quantity": {"value": Exact("0.5")}, "itemReference": {"reference": "#m"}},
        {"quantity": {"value": 1, "code": "EA"}, "itemReference": {"identifier": {"value": BARCODE}}},
    ]
    about = {"suppliedItem": supplied, "contained": [vial | batch]}
    found = read(changed("r5_SupplyDelivery", **about), R5)
    assert [(one.sequence, one.item, str(one.amount), one.unit) for one in found] == [
        (1, "ITM-1", "2", "BX"),
        (2, "VIAL", "0.5", ""),
        (3, "", "1", "EA"),
    ]
    assert (found[1].lot, found[1].expires, found[2].serial) == ("B-1", date(2027, 5, 31), "SER9")
    back = read(changed("r5_SupplyDelivery", status="abandoned", **about), R5)
    assert [(one.kind, one.voids_sequence, one.sequence) for one in back] == [
        ("void", 1, 500_001),
        ("void", 2, 500_002),
        ("void", 3, 500_003),
    ]
    assert {one.voids_number for one in back} == {found[0].number}


def test_a_delivery_on_its_way_uses_nothing_yet() -> None:
    for name in DELIVERIES:
        assert read(changed(name, status="in-progress"), release(name)) == ()


ONE = {"itemCodeableConcept": {"coding": [{"code": "A"}]}}


@pytest.mark.parametrize(
    ("supplied", "place"),
    [
        (None, "suppliedItem"),
        ([ONE], "suppliedItem[0].quantity.value"),
        ([ONE | {"quantity": {"value": 0}}], "suppliedItem[0].quantity.value"),
        ([ONE | {"quantity": {"value": 1, "comparator": ">"}}], "suppliedItem[0].quantity.comparator"),
        ([ONE | {"quantity": {"value": Exact("1." + "1" * 40)}}], "suppliedItem[0].quantity.value"),
        ([ONE | {"quantity": {"value": 1, "unit": "a very long unit of ten boxes"}}], "suppliedItem[0].quantity.unit"),
        ([{"quantity": {"value": 1}}], "suppliedItem[0]"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_its_place(supplied: Any, place: str) -> None:
    with pytest.raises(Malformed) as no:
        used("r5_SupplyDelivery", suppliedItem=supplied)
    assert no.value.path == f"SupplyDelivery.{place}"


def test_a_delivery_without_a_moment_cannot_be_placed_in_time() -> None:
    with pytest.raises(Malformed, match=r"SupplyDelivery\.occurrenceDateTime: when"):
        used("r5_SupplyDelivery", occurrenceDateTime=None)


def test_a_place_nobody_names_is_the_senders_own() -> None:
    assert used("r5_SupplyDelivery", destination=None).location == "NGH-OR"
    assert used("r5_SupplyDelivery", {"location": {"": "OR-9"}}, destination=None).location == "OR-9"
    assert used("r5_SupplyDelivery", sender=WARD.changed(deliver_to=None), destination=None).location == ""


def test_a_sample_of_each_release_is_read() -> None:
    for name in (*BOTH, *DELIVERIES):
        assert len(read(sample(name), R4B if name.startswith("r4b") else R5)) == 1
