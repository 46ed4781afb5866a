"""How a kept resource is shown: as it was sent, with our id and version, and on a request the numbers of its orders."""

from __future__ import annotations

from formats.fhir import Tree
from gateway.fhir_tasks import Became, filler


def version_of(one: Became) -> str:
    """Which version it is: its sender's, and behind a dot how many order numbers were added (``1``, ``1.1``)."""
    return f"{one.stored.version}.{len(one.orders)}" if one.orders else str(one.stored.version)


def shown(one: Became) -> tuple[bytes, str, str, str, list[Tree]]:
    """What :func:`gateway.fhir_looks.view` is given to show it."""
    since = one.changed_at if one.orders else one.stored.kept.at
    updated = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return one.stored.kept.data, one.stored.id, version_of(one), updated, [filler(number) for number in one.orders]
