"""What a FHIR door works out of the bytes of a resource: pure, so that it can be done beside the loop (``gateway/beside.py``).

What comes back is small: a resource without what only its feed reads, its bytes as they are kept or shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from canonical.senders import Sender
from formats import fhir
from formats.fhir import Entry, Issue, Release, Resource, Tree
from gateway.fhir_faults import Refused
from gateway.fhir_judge import ORDERS, faults
from gateway.fhir_requisitions import groups

# What a door needs of a resource: of which type it is, what it is known by, what it is about, when it was written.
NEEDED: Final = (
    *("resourceType", "id", "identifier", "status", "basedOn", "patient", "subject"),
    *("authoredOn", "dateAsserted", "recordedOn", "occurrenceDateTime"),
)
OURS: Final = ("resourceType", "id", "meta")

Read = Mapping[str, bool]  # by kind, whether any feed reads it from its sender


@dataclass(frozen=True, slots=True)
class Looked:
    """A resource that may be taken: as far as its door needs it, and how much was wrong with it all the same."""

    resource: Resource
    tolerated: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """A Bundle: its type, its entries with the bytes of their resources, and what its groups are called."""

    type: str
    entries: tuple[tuple[Entry, bytes], ...]
    groups: tuple[fhir.Identifier, ...]


def look(data: bytes, release: Release, sender: Sender, read: Read, resource_type: str) -> Looked:
    """A resource that comes by itself.

    Raises:
        Unreadable: it is none.
        Refused: it may not be taken.
    """
    resource = fhir.read(data, release)
    if resource.type != resource_type:
        raise Refused(400, [Issue("value", "The address is of another type of resource", "resourceType")])
    return Looked(needed(resource), judged(resource, sender, read))


def judged(resource: Resource, sender: Sender, read: Read) -> int:
    """How much is wrong with a resource that is taken all the same.

    Raises:
        Refused: it may not be taken.
    """
    status, issues = faults(resource, sender, lambda kind, _: read.get(kind, False))
    if status:
        raise Refused(status, issues)
    return len(issues)


def cut(data: bytes, release: Release, sender: Sender, read: Read) -> Cut:
    """A Bundle and its entries; of a transaction each may be taken.

    Raises:
        Unreadable: it is none we take.
        Refused: it is too large, or not all of a transaction may be taken: everything that is wrong with any entry is said at once.
    """
    bundle = fhir.read(data, release)
    if len(bundle.objects("entry")) > fhir.MOST_ENTRIES:
        text = f"A Bundle has at most {fhir.MOST_ENTRIES} entries"
        raise Refused(413, [Issue("too-costly", text, "Bundle.entry")])
    found = fhir.entries(bundle)
    if bundle.tree["type"] == fhir.TRANSACTION:
        _all_may_be_taken(found, sender, read)
    parts = tuple((_light(one), fhir.write(one.resource.tree) if one.resource else b"") for one in found)
    named = tuple(group for lines in groups(bundle) if (group := lines[0][1].group) is not None)
    return Cut(str(bundle.tree["type"]), parts, named)


def addressed(resources: Sequence[tuple[str, bytes]], release: Release, addresses: Mapping[str, str]) -> list[bytes]:
    """Resources of a Bundle with addresses where they named each other, as they are kept; each is given with its place.

    Raises:
        Refused: one names what is not there.
    """
    done = []
    for path, data in resources:
        try:
            done.append(fhir.write(fhir.resolved(fhir.read(data, release), addresses).tree))
        except fhir.Unreadable as no:
            raise Refused(400, [issue.within(f"{path}.resource") for issue in no.issues]) from None
    return done


def reread(data: bytes, release: Release) -> Resource:
    """A resource that is kept, as far as its door needs it."""
    return needed(fhir.read(data, release))


def view(data: bytes, name: str, version: str, updated: str, more_identifiers: Sequence[Tree]) -> bytes:
    """A kept resource as it was sent, with the id and version we gave it, and the identifiers we know of it."""
    sent = fhir.parse(data)
    tree = {element: item for element, item in sent.items() if element not in OURS}
    meta = sent.get("meta")
    told = {**(meta if isinstance(meta, dict) else {}), "versionId": version, "lastUpdated": updated}
    if more_identifiers:
        known = tree.get("identifier")
        theirs = [one for one in (known if isinstance(known, list) else []) if not _of_ours(one)]
        tree["identifier"] = [*theirs, *more_identifiers]
    return fhir.write({"resourceType": sent["resourceType"], "id": name, "meta": told, **tree})


def needed(resource: Resource) -> Resource:
    """A resource without what its door does not look at."""
    return Resource(resource.release, {name: resource.tree[name] for name in NEEDED if name in resource.tree})


def _of_ours(identifier: object) -> bool:
    return isinstance(identifier, dict) and identifier.get("system") == ORDERS


def _light(entry: Entry) -> Entry:
    resource = needed(entry.resource) if entry.resource else None
    return Entry(entry.path, entry.full_url, entry.if_none_exist, resource, entry.issues, entry.unsupported)


def _all_may_be_taken(found: Sequence[Entry], sender: Sender, read: Read) -> None:
    statuses: list[int] = []
    issues: list[Issue] = []
    for entry in found:
        issues += entry.issues
        statuses += [422 if entry.unsupported else 400] if entry.issues else []
        if entry.resource is not None:
            try:
                judged(entry.resource, sender, read)
            except Refused as no:
                statuses.append(no.status)
                issues += [issue.within(f"{entry.path}.resource") for issue in no.issues]
    if issues:
        raise Refused(400 if 400 in statuses else statuses[0], issues)
