"""An invented hospital's FHIR resources, R4B (4.3.0) and R5 (5.0.0): SupplyRequest, SupplyDelivery, device usage, transactions.

The two releases name things differently: what is ``DeviceUseStatement`` in R4B is ``DeviceUsage`` in R5, and an item is one of several
``item[x]`` of a request in R4B and a CodeableReference in R5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from cli.synthetic.hospital import (
    FACILITY,
    GOODS,
    PLACES,
    REQUESTER,
    SUPPLIER_NAMES,
    Chance,
    Good,
    moment_of,
    patient,
    tag_of,
)

RELEASES: Final = ("R4B", "R5")
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "SupplyRequest": RELEASES,
    "SupplyDelivery": RELEASES,
    "DeviceUsage": ("R5",),
    "DeviceUseStatement": ("R4B",),
    "Bundle": RELEASES,
}
_SYSTEM: Final = "https://northfield.example/fhir"
_TEST: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}

Resource = dict[str, Any]


def resource(seed: int | str, number: int, kind: str, release: str, *, first: date, at: float) -> bytes:
    """The resource of that number as JSON; ``kind`` must be one of the release's."""
    if kind == "Bundle":
        return _json(_bundle(seed, number, release, first, at))
    return _json(_one(seed, number, kind, release, first, at))


def identifier_of(seed: int | str, number: int) -> str:
    """The business number a resource bears, by which a repeat is known."""
    return f"F{tag_of(seed)}{number:09}"


def _one(seed: int | str, number: int, kind: str, release: str, first: date, at: float) -> Resource:
    chance = Chance(seed, kind, number)
    good = chance.one(GOODS)
    when = moment_of(first, at)
    begun: Resource = {
        "resourceType": kind,
        "meta": {"tag": [_TEST]},
        "identifier": [{"system": f"{_SYSTEM}/{kind}", "value": identifier_of(seed, number)}],
    }
    stamp = f"{when.isoformat()}Z"
    if kind == "SupplyRequest":
        asked = {"status": "active", "priority": chance.one(("routine", "routine", "urgent")), **_item(good, release)}
        by = (when + timedelta(days=chance.number(2, 6))).date().isoformat()
        return (
            begun
            | asked
            | {
                "quantity": _quantity(chance.number(1, 20), good.unit),
                "occurrenceDateTime": by,
                "authoredOn": stamp,
                "requester": _named("Practitioner", REQUESTER),
                "supplier": [{"display": SUPPLIER_NAMES[good.supplier], "identifier": {"value": good.supplier}}],
                "deliverTo": _named("Location", chance.one(PLACES)),
            }
        )
    if kind == "SupplyDelivery":
        supplied = {"itemCodeableConcept": _concept(good), "quantity": _quantity(chance.number(1, 20), good.unit)}
        return begun | {
            "status": "completed",
            "suppliedItem": supplied if release == "R4B" else [supplied],
            "occurrenceDateTime": stamp,
            "supplier": {"display": SUPPLIER_NAMES[good.supplier], "identifier": {"value": good.supplier}},
            "destination": _named("Location", chance.one(PLACES)),
        }
    who = patient(chance.number(1, 5000))
    about = _named("Patient", who.id)
    if kind == "DeviceUsage":
        return begun | {
            "status": "completed",
            "patient": about,
            "timingDateTime": stamp,
            "device": {"concept": _concept(good)},
        }
    return begun | {
        "status": "completed",
        "subject": about,
        "timingDateTime": stamp,
        "device": _named("Device", good.code),
    }


def _bundle(seed: int | str, number: int, release: str, first: date, at: float) -> Resource:
    """A transaction of requests, each made once only however often it comes."""
    many = Chance(seed, "Bundle", number).number(2, 4)
    entries = []
    for place in range(many):
        own = _one(f"{seed}/bundle", number * 10 + place, "SupplyRequest", release, first, at)
        known = own["identifier"][0]
        request = {
            "method": "POST",
            "url": "SupplyRequest",
            "ifNoneExist": f"identifier={known['system']}|{known['value']}",
        }
        entries.append({"resource": own, "request": request})
    return {"resourceType": "Bundle", "meta": {"tag": [_TEST]}, "type": "transaction", "entry": entries}


def _concept(good: Good) -> Resource:
    return {"coding": [{"system": f"{_SYSTEM}/items", "code": good.code, "display": good.name}], "text": good.name}


def _item(good: Good, release: str) -> Resource:
    if release == "R4B":
        return {"itemCodeableConcept": _concept(good)}
    return {"item": {"concept": _concept(good)}}


def _quantity(value: int, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": f"{_SYSTEM}/units", "code": unit}


def _named(kind: str, value: str) -> Resource:
    return {"type": kind, "identifier": {"system": f"{_SYSTEM}/{FACILITY}/{kind}", "value": value}}


def _json(found: Resource) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
