"""How a kept resource is shown: as it was sent, with our id and version, and on a request the numbers of its orders."""

from __future__ import annotations

from formats.fhir import Tree
from gateway.fhir_tasks import Became, filler

OURS = ("resourceType", "id", "meta")


def version_of(one: Became) -> str:
    """Which version it is: its sender's, and behind a dot how many order numbers were added (``1``, ``1.1``)."""
    return f"{one.stored.version}.{len(one.orders)}" if one.orders else str(one.stored.version)


def shown(one: Became) -> Tree:
    """The resource as it was sent, with what we gave it."""
    sent = one.stored.resource.tree
    tree = {name: item for name, item in sent.items() if name not in OURS}
    meta = sent.get("meta")
    since = one.changed_at if one.orders else one.stored.kept.at
    moment = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {**(meta if isinstance(meta, dict) else {}), "versionId": version_of(one), "lastUpdated": moment}
    if one.orders:
        known = tree.get("identifier")
        tree["identifier"] = [*(known if isinstance(known, list) else []), *map(filler, one.orders)]
    return {"resourceType": sent["resourceType"], "id": one.stored.id, "meta": told, **tree}
