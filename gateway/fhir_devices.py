"""Which thing a FHIR resource means: by code, by the barcode of its device, or by a resource it contains; R4B and R5 alike.

hl7.org/fhir/R5/device.html (udiCarrier), devicedefinition.html, references.html#codeablereference. Of a Device count its barcode
(carrierHRF, else carrierAIDC, else deviceIdentifier), its type, numbers, lot, serial number, date and place; of a Medication or an
InventoryItem code, lot and date. Displays of references are names, and not read.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from canonical.errors import Malformed
from canonical.udi import Udi
from formats import udi
from formats.fhir import Issue, Resource, Tree
from gateway.mapping import Tongue

LITERAL: Final = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[^/]+)?")
AGENCIES: Final = {
    "gs1": "GS1",
    "hibcc": "HIBCC",
    "iccbba": "ICCBBA",
    "urn:oid:1.3.160": "GS1",
}  # in an issuer or a system
BARCODE: Final = re.compile(
    r"\(01\)|\](d2|C1|e0|Q3)|[+=&*]|https?://[^ ]+/01/\d"
)  # how one begins, and no code of an item does
TRADE_ITEM: Final = re.compile(r"\d{8}|\d{12,14}")
PARTIAL: Final = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?(?:T.*)?")
LONGEST_DEVICE: Final = 40
LONGEST_CODE: Final = 80


@dataclass(frozen=True, slots=True)
class Thing:
    """What was used. ``item``: ours where the sender's table knows it, else as it wrote it; empty where a barcode says it."""

    item: str = ""
    description: str = ""
    device: Udi | None = None
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    place: str = ""


def named(reference: Tree | None) -> str:
    """What a reference names: the value of its identifier, else the id in its address."""
    sent = reference or {}
    identifier = sent.get("identifier")
    if isinstance(identifier, dict) and (value := str(identifier.get("value", "")).strip()):
        return value
    literal = LITERAL.fullmatch(str(sent.get("reference", "")))
    return literal[2] if literal else ""


def contained(resource: Resource, reference: Tree | None) -> tuple[Tree, str] | None:
    """The contained resource a reference points at, and where it stands; None where it points elsewhere.

    Raises:
        Malformed: it points at one that is not there.
    """
    name = str((reference or {}).get("reference", ""))
    if not name.startswith("#"):
        return None
    for number, one in enumerate(resource.objects("contained")):
        if one.get("id") == name[1:]:
            return one, f"{resource.type}.contained[{number}]"
    raise malformed(f"{resource.type}.contained", "a resource is named that is not contained")


def by_concept(concept: Tree, path: str, tongue: Tongue) -> Thing:
    """A thing that is named by codes: the first the sender's table knows, else the first; in words alone it is nobody's.

    Raises:
        Malformed: there is no code in it.
    """
    codes = list(_codes(concept))
    if not codes:
        raise malformed(path, "no code names it")
    return Thing(item=_chosen(codes, tongue), description=_words(concept))


def by_reference(resource: Resource, reference: Tree, path: str, tongue: Tongue) -> Thing:
    """A thing that is pointed at: contained, by its barcode or number as identifier, or by an address whose id is its code.

    Raises:
        Malformed: it names nothing, or what it points at cannot be read; with its place.
    """
    if (found := contained(resource, reference)) is not None:
        return _contained(resource, *found, tongue)
    identifier = reference.get("identifier")
    code = named(reference)
    if not code:
        raise malformed(path, "it is named by a code, an identifier, a barcode or a contained resource")
    if isinstance(identifier, dict) and not tongue.knows("item", code):
        agency = _agency(str(identifier.get("system", "")))
        if agency or BARCODE.match(code):
            return _with(_barcode(code, f"{path}.identifier.value"), Thing(), path)
    return Thing(item=_chosen([code], tongue))


