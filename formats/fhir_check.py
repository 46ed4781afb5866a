"""Judges a resource by the tables of its release: which elements it has, how many, of which type, with which codes.

fhir.resources knows the elements. It takes much for something else (``"5"`` for a number, ``"yes"`` for a boolean, its own Python
names, any code where codes are required), so those are looked at here. Profiles, slices and invariants are not.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Final, get_args

from fhir.resources import get_fhir_model_class as r5_model
from fhir.resources.R4B import get_fhir_model_class as r4b_model
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from fhir_core.types import Integer64
from pydantic import ValidationError

from formats.fhir_issues import Issue
from formats.fhir_json import NAME, Tree
from formats.fhir_resource import BUNDLE, R4B, Release, Resource, elements

ID: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}")
_REQUESTED: Final = {
    "status": "draft active suspended cancelled completed entered-in-error unknown",
    "priority": "routine urgent asap stat",
}
_DELIVERED: Final = {"status": "in-progress completed abandoned entered-in-error"}
_REQUIRED: Final = {  # of the bindings of strength "required", those of the types we take
    "SupplyRequest": _REQUESTED,
    "SupplyDelivery": _DELIVERED,
    "DeviceUseStatement": {"status": "active completed entered-in-error intended stopped on-hold"},
    "DeviceUsage": {"status": "active completed not-done entered-in-error intended stopped on-hold"},
}
CODES: Final = {kind: {name: frozenset(said.split()) for name, said in of.items()} for kind, of in _REQUIRED.items()}
_SEVERAL: Final = "but got multiple"
_TYPE_WORDS: Final = {
    "missing": ("required", "This element is missing"),
    "extra_forbidden": ("structure", "Unknown element"),
}


def check(resource: Resource) -> list[Issue]:
    """What is wrong with a resource, in the order its elements are looked at; empty where nothing is.

    The resources in a Bundle are looked at one by one by whoever cut it.
    """
    return _modelled(resource.tree, resource.type, resource.release) or [
        *_codes(resource),
        *_ids(resource),
        *_modifiers(resource),
    ]


def _modelled(tree: Tree, name: str, release: Release) -> list[Issue]:
    model = _model(name, release)
    if model is None:
        return [Issue("not-supported", "This is no type of resource of this release", "resourceType")]
    try:
        made = model.model_validate(tree)
    except ValidationError as wrong:
        return [_said(error, name) for error in wrong.errors(include_input=False, include_url=False)]
    except (KeyError, ValueError, TypeError, AttributeError):  # a contained resource of a type it does not know
        return [Issue("structure", "A resource in it is of no type of this release", f"{name}.contained")]
    return _mistyped(tree, made, name)


@lru_cache(maxsize=64)
def _model(name: str, release: Release) -> type[FHIRAbstractModel] | None:
    find = r4b_model if release == R4B else r5_model
    try:
        return find(name)
    except ValueError:  # no resource of this release is called so
        return None


def _said(error: Any, name: str) -> Issue:
    """In our own words: theirs may repeat what was sent."""
    place = _place(name, error["loc"])
    if error["type"] in _TYPE_WORDS:
        return Issue(*_TYPE_WORDS[error["type"]], place)
    if "Any of one field value" in error["msg"] or "Expect any of field" in error["msg"]:
        if _SEVERAL in error["msg"]:
            return Issue("structure", "One element stands here in several of its forms", place)
        return Issue("required", "An element that has several forms is missing", place)
    return Issue("value", "This is not what the element takes", place)


def _place(name: str, steps: tuple[int | str, ...]) -> str:
    path = name
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not NAME.fullmatch(step):
            break
        elif step != "root":
            path += f".{step}"
    return path


def _mistyped(tree: Tree, made: FHIRAbstractModel, path: str) -> list[Issue]:
    """What was taken for something it is not: text for a number or a boolean, a number for text."""
    fields, long = _by_name(type(made)), _long(type(made))
    found: list[Issue] = []
    for name, value in tree.items():
        if name == "resourceType" or name.startswith("_"):
            continue
        taken = getattr(made, fields.get(name, ""), None)
        pairs = list(zip(value, taken, strict=False)) if isinstance(value, list) and isinstance(taken, list) else None
        for number, (sent, read) in enumerate(pairs if pairs is not None else [(value, taken)]):
            place = f"{path}.{name}" + (f"[{number}]" if pairs is not None else "")
            if isinstance(sent, dict) and isinstance(read, FHIRAbstractModel):
                found += _mistyped(sent, read, place)
            elif sent is not None and not (isinstance(sent, str) if name in long else _is(sent, read)):
                found.append(Issue("value", "This is not of the element's JSON type", place))
    return found


def _is(sent: Any, read: Any) -> bool:
    if isinstance(read, bool):
        return isinstance(sent, bool)
    if isinstance(read, int | Decimal):
        return isinstance(sent, int | Decimal) and not isinstance(sent, bool)
    return isinstance(sent, str)


@cache
def _by_name(model: type[FHIRAbstractModel]) -> dict[str, str]:
    return {field.alias or name: name for name, field in model.model_fields.items()}


@cache
def _long(model: type[FHIRAbstractModel]) -> frozenset[str]:
    """Elements of type integer64, which JSON has as text: not every reader counts so far."""
    return frozenset(
        field.alias or name
        for name, field in model.model_fields.items()
        if any(isinstance(mark, Integer64) for one in get_args(field.annotation) for mark in get_args(one))
    )


def _codes(resource: Resource) -> list[Issue]:
    return [
        Issue("code-invalid", f"One of {', '.join(sorted(codes))}", f"{resource.type}.{name}")
        for name, codes in CODES.get(resource.type, {}).items()
        if name in resource.tree and resource.tree[name] not in codes
    ]


def _ids(resource: Resource) -> list[Issue]:
    found = resource.tree.get("id")
    if found is None or (isinstance(found, str) and ID.fullmatch(found)):
        return []
    return [Issue("value", "An id has 1 to 64 letters, digits, hyphens and dots", f"{resource.type}.id")]


def modifiers(resource: Resource) -> str | None:
    """Where something stands that changes the meaning of all the rest and is not understood here; None where nothing does."""
    places = (
        f"{path}.{name}"
        for path, one in elements(resource.tree, resource.type)
        for name in ("modifierExtension", "implicitRules")
        if name in one
    )
    return next(places, None)


def _modifiers(resource: Resource) -> list[Issue]:
    """It must not be passed over."""
    place = modifiers(resource) if resource.type != BUNDLE else None
    return [Issue("extension", "It changes what the rest means, and is not understood here", place)] if place else []
