"""Reads a department's request for one thing (FHIR SupplyRequest, R4B and R5): a requisition of one line."""

from __future__ import annotations

from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from formats.fhir import Resource
from gateway.fhir_requisitions import requisition
from gateway.mapping import Tongue


def read(resource: Resource, sender: Sender, mappings: Mappings) -> tuple[Requisition, ...]:
    """The requisition it asks for; none of a draft, which asks for nothing yet.

    Raises:
        Malformed: it is not active, has no identifier, repeats in time, or something in it cannot be read or mapped, with its place.
    """
    return requisition([(resource.type, resource)], Tongue(sender, mappings))
