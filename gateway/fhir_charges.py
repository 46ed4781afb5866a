"""Tells billing of a use by FHIR: a ChargeItem, billable, or entered-in-error for the credit that takes it back.

hl7.org/fhir/R4B/chargeitem.html and hl7.org/fhir/R5/chargeitem.html. Both carry the charge's id as identifier, so a credit is the
same ChargeItem with another status. Patient and encounter are referred to by the numbers the department gave them.
"""

from __future__ import annotations

from typing import Any, Final

from canonical.charges import SYSTEM, Charge
from canonical.errors import Malformed
from canonical.messages import NewMessage
from canonical.senders import Channel
from canonical.supply import Item
from formats import fhir
from formats.fhir import Exact, Tree
from gateway.charge_subjects import Known, Subject
from gateway.fhir_tasks import instant
from gateway.hl7_charges import NOBODY, barcode
from gateway.hl7_replies import control_of

CHARGE_ITEM: Final = "ChargeItem"
STATUSES: Final = {"charge": "billable", "credit": "entered-in-error"}
DEVICE: Final = "device"
OURS: Final = "urn:fascia"


def charge_item(charge: Charge, item: Item, subject: Subject, channel: Channel) -> NewMessage:
    """The message that tells a channel of a charge.

    Raises:
        Malformed: the item has no charge code, or the charge that is taken back was never made.
    """
    if not item.charge_code:
        raise Malformed(f"item {item.code} has no charge code", path="charge_code", code="data-missing")
    release = fhir.RELEASES[channel.release]
    r5 = release == fhir.R5
    code = {"system": f"{OURS}:{charge.facility}:charge-code", "code": item.charge_code, "display": item.description}
    tree: dict[str, Any] = {
        "resourceType": CHARGE_ITEM,
        "identifier": [{"system": SYSTEM, "value": charge.charge}],
        "status": STATUSES[charge.kind],
        "code": {"coding": [_filled(code)]},
        "subject": _reference("Patient", subject.patient) or {"display": NOBODY},
        "occurrenceDateTime": instant(charge.event.used_at),
        "quantity": {"value": Exact(str(charge.quantity)), "unit": item.base_unit},
        "enteredDate": instant(charge.at),
    }
    if visit := _reference("Encounter", subject.visit):
        tree["encounter" if r5 else "context"] = visit
    if charge.cost_centre:
        tree["costCenter"] = _numbered("Organization", f"{OURS}:{charge.facility}:cost-centre", charge.cost_centre)
    if charge.location:
        place = _numbered("Location", f"{OURS}:{charge.facility}:location", charge.location)
        tree["extension"] = [{"url": f"{OURS}:location", "valueReference": place}]
    if procedure := charge.procedure_code or item.procedure_code:
        text = {"concept": {"text": procedure}} if r5 else {"display": procedure}
        tree["service"] = [text]
    if device := _device(charge, item):
        tree["contained"] = [device]
        reference = {"reference": f"#{DEVICE}"}
        tree |= {"product": [{"reference": reference}]} if r5 else {"productReference": reference}
    return NewMessage(
        direction="out",
        door=channel.kind,
        data=fhir.write(tree),
        partner=channel.code,
        kind=release.kind(CHARGE_ITEM),
        control_number=control_of(charge.key),
        key=charge.key,
        channel=channel.code,
    )


def _reference(kind: str, known: Known) -> Tree:
    if not known:
        return {}
    named = _filled({"system": known.system if ":" in known.system else "", "value": known.number})
    if known.system and ":" not in known.system:  # an assigner of HL7 v2 is a name, no address
        named["assigner"] = {"display": known.system}
    reference: Tree = {"type": kind, "identifier": named}
    return ({"reference": known.reference} | reference) if known.reference else reference


def _numbered(kind: str, system: str, value: str) -> Tree:
    return {"type": kind, "identifier": {"system": system, "value": value}}


def _device(charge: Charge, item: Item) -> Tree:
    """The very thing that was used; empty where nothing tells it from others."""
    udi = barcode(charge)
    if not (udi or charge.lot or charge.serial):
        return {}
    tree: dict[str, Any] = {"resourceType": "Device", "id": DEVICE}
    if udi and udi.device:
        issuer = f"{OURS}:udi:{udi.agency}"
        tree["udiCarrier"] = [_filled({"deviceIdentifier": udi.device, "issuer": issuer, "carrierHRF": udi.raw})]
    said = {"lotNumber": charge.lot, "serialNumber": charge.serial}
    if charge.expires:
        said["expirationDate"] = charge.expires.isoformat()
    return tree | _filled(said)


def _filled(values: dict[str, str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
