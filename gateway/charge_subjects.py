"""For whom something was used, read from its message only when billing is told: who is treated is kept nowhere else.

HL7 v2: PID and PV1 as the department wrote them. FHIR: the patient and the encounter a resource refers to. A scan names the visit
at most.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from canonical.charges import Charge
from canonical.errors import Malformed
from canonical.messages import Kept
from canonical.senders import Sender
from formats import fhir
from formats.fhir import Tree
from formats.hl7 import Header, Message, Segment
from formats.hl7 import read as read_hl7
from formats.hl7_text import DEFAULT_SET

SEVERAL: Final = "it holds several patients, and does not say whose use this is"
# What the elements are called that name a patient and an encounter, in either release.
PATIENTS: Final = ("patient", "subject")
VISITS: Final = ("encounter", "context")


@dataclass(frozen=True)
class Known:
    """A patient or a visit by its number: whose number it is where that is said, and the sender's own reference to it."""

    number: str = field(default="", repr=False)
    system: str = ""
    reference: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.number or self.reference)


@dataclass(frozen=True)
class Subject:
    """Whom a use was for. ``pid`` and ``pv1`` as they came, with the header that says in which letters; else what was referred to."""

    header: Header | None = field(default=None, repr=False)
    pid: Segment | None = field(default=None, repr=False)
    pv1: Segment | None = field(default=None, repr=False)
    patient: Known = Known()
    visit: Known = Known()


def subject(charge: Charge, kept: Kept, sender: Sender | None) -> Subject:
    """Whom the use of a charge was for; empty where its message does not say.

    Raises:
        Malformed: the message cannot be read, or has several patients: billing must not be told of the wrong one.
    """
    release, _, named = kept.kind.partition("/")
    if release in fhir.RELEASES and named:
        return _of_fhir(charge, kept.data)
    if kept.data[:3] == b"MSH" or "^" in kept.kind:
        return _of_hl7(read_hl7(kept.data, default=(sender.character_set if sender else "") or DEFAULT_SET))
    return _of_scan(charge, kept.data)


def _of_hl7(message: Message) -> Subject:
    pids = message.all("PID")
    if len({one.text for one in pids}) > 1:
        raise Malformed(f"PID: {SEVERAL}", path="PID", code="data-invalid")
    pid, pv1 = message.first("PID"), message.first("PV1")
    patient = Known(pid.value(3, 1, 1), pid.value(3, 4, 1)) if pid else Known()
    visit = Known(pv1.value(19, 1, 1), pv1.value(19, 4, 1)) if pv1 else Known()
    return Subject(message.header, pid, pv1, patient, visit)


def _of_fhir(charge: Charge, data: bytes) -> Subject:
    resources = dict(_resources(fhir.parse(data)))
    named = [one for one in resources.values() if _is_named(one, charge.event.number)]
    found = {
        (_referred(one, PATIENTS, "Patient", resources), _referred(one, VISITS, "Encounter", resources))
        for one in named or resources.values()
    }
    told = {pair for pair in found if any(pair)}
    if len(told) > 1:
        raise Malformed(f"patient: {SEVERAL}", path="patient", code="data-invalid")
    patient, visit = next(iter(told), (Known(), Known()))
    return Subject(patient=patient, visit=visit)


def _resources(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """A resource by itself, or each of a Bundle, by its address there."""
    if tree.get("resourceType") != fhir.BUNDLE:
        yield "", tree
        return
    entries = tree.get("entry")
    for place, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict) and isinstance(resource := entry.get("resource"), dict):
            yield str(entry.get("fullUrl", place)), resource


def _is_named(resource: Tree, number: str) -> bool:
    """Whether a use of this number is of this resource: its identifier, with or without whose it is, or its id."""
    values = [str(one.get("value", "")) for one in _identifiers(resource)]
    return number == resource.get("id") or any(number == one or number.endswith(f"|{one}") for one in values if one)


def _identifiers(resource: Tree) -> list[Tree]:
    found = resource.get("identifier")
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def _referred(resource: Tree, names: tuple[str, ...], wanted: str, others: Mapping[str, Tree]) -> Known:
    """What the first of these elements refers to, where that may be one of the wanted type."""
    for name in names:
        found = resource.get(name)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, dict) and (known := _known(resource, one, wanted, others)):
                return known
    return Known()


def _known(resource: Tree, reference: Tree, wanted: str, others: Mapping[str, Tree]) -> Known:
    """By the number in the reference, in what it holds or in what came with it; else by the id in its address."""
    place = str(reference.get("reference", ""))
    held = (others.get(place) or _contained(resource, place)) if place else None
    parts = place.split("/")
    kind = (held or reference).get("resourceType") or reference.get("type") or (parts[-2] if len(parts) > 1 else wanted)
    if kind != wanted:
        return Known()
    for one in [*_identifiers(reference), *(_identifiers(held) if held else [])]:
        if one.get("value"):
            apart = place if len(parts) > 1 and not held else ""
            return Known(str(one["value"]), str(one.get("system", "")), apart)
    return Known(parts[-1], "", place) if len(parts) > 1 and not held else Known()


def _contained(resource: Tree, place: str) -> Tree | None:
    held = resource.get("contained")
    wanted = place.removeprefix("#")
    if not place.startswith("#") or not isinstance(held, list):
        return None
    return next((one for one in held if isinstance(one, dict) and one.get("id") == wanted), None)


def _of_scan(charge: Charge, data: bytes) -> Subject:
    """A report of scans is JSON of our own, each use at its place in it; a line of a file does not say whom it was for."""
    try:
        tree: Any = json.loads(data)
    except ValueError:
        return Subject()
    if not isinstance(tree, dict):
        return Subject()
    scans, place = tree.get("scans"), charge.event.sequence - 1
    own = scans[place] if isinstance(scans, list) and 0 <= place < len(scans) else {}
    said = (own.get("encounter") if isinstance(own, dict) else "") or tree.get("encounter") or ""
    return Subject(visit=Known(str(said)))
