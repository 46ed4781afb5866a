"""Billing hears of a use by a ChargeItem of its own release: billable, and entered-in-error once it was taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.chargeitem import ChargeItem as ChargeItemR5
from fhir.resources.R4B.chargeitem import ChargeItem as ChargeItemR4B

from canonical.charges import Charge
from canonical.messages import Kept
from gateway.charge_subjects import subject
from gateway.fhir_charges import charge_item
from tests.gateway.charge_house import BARCODE, BILLING, ITEM, NAME, SENDER, charge, credit, kept

SERVER = BILLING.changed(kind="fhir", path="/fhir")


def told(of: Charge, by: Kept | None = None, release: str = "r5") -> dict[str, Any]:
    channel = SERVER.changed(release=release)
    new = charge_item(of, ITEM, subject(of, by or kept(), SENDER), channel)
    assert new.kind == f"{release}/ChargeItem" and new.key == f"charge/{of.id}"
    (ChargeItemR5 if release == "r5" else ChargeItemR4B).model_validate_json(new.data)
    tree: dict[str, Any] = json.loads(new.data)
    return tree


@pytest.mark.parametrize("release", ["r5", "r4b"])
def test_a_charge_is_a_billable_item_with_patient_visit_code_and_device(release: str) -> None:
    tree = told(charge(), release=release)
    assert (tree["status"], tree["code"]["coding"][0]["code"], tree["quantity"]["value"]) == ("billable", "C-90310", 2)
    assert tree["subject"]["identifier"] == {"value": "900001", "assigner": {"display": "NGH"}}
    visit = tree["encounter" if release == "r5" else "context"]
    assert visit["identifier"]["value"] == "V-77"
    (device,) = tree["contained"]
    assert (device["lotNumber"], device["serialNumber"]) == ("A213B1", "S-1")
    assert device["udiCarrier"][0]["carrierHRF"] == BARCODE
    assert NAME not in json.dumps(tree)  # a server knows its patients by number


def test_a_credit_is_the_same_item_entered_in_error() -> None:
    plus, minus = told(charge()), told(credit())
    assert minus["status"] == "entered-in-error" and minus["identifier"] == plus["identifier"]


def test_a_reference_is_handed_on_as_it_came() -> None:
    by = kept(
        b'{"resourceType": "SupplyDelivery", "patient": {"reference": "https://ehr.example/fhir/Patient/p1"}}',
        kind="r5/SupplyDelivery",
    )
    subject_ = told(charge(), by)["subject"]
    assert subject_["reference"] == "https://ehr.example/fhir/Patient/p1" and subject_["identifier"]["value"] == "p1"


def test_without_a_patient_it_says_so() -> None:
    assert told(charge(), kept(b"a;file", kind="csv_usage"))["subject"] == {
        "display": "No patient or visit was sent with this use"
    }
