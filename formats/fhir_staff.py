"""Writes what a directory is told of a clinician by FHIR: a PractitionerRole for each facility, its practitioner within it.

hl7.org/fhir/R4B/practitionerrole.html and hl7.org/fhir/R5/practitionerrole.html. One identifier for a person at a facility,
so that what is
told later changes what was told before; ``active`` false ends it.
"""

from __future__ import annotations

from typing import Any, Final

from canonical.access import Held, Wanted
from canonical.base import FacilityCode
from formats.fhir import write

ROLE: Final = "PractitionerRole"
IDENTIFIER: Final = "urn:fascia:practitioner-role"
PERSON: Final = "urn:fascia:person"
NPI: Final = "http://hl7.org/fhir/sid/us-npi"
WITHIN: Final = "practitioner"


def practitioner_role(wanted: Wanted, facility: FacilityCode, held: Held | None) -> bytes:
    """How somebody works at one facility; not at all any more where nothing is held there."""
    active = held is not None and wanted.active and held.employed
    tree: dict[str, Any] = {
        "resourceType": ROLE,
        "identifier": [{"system": IDENTIFIER, "value": f"{wanted.person}.{facility}"}],
        "active": active,
        "practitioner": {"type": "Practitioner", "identifier": {"system": PERSON, "value": wanted.person}},
        "organization": {"type": "Organization", "identifier": {"system": "urn:fascia:facility", "value": facility}},
    }
    if held is not None:
        tree |= _what(wanted, held)
    if active:
        tree["contained"] = [_who(wanted)]
        tree["practitioner"]["reference"] = f"#{WITHIN}"
    return write(tree)


def _who(wanted: Wanted) -> dict[str, Any]:
    name = wanted.record.name
    given = [part for part in (name.given, name.middle) if part]
    said = {"family": name.family, "given": given, "prefix": [name.prefix] if name.prefix else []}
    known = [{"system": PERSON, "value": wanted.person}]
    if wanted.record.npi:
        known.append({"system": NPI, "value": wanted.record.npi})
    return {
        "resourceType": "Practitioner",
        "id": WITHIN,
        "identifier": known,
        "active": wanted.active,
        "name": [{part: value for part, value in said.items() if value}],
    }


def _what(wanted: Wanted, held: Held) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    position, system = held.position, f"urn:fascia:{held.facility}"
    period = {"start": held.starts, "end": held.ends}
    if any(period.values()):
        tree["period"] = {name: day.isoformat() for name, day in period.items() if day}
    if position.role:
        coding = {"system": f"{system}:role", "code": position.role} | (
            {"display": position.title} if position.title else {}
        )
        tree["code"] = [{"coding": [coding]}]
    if wanted.record.taxonomy:
        tree["specialty"] = [
            {"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": wanted.record.taxonomy}]}
        ]
    if position.location:
        place = {"system": f"{system}:location", "value": position.location}
        tree["location"] = [{"type": "Location", "identifier": place}]
    if held.privileges:
        tree["extension"] = [
            {"url": "urn:fascia:privilege", "valueString": f"{scope.service or 'all'}/{scope.procedures or 'all'}"}
            for scope in held.privileges
        ]
    return tree
