"""Cuts a Bundle that asks for something (transaction, batch) into its entries, and puts addresses where they named each other.

FHIR R4B and R5, chapter "RESTful API", section "batch/transaction".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from formats.fhir_check import check
from formats.fhir_issues import Issue, Unreadable
from formats.fhir_json import Tree
from formats.fhir_resource import BUNDLE, Resource, elements, of

MOST_ENTRIES: Final = 200
TRANSACTION: Final = "transaction"
BATCH: Final = "batch"
TYPES: Final = (TRANSACTION, BATCH)
URN: Final = re.compile(r"urn:(uuid:[0-9a-fA-F-]{36}|oid:[0-9.]+)")
_CONDITIONAL: Final = re.compile(r"[A-Za-z]+\?")
VERBS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: where it stands, what it asks for, and its resource; ``issues`` say what is wrong with the entry itself."""

    path: str
    full_url: str
    if_none_exist: str
    resource: Resource | None
    issues: tuple[Issue, ...] = ()
    unsupported: bool = False


def entries(bundle: Resource) -> tuple[Entry, ...]:
    """What a transaction or batch asks for, entry by entry; whether a resource in it holds is said by ``check``.

    Raises:
        Unreadable: it is no Bundle of such a kind, or its own elements are not as they should be.
    """
    _shell(bundle)
    found = bundle.objects("entry")
    return tuple(_entry(one, f"{BUNDLE}.entry[{number}]", bundle) for number, one in enumerate(found))


def resolved(resource: Resource, addresses: Mapping[str, str]) -> Resource:
    """The resource with addresses (``SupplyRequest/abc``) where it named other entries of its Bundle by urn.

    Raises:
        Unreadable: it names what is not in the Bundle, or what would have to be searched for.
    """
    tree = _with(resource.tree, addresses)
    wrong = [
        Issue(*words, f"{path}.reference")
        for path, one in elements(tree, resource.type)
        if (words := _unresolved(one.get("reference"))) is not None
    ]
    if wrong:
        raise Unreadable(*wrong)
    return Resource(resource.release, tree)


def _shell(bundle: Resource) -> None:
    tree = bundle.tree
    if bundle.type != BUNDLE or tree.get("type") not in TYPES:
        raise Unreadable(Issue("value", f"Send a Bundle of type {' or '.join(TYPES)} here", "Bundle.type"))
    listed = tree.get("entry", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise Unreadable(Issue("structure", "This is a list of objects", "Bundle.entry"))
    # An entry of a resource alone is one of something once the resource is taken out, or its check would say it is empty.
    bare = [{name: item for name, item in one.items() if name != "resource"} or {"id": "x"} for one in listed]
    without = {**tree, "entry": bare} if bare else tree
    if issues := check(Resource(bundle.release, without)):
        raise Unreadable(*issues)
    urls = Counter(one["fullUrl"] for one in listed if "fullUrl" in one)
    twice = next((number for number, one in enumerate(listed) if urls[one.get("fullUrl")] > 1), None)
    if twice is not None:
        raise Unreadable(Issue("duplicate", "Two entries have this fullUrl", f"Bundle.entry[{twice}].fullUrl"))


def _entry(tree: Tree, path: str, bundle: Resource) -> Entry:
    request = tree.get("request", {})
    wrong: list[Issue] = []
    method, url = request.get("method"), request.get("url")
    sent = tree.get("resource")
    resource = None
    unsupported = method in VERBS and method != "POST"
    if unsupported:
        wrong.append(
            Issue("not-supported", "Only POST is taken here: nothing is changed or deleted", f"{path}.request.method")
        )
    elif method not in VERBS:
        code = "required" if method is None else "code-invalid"
        wrong.append(Issue(code, "One of the methods of HTTP", f"{path}.request.method"))
    if not isinstance(sent, dict):
        if not unsupported:
            wrong.append(Issue("required", "There is no resource in this entry", f"{path}.resource"))
    else:
        try:
            resource = of(sent, bundle.release)
        except Unreadable as no:
            wrong += [issue.within(f"{path}.resource") for issue in no.issues]
    if resource is not None and not unsupported and url != resource.type:
        wrong.append(Issue("value", "The url is the type of the resource", f"{path}.request.url"))
    return Entry(
        path, str(tree.get("fullUrl", "")), str(request.get("ifNoneExist", "")), resource, tuple(wrong), unsupported
    )


def _with(value: Any, addresses: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: addresses.get(item, item) if name == "reference" and isinstance(item, str) else _with(item, addresses)
            for name, item in value.items()
        }
    return [_with(item, addresses) for item in value] if isinstance(value, list) else value


def _unresolved(reference: Any) -> tuple[str, str] | None:
    if not isinstance(reference, str):
        return None
    if URN.fullmatch(reference):
        return "not-found", "No entry of this Bundle has that fullUrl"
    if _CONDITIONAL.match(reference):
        return "not-supported", "A reference that must be searched for is not taken: name the identifier or the address"
    return None
