"""What resources that tell of a use say alike: under which number, when, in which visit; and how they are put into our words.

hl7.org/fhir/R5/deviceusage.html, R4B/deviceusestatement.html, supplydelivery.html of both. Codes the sender's tables do not know
go on as they were written: who validates says what is unknown. Of patients, sites of the body, reasons and names nothing is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from canonical.base import in_words
from canonical.errors import Malformed
from canonical.usage import UsageEvent
from formats import fhir
from formats.fhir import Resource, Tree
from gateway.fhir_devices import LITERAL, Thing, contained, malformed, named
from gateway.mapping import Tongue

VOIDS_FROM: Final = 500_000  # a resource taken back is its uses' voids, under its own number and sequences of their own
LONGEST_NUMBER: Final = 80
VISITS: Final = {"Encounter": "visit", "EpisodeOfCare": "episode", "Procedure": "procedure"}
TOLD: Final = ("dateAsserted", "recordedOn")  # when it was written down: R5, R4B
ENDED: Final = "it is no use yet, or none any more: a person decides"


def number_of(resource: Resource) -> str:
    """Its sender's number of it, with the system that gave it; else the id it has here.

    Raises:
        Malformed: it has neither.
    """
    known = resource.identifier
    if known is None:
        own = resource.text("id")
        if not own:
            raise malformed(
                f"{resource.type}.identifier", "a use needs its sender's own number: an identifier with a value"
            )
        return own
    whole = f"{known.system}|{known.value}" if known.system else known.value
    if len(whole) <= LONGEST_NUMBER:
        return whole
    short = f"{hashlib.sha256(known.system.encode('utf-8', 'replace')).hexdigest()[:12]}|{known.value}"
    if len(short) > LONGEST_NUMBER:
        raise malformed(f"{resource.type}.identifier", f"a number has at most {LONGEST_NUMBER - 13} signs")
    return short


def understood(resource: Resource) -> None:
    """Whatever its door was told to tolerate.

    Raises:
        Malformed: something in it changes what the rest means.
    """
    if (place := fhir.modifiers(resource)) is not None:
        raise malformed(place, "it changes what the rest means, and is not understood here")


def used_at(resource: Resource, begins: str) -> datetime:
    """When it was used: ``begins`` names the element (``timing``, ``occurrence``). Of a period its end.

    A day alone is the moment it was written down where that is the same day, else the day's first, UTC.

    Raises:
        Malformed: nothing says when, or it repeats.
    """
    said, path = _timed(resource, begins)
    told = next((text for name in TOLD if (text := resource.text(name))), "")
    if not said:
        said, path = told, begins
    if not said:
        raise malformed(f"{resource.type}.{begins}DateTime", "when was it used?")
    if "T" not in said and "T" in told and told[:10] == said:
        said = told
    try:
        found = datetime.fromisoformat(said.replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise malformed(f"{resource.type}.{path}", "this is no day and no moment") from None


def _timed(resource: Resource, begins: str) -> tuple[str, str]:
    if (period := resource.value(f"{begins}Period")) is not None:
        name = "end" if "end" in period else "start"
        return str(period.get(name, "")), f"{begins}Period.{name}"
    if (timing := resource.value(f"{begins}Timing")) is not None:
        events = timing.get("event", [])
        if "repeat" in timing or "code" in timing or len(events) != 1:
            raise malformed(f"{resource.type}.{begins}Timing", "it repeats: a person decides", "not-automatic")
        return str(events[0]), f"{begins}Timing.event"
    return resource.text(f"{begins}DateTime"), f"{begins}DateTime"


def encounter_of(resource: Resource, tongue: Tongue, *names: str) -> str:
    """The sender's own number of the visit or procedure, by the first of these elements that names one.

    With who assigned it, as of a visit that HL7 names (PV1-19): without a system it is the facility's own.
    """
    for name in names:
        for one in resource.objects(name):
            kind = _kind(resource, one)
            if kind not in VISITS:
                continue
            found = contained(resource, one)
            visit = {"identifier": next(_identifiers(found[0]), {})} if found else one
            if number := named(visit):
                identifier = visit.get("identifier")
                system = str(identifier.get("system", "")) if isinstance(identifier, dict) else ""
                return f"{VISITS[kind]}|{system or tongue.sender.facility}|{number}"[:200]
    return ""


def _kind(resource: Resource, reference: Tree) -> str:
    """Of which type it says to be."""
    if (found := contained(resource, reference)) is not None:
        return str(found[0].get("resourceType", ""))
    address = LITERAL.fullmatch(str(reference.get("reference", "")))
    return address[1] if address else str(reference.get("type", "Encounter"))


def _identifiers(tree: Tree) -> Iterator[Tree]:
    found = tree.get("identifier")
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, dict) and one.get("value"):
            yield one


def place_of(tongue: Tongue, code: str) -> str:
    """Our location; where none is named, what the sender's table or row says of that."""
    return tongue.ours("location", code) or tongue.sender.deliver_to or ""


def used(
    resource: Resource, thing: Thing, path: str, places: Mapping[str, str], tongue: Tongue, **about: Any
) -> UsageEvent:
    """A use of one thing, which stands at ``path``. ``places``: where the value of any other field stands, for who sent it.

    Raises:
        Malformed: a value has no place in our language.
    """
    said = {
        "item": thing.item,
        "description": thing.description,
        "device": thing.device,
        "lot": thing.lot,
        "serial": thing.serial,
        "expires": thing.expires,
    }
    where = {**dict.fromkeys(said, path), **places}
    return _made(resource, where, tongue, **{name: value for name, value in (said | about).items() if value})


def void(resource: Resource, sequence: int, tongue: Tongue, **about: Any) -> UsageEvent:
    """The taking back of the use of that sequence, which this resource was."""
    back = {"kind": "void", "voids_number": number_of(resource), "voids_sequence": sequence}
    return _made(resource, {}, tongue, **back, **about, sequence=VOIDS_FROM + sequence)


def _made(resource: Resource, places: Mapping[str, str], tongue: Tongue, **fields: Any) -> UsageEvent:
    sender = tongue.sender
    try:
        return UsageEvent(
            facility=sender.facility, source=sender.source or sender.code, number=number_of(resource), **fields
        )
    except ValidationError as wrong:
        problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
        field = str(problem["loc"][0]) if problem["loc"] else ""
        path = places.get(field, "identifier" if field == "number" else field)
        place = path if path.startswith(resource.type) else f"{resource.type}{f'.{path}' if path else ''}"
        raise malformed(place, in_words(problem["msg"])) from None


def not_automatic(resource: Resource) -> Malformed:
    """Of a status that says neither that it was used nor that it was not: to be raised."""
    return malformed(f"{resource.type}.status", f"{resource.text('status') or 'none'}: {ENDED}", "not-automatic")
