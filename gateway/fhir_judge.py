"""Judges a FHIR resource by its sender's row, and says what it is known by and what it is about.

Pure: the same bytes and the same row give the same answer and the same id, so a repeat is the same resource. The id of a resource is
made of its business identifier; one without is known by the caller's key, by the urn in its Bundle, or by its bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from canonical.senders import Sender
from formats import fhir
from formats.fhir import Identifier, Issue, Release, Resource, Tree
from gateway.fhir_devices import unreadable

DOOR: Final = "fhir"
ABOUT_WHOM: Final = ("patient", "subject")  # whose device it is: R5, R4B
MOMENTS: Final = ("authoredOn", "dateAsserted", "recordedOn", "occurrenceDateTime")
UNREADABLE: Final = frozenset({"structure", "required", "value", "not-supported", "duplicate"})
LONGEST_REASON: Final = 2000
NOT_CONTENT: Final = ("id", "meta")  # what a server gives, not who asks
ENTRIES_KEPT: Final = "its entries are kept one by one"  # why a Bundle is routed that asks for nothing as a whole
READ_TOGETHER: Final = "read with the transaction it came in"  # why a line of a group is
ORDERS: Final = "urn:fascia:purchase-order"  # the system of an order's number

Reads = Callable[[str, str], bool]  # whether any feed reads this kind from this sender


def release_of(kind: str) -> Release:
    """The release of a kept message's kind (``r5/SupplyRequest``)."""
    return fhir.RELEASES[kind.partition("/")[0]]


def known_by(sender: Sender, release: Release, resource_type: str, name: str = "") -> str:
    """The key in the journal of the resource of that id, or how the keys of all of its type begin."""
    return f"{DOOR}/{sender.code}/{release.name}/{resource_type}/{name}"


def id_of(identifier: Identifier) -> str:
    """The id of what has this identifier."""
    return f"{starts(identifier.value)}{_digest(identifier.system)[:12]}"


def starts(value: str) -> str:
    """How the ids begin of what has an identifier of this value, of whichever system."""
    return f"{_digest(value)[:32]}-"


def id_without(*parts: str | bytes) -> str:
    """The id of what has no identifier, by something else that is its own."""
    whole = b"\x1f".join(part.encode("utf-8", "replace") if isinstance(part, str) else part for part in parts)
    return f"x{hashlib.sha256(whole).hexdigest()[:40]}"


def faults(resource: Resource, sender: Sender, reads: Reads) -> tuple[int, Sequence[Issue]]:
    """The HTTP status that refuses it and why; 0 where it is taken."""
    kind = resource.kind
    if resource.type not in resource.release.types:
        said = ", ".join(resource.release.types)
        return 422, [Issue("not-supported", f"Resources of this type are not taken: send {said}", resource.type)]
    if not sender.takes(kind):
        return 403, [Issue("forbidden", f"This sender may not send {kind}", resource.type)]
    if sender.unrouted == "AR" and not reads(kind, sender.code):
        return 422, [Issue("not-supported", f"Nobody here reads {kind}", resource.type)]
    found = [] if sender.check == "off" else fhir.check(resource) or unreadable(resource)
    if not found or sender.check == "warn":
        return 0, found
    return (400 if any(one.code in UNREADABLE for one in found) else 422), found


def with_id(resource: Resource, name: str) -> Resource:
    """A resource that has no number of its sender's, with the id it is kept under: what it is known by then."""
    return resource if resource.identifier else Resource(resource.release, {**resource.tree, "id": name})


def reason(status: int, issues: Sequence[Issue]) -> str:
    """As the journal keeps it: what was answered and said; no value of the message is in it."""
    told = "; ".join(f"{one.expression + ': ' if one.expression else ''}{one.text}" for one in issues)
    return f"{status}: {told}"[:LONGEST_REASON]


def subject(resource: Resource, name: str, secret: bytes) -> str:
    """What a resource is about, so that what is about one thing stays in order; no patient's identity is in it in clear.

    A delivery is about the request it is based on, the use of a device about the patient, a request in a group about that; any
    other about itself.
    """
    if (group := resource.group) is not None:
        return about_group(group)
    for one in resource.objects("basedOn"):
        kind, _, number = str(one.get("reference", "")).rpartition("/")
        if kind.endswith("SupplyRequest") and fhir.ID.fullmatch(number):
            return f"SupplyRequest/{number}"
    for about in ABOUT_WHOM:
        who = resource.text(about, "reference") or resource.text(about, "identifier", "value")
        if who:
            return f"patient/{hmac.new(secret, who.encode(), hashlib.sha256).hexdigest()[:32]}"
    return f"{resource.type}/{name}"


def about_group(group: Identifier) -> str:
    """What the requests of a group are about, all of them."""
    return f"requisition/{_digest(group.value)[:32]}"


def occurred(resource: Resource) -> datetime | None:
    """When it says it was written or done, where that is a moment."""
    for name in MOMENTS:
        text = resource.text(name)
        if "T" in text:
            try:
                return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
            except (ValueError, OverflowError):
                return None
    return None


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two documents ask for the same, however they are laid out; what only a server gives is left out."""
    try:
        trees = [fhir.parse(data) for data in (one, other)]
    except fhir.Unreadable:
        return False
    first, second = (_content(tree) for tree in trees)
    return fhir.same(first, second)


def _content(tree: Tree) -> Tree:
    """What a sender says by a resource: no id, no version, nor the numbers we put on it when it was read."""
    content = {name: item for name, item in tree.items() if name not in NOT_CONTENT}
    known = content.get("identifier")
    if isinstance(known, list):
        content["identifier"] = [one for one in known if not (isinstance(one, dict) and one.get("system") == ORDERS)]
        if not content["identifier"]:
            del content["identifier"]
    return content


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
