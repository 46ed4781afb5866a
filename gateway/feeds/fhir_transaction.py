"""Reads the SupplyRequests of one transaction that belong together (FHIR R4B and R5): each group is a requisition of many lines."""

from __future__ import annotations

from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from formats.fhir import Resource
from gateway.fhir_requisitions import groups, requisition
from gateway.mapping import Tongue


def read(resource: Resource, sender: Sender, mappings: Mappings) -> tuple[Requisition, ...]:
    """The requisitions of its groups, in the order their first lines stand; what stands by itself is read by itself.

    Raises:
        Malformed: a line of a group is not active, lines disagree, or something in one cannot be read or mapped, with its place.
    """
    tongue = Tongue(sender, mappings)
    return tuple(one for lines in groups(resource) for one in requisition(lines, tongue))
