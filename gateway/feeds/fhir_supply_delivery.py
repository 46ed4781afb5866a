"""Reads what went out of stock to be used (FHIR SupplyDelivery, R4B and R5): each thing supplied is one use, at its destination."""

from __future__ import annotations

from decimal import Decimal

from canonical.senders import Mappings, Sender
from canonical.usage import UsageEvent
from formats.fhir import Resource, Tree
from gateway.fhir_devices import Thing, by_concept, by_reference, malformed, named
from gateway.fhir_usage import not_automatic, place_of, understood, used, used_at, void
from gateway.mapping import Tongue

TAKEN_BACK = ("abandoned", "entered-in-error")
PATH = "SupplyDelivery.suppliedItem"


def read(resource: Resource, sender: Sender, mappings: Mappings) -> tuple[UsageEvent, ...]:
    """A use of each thing supplied, in their order; the taking back of them where it was abandoned; nothing while it is under way.

    Raises:
        Malformed: it has no number or moment, supplies nothing, or something in it cannot be read, with its place.
    """
    understood(resource)
    tongue, status = Tongue(sender, mappings), resource.text("status")
    if status == "in-progress":
        return ()
    supplied = resource.objects("suppliedItem")
    about = {
        "location": place_of(tongue, named(resource.value("destination"))),
        "used_at": used_at(resource, "occurrence"),
    }
    if status in TAKEN_BACK:  # which may have left out what it was
        return tuple(void(resource, number + 1, tongue, **about) for number in range(max(1, len(supplied))))
    if status != "completed":
        raise not_automatic(resource)
    if not supplied:
        raise malformed(PATH, "what was supplied?")
    listed = isinstance(resource.value("suppliedItem"), list)
    events = []
    for number, one in enumerate(supplied):
        path = f"{PATH}[{number}]" if listed else PATH
        thing = _thing(resource, one, path, tongue)
        amount, unit = _quantity(one, path, tongue)
        places = {"amount": f"{path}.quantity.value", "unit": f"{path}.quantity.unit"}
        said = {**about, "amount": amount, "unit": unit, "sequence": number + 1}
        if thing.place:
            said["location"] = place_of(tongue, named(resource.value("destination")) or thing.place)
        events.append(used(resource, thing, path, places, tongue, **said))
    return tuple(events)


def _thing(resource: Resource, one: Tree, path: str, tongue: Tongue) -> Thing:
    if (concept := one.get("itemCodeableConcept")) is not None:
        return by_concept(concept, f"{path}.itemCodeableConcept", tongue)
    if (reference := one.get("itemReference")) is not None:
        return by_reference(resource, reference, f"{path}.itemReference", tongue)
    raise malformed(path, "what was supplied?")


def _quantity(one: Tree, path: str, tongue: Tongue) -> tuple[Decimal, str]:
    """Exactly as it was written, in its unit's code, else in its unit; without one it is counted in the item's own."""
    sent = one.get("quantity")
    amount = sent.get("value") if isinstance(sent, dict) else None
    if not isinstance(sent, dict) or isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise malformed(f"{path}.quantity.value", "how much?")
    if "comparator" in sent:
        raise malformed(f"{path}.quantity.comparator", "more or less than a number is no number that was used")
    if amount <= 0:
        raise malformed(f"{path}.quantity.value", "more than nothing was supplied")
    return Decimal(amount), tongue.ours("unit", str(sent.get("code") or sent.get("unit") or ""))