def unreadable(resource: Resource) -> list[Issue]:
    """Each barcode of a contained device that cannot be read: who scanned it should hear of it at once."""
    found = []
    for number, one in enumerate(resource.objects("contained")):
        path = f"{resource.type}.contained[{number}]"
        try:
            _carriers(one, path)
        except Malformed as no:
            found.append(Issue("processing", no.message.removeprefix(f"{no.path}: "), no.path))
    return found


def malformed(path: str, reason: str, code: str = "data-invalid") -> Malformed:
    """What is wrong at a place."""
    return Malformed(f"{path}: {reason}", path=path, code=code)


def _contained(resource: Resource, one: Tree, path: str, tongue: Tongue) -> Thing:
    kind = one.get("resourceType")
    if kind == "Device":
        return _device(resource, one, path, tongue)
    if kind == "DeviceDefinition":
        codes = [*_codes_of(one, "classification", "type"), *_numbers(one, "modelNumber", "partNumber")]
        return _of(_definition(one, path), codes, Thing(), path, tongue)
    if kind in ("Medication", "InventoryItem", "Substance"):
        codes = [code for concept in _list(one, "code") for code in _codes(concept)]
        batch = _first(one, "batch") or _first(one, "instance")
        text = str(batch.get("expirationDate") or batch.get("expiry") or "")
        said = Thing(
            description=next(map(_words, _list(one, "code")), ""),
            lot=_text(batch, "lotNumber"),
            expires=_day(text, f"{path}.expiry") if text else None,
        )
        return _of(None, codes, said, path, tongue)
    raise malformed(path, "this is no device and no supply")


def _device(resource: Resource, one: Tree, path: str, tongue: Tongue) -> Thing:
    codes = list(_codes_of(one, "type"))
    definition = _first(one, "definition")
    reference = _first(definition, "reference") or ({} if "concept" in definition else definition)  # R5, R4B
    udi_of = _carriers(one, path)
    if (found := contained(resource, reference)) is not None:
        udi_of = udi_of or _definition(*found)
        codes += [*_codes_of(found[0], "classification", "type"), *_numbers(found[0], "modelNumber", "partNumber")]
    else:
        codes += [*_codes(_first(definition, "concept")), *filter(None, [named(reference)])]
    codes += [*_numbers(one, "modelNumber", "partNumber")]
    until = _text(one, "expirationDate")
    said = Thing(
        description=next(map(_words, _list(one, "type")), ""),
        lot=_text(one, "lotNumber"),
        serial=_text(one, "serialNumber"),
        expires=_day(until, f"{path}.expirationDate") if until else None,
        place=named(_first(one, "location")),
    )
    return _of(udi_of, codes, said, path, tongue)


def _of(found: Udi | None, codes: list[str], said: Thing, path: str, tongue: Tongue) -> Thing:
    """By a code the sender's table knows, else by its barcode, else by its first code."""
    known = next((code for code in codes if tongue.knows("item", code)), "")
    if found is None and not codes:
        raise malformed(path, "neither a barcode nor a code says what it is")
    if known or found is None:
        said = replace(said, item=_chosen([known or codes[0]], tongue))
    return _with(found, said, path) if found is not None else said


def _with(found: Udi, said: Thing, path: str) -> Thing:
    """What a barcode says and what stands beside it are of one thing, or nobody knows which."""
    for name, element in (("lot", "lotNumber"), ("serial", "serialNumber"), ("expires", "expirationDate")):
        ours, theirs = getattr(found, name), getattr(said, name)
        if ours and theirs and ours != theirs:
            raise malformed(f"{path}.{element}", "its barcode says otherwise")
    return replace(
        said,
        device=found,
        lot=said.lot or found.lot,
        serial=said.serial or found.serial,
        expires=said.expires or found.expires,
    )


def _carriers(device: Tree, path: str) -> Udi | None:
    """The first of its barcodes; each that is there must be one.

    Raises:
        Malformed: one is none, with the place of its text.
    """
    found = [_carrier(one, f"{path}.udiCarrier[{number}]") for number, one in enumerate(_list(device, "udiCarrier"))]
    return next(filter(None, found), None)


