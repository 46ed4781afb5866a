"""Reads what is told of a device's use on a patient (FHIR R5 DeviceUsage, R4B DeviceUseStatement): one taken from a location."""

from __future__ import annotations

from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from canonical.usage import UsageEvent
from formats.fhir import Resource
from gateway.fhir_devices import Thing, by_concept, by_reference
from gateway.fhir_usage import encounter_of, not_automatic, place_of, understood, used, used_at, void
from gateway.mapping import Tongue

USED = ("completed", "active")  # an implant stays in use: it was taken from its shelf all the same


def read(resource: Resource, sender: Sender, mappings: Mappings) -> tuple[UsageEvent, ...]:
    """The use; its taking back where it was entered in error; nothing where it is only intended.

    Raises:
        Malformed: a status a person decides on, no number or moment, or something in it cannot be read, with its place.
    """
    understood(resource)
    tongue, status = Tongue(sender, mappings), resource.text("status")
    if status == "intended":
        return ()
    if status == "entered-in-error":
        place = place_of(tongue, _place(resource, tongue))
        return (void(resource, 1, tongue, used_at=used_at(resource, "timing"), location=place),)
    if status not in USED:
        raise not_automatic(resource)
    thing = _thing(resource, tongue)
    about = {
        "location": place_of(tongue, thing.place),
        "used_at": used_at(resource, "timing"),
        "encounter": encounter_of(resource, tongue, "context", "derivedFrom"),
    }
    return (used(resource, thing, "device", {}, tongue, **about),)


def _thing(resource: Resource, tongue: Tongue) -> Thing:
    """R4B has a reference there, R5 a reference or a concept."""
    sent = resource.value("device") or {}
    if (concept := resource.value("device", "concept")) is not None:
        return by_concept(concept, f"{resource.type}.device.concept", tongue)
    reference = sent["reference"] if isinstance(sent.get("reference"), dict) else sent
    path = "device.reference" if reference is not sent else "device"
    return by_reference(resource, reference, f"{resource.type}.{path}", tongue)


def _place(resource: Resource, tongue: Tongue) -> str:
    """Where it was taken from, of one that need not say what it was any more."""
    try:
        return _thing(resource, tongue).place
    except Malformed:
        return ""
