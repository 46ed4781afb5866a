"""A FHIR resource as it was sent: its release, its type, and the values in it by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from formats.fhir_issues import Issue, Unreadable
from formats.fhir_json import Tree, parse


@dataclass(frozen=True, slots=True)
class Release:
    """One release of FHIR as we speak it: the ``name`` in our addresses, its ``version``, the ``types`` we take."""

    name: str
    version: str
    types: tuple[str, ...]

    def kind(self, resource_type: str) -> str:
        """What a message of this type is called in the journal: ``r5/SupplyRequest``."""
        return f"{self.name}/{resource_type}"


R4B: Final = Release("r4b", "4.3.0", ("SupplyRequest", "SupplyDelivery", "DeviceUseStatement"))
R5: Final = Release("r5", "5.0.0", ("SupplyRequest", "SupplyDelivery", "DeviceUsage"))
RELEASES: Final = {one.name: one for one in (R4B, R5)}
BUNDLE: Final = "Bundle"
# HL7 table 0203 tells what an identifier is: what the placer calls a group of its orders (ORC-4), what the filler calls one (ORC-3).
IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
PLACER_GROUP: Final = "PGN"
FILLER: Final = "FILL"
CONTAINER: Final = "RequestOrchestration"  # what R5 calls a resource that holds requests together


@dataclass(frozen=True, slots=True)
class Identifier:
    """A business identifier: ``system`` may be empty, ``value`` is not."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, as its JSON has it."""

    release: Release
    tree: Tree

    @property
    def type(self) -> str:
        return str(self.tree["resourceType"])

    @property
    def kind(self) -> str:
        return self.release.kind(self.type)

    @property
    def identifier(self) -> Identifier | None:
        """What its sender knows it by: its official identifier, else the first that has a value.

        The number of its group, and the number its filler gave it, name something else.
        """
        known = [one for one in self._identifiers() if not typed(one, PLACER_GROUP) and not typed(one, FILLER)]
        for one in [*(each for each in known if each.get("use") == "official"), *known]:
            return Identifier(str(one.get("system", "")), str(one["value"]))
        return None

    @property
    def group(self) -> Identifier | None:
        """What its sender calls the requests that belong together with it; None for one that stands by itself.

        Neither release has an element for it (``groupIdentifier``): an identifier of type PGN, as HL7's mapping of ORC-4 has it,
        else, in R5, the identifier of the RequestOrchestration it is based on.
        """
        for one in self._identifiers():
            if typed(one, PLACER_GROUP):
                return Identifier(str(one.get("system", "")), str(one["value"]))
        for one in self.objects("basedOn"):
            named = one.get("identifier")
            if one.get("type") == CONTAINER and isinstance(named, dict) and isinstance(named.get("value"), str):
                return Identifier(str(named.get("system", "")), str(named["value"]))
        return None

    def _identifiers(self) -> list[Tree]:
        found = self.tree.get("identifier")
        sent = found if isinstance(found, list) else [found]
        return [one for one in sent if isinstance(one, dict) and isinstance(one.get("value"), str)]

    def value(self, *path: str | int) -> Any:
        """What stands at a path of names and numbers (``"quantity", "value"``); None where nothing does."""
        found: Any = self.tree
        for step in path:
            if isinstance(step, int):
                found = found[step] if isinstance(found, list) and step < len(found) else None
            else:
                found = found.get(step) if isinstance(found, dict) else None
        return found

    def text(self, *path: str | int) -> str:
        """The text at a path, without space around it; empty where there is none."""
        found = self.value(*path)
        return found.strip() if isinstance(found, str) else ""

    def objects(self, *path: str | int) -> list[Tree]:
        """The objects at a path, whether the release has a list there or one."""
        found = self.value(*path)
        return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def read(data: bytes, release: Release) -> Resource:
    """The resource of a document; whether it holds what its type asks for is said by ``check``.

    Raises:
        Unreadable: no JSON as FHIR has it, or no resource.
    """
    return of(parse(data), release)


def of(tree: Tree, release: Release) -> Resource:
    """A resource that was cut out of another document.

    Raises:
        Unreadable: it does not say of which type it is.
    """
    if not isinstance(tree.get("resourceType"), str):
        raise Unreadable(Issue("structure", "resourceType is missing: of which type is it?", "resourceType"))
    return Resource(release, tree)


def typed(identifier: Tree, code: str) -> bool:
    """Whether an identifier says that it is of this type of HL7 table 0203."""
    kind = identifier.get("type")
    codings = kind.get("coding") if isinstance(kind, dict) else None
    return isinstance(codings, list) and any(
        isinstance(one, dict) and one.get("system") == IDENTIFIER_TYPES and one.get("code") == code for one in codings
    )


def elements(value: Any, path: str) -> Iterator[tuple[str, Tree]]:
    """Every object in a tree with its place, the outermost first."""
    if isinstance(value, dict):
        yield path, value
        for name, item in value.items():
            yield from elements(item, f"{path}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from elements(item, f"{path}[{number}]")