def _carrier(carrier: Tree, path: str) -> Udi | None:
    wrong: Malformed | None = None
    for element in ("carrierHRF", "carrierAIDC"):
        text, place = _text(carrier, element), f"{path}.{element}"
        if not text:
            continue
        try:
            return _barcode(_scanned(text, place) if element == "carrierAIDC" else text, place)
        except Malformed as no:
            wrong = wrong or no
    if wrong is not None:
        raise wrong
    number = _text(carrier, "deviceIdentifier")
    return _identified(number, _text(carrier, "issuer"), f"{path}.deviceIdentifier") if number else None


def _definition(one: Tree, path: str) -> Udi | None:
    for number, each in enumerate(_list(one, "udiDeviceIdentifier")):
        place = f"{path}.udiDeviceIdentifier[{number}].deviceIdentifier"
        if known := _identified(_text(each, "deviceIdentifier"), _text(each, "issuer"), place):
            return known
    return None


def _barcode(text: str, path: str) -> Udi:
    try:
        return udi.read(text)
    except Malformed as no:
        raise malformed(path, no.message) from None


def _scanned(text: str, path: str) -> str:
    """What the machine-readable form (base64) says."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise malformed(path, "this is no barcode in base64") from None


def _identified(number: str, issuer: str, path: str) -> Udi | None:
    """A device identifier by itself; None where nothing says whose number it is."""
    agency = _agency(issuer) or ("GS1" if TRADE_ITEM.fullmatch(number) else "")
    if not agency or not number:
        return None
    if BARCODE.match(number) and agency != "HIBCC":
        return _barcode(number, path)
    if agency == "GS1":
        if not TRADE_ITEM.fullmatch(number):
            return None  # of a test's making, or of an agency that is not the one it says
        number = number.zfill(14)
    if len(number) > LONGEST_DEVICE:
        raise malformed(path, f"a device identifier has at most {LONGEST_DEVICE} signs")
    return Udi(agency=agency, device=number.lstrip("+"))


def _agency(system: str) -> str:
    return next((agency for word, agency in AGENCIES.items() if word in system.lower()), "")


def _chosen(codes: list[str], tongue: Tongue) -> str:
    """Our code of the first the sender's table knows, else the first as it was written."""
    known = next((code for code in codes if tongue.knows("item", code)), codes[0])
    return tongue.ours("item", known)[:LONGEST_CODE]


def _codes(concept: Tree) -> Iterator[str]:
    for one in _list(concept, "coding"):
        if code := _text(one, "code"):
            yield code


def _codes_of(tree: Tree, *names: str) -> Iterator[str]:
    """Codes of concepts, which a release has as they are or within an object of type ``{type: concept}``."""
    for name in names:
        for one in _list(tree, name):
            yield from _codes(one)
            yield from _codes(_first(one, "type"))


def _numbers(tree: Tree, *names: str) -> Iterator[str]:
    yield from (text for name in names if (text := _text(tree, name)))
    yield from (text for one in _list(tree, "identifier") if (text := _text(one, "value")))


def _words(concept: Tree) -> str:
    display = next((text for one in _list(concept, "coding") if (text := _text(one, "display"))), "")
    return (_text(concept, "text") or display)[:2000]


def _list(tree: Tree, name: str) -> list[Tree]:
    found = tree.get(name)
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def _first(tree: Tree, name: str) -> Tree:
    return next(iter(_list(tree, name)), {})


def _text(tree: Tree, name: str) -> str:
    found = tree.get(name)
    return found.strip() if isinstance(found, str) else ""


def _day(text: str, path: str) -> date:
    """The last day it may be used: a month alone is its last day."""
    found = PARTIAL.fullmatch(text)
    if found is None:
        raise malformed(path, "until which day?")
    year, month = int(found[1]), int(found[2])
    try:
        return date(year, month, int(found[3]) if found[3] else calendar.monthrange(year, month)[1])
    except (ValueError, calendar.IllegalMonthError):
        raise malformed(path, "this is no day") from None
