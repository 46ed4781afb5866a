"""What the FHIR door does, said by itself (CapabilityStatement): a test asks every route and holds the answers against this."""

from __future__ import annotations

from typing import Final

from formats.fhir import Release, Tree
from gateway.fhir_requisitions import PATH as REQUEST
from gateway.fhir_shelf import SEARCHED
from gateway.fhir_tasks import TASK

WRITTEN: Final = "2026-11-22"  # when what is said here last changed
INTERACTIONS: Final = ("create", "read", "vread", "update", "search-type")
READ_ONLY: Final = ("read", "search-type")
FOCUS: Final = "focus"
UPDATED: Final = "_lastUpdated"
REVINCLUDE: Final = "_revinclude"
INCLUDED: Final = "Task:focus"
TASK_PARAMETERS: Final = (FOCUS, UPDATED, "_count")
WHOLE: Final = ("transaction", "batch")
IDENTIFIER: Final = (
    "The official identifier of a resource, else its first: system|value, |value or value; several with commas. No other "
    "identifier is searched, and If-None-Exist takes this parameter only."
)
TYPE: Final = (
    "A resource is kept as it was sent: the same again is answered as the first time, other content under its identifier is a "
    "conflict (409) for a person. An update needs If-Match with the ETag of the newest version (428 without, 412 with another) "
    "and keeps what the resource is known by. Each sender sees what it sent itself."
)
REQUESTED: Final = (
    " A version that is read when an order was made has the order's number as identifier of type FILL. What became of a request is "
    "its Task; SupplyRequests of one transaction with the same identifier of type PGN are one requisition."
)
USED: Final = (
    " It is read as what was used at a stock location: a device, or each thing supplied, by its code or barcode. A barcode of a "
    "contained device that cannot be read refuses it (422). entered-in-error takes the use back."
)
TASK_TYPE: Final = (
    "What became of a SupplyRequest: its focus. A Task has the id of its request, is made when it is read and changed by nobody. "
    "_lastUpdated takes gt or ge, the oldest change comes first; ask with a minute's overlap."
)


def statement(release: Release, base: str, software: str) -> Tree:
    """The CapabilityStatement of a release at an address."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": WRITTEN,
        "kind": "instance",
        "software": {"name": "Fascia", "version": software},
        "implementation": {"description": "The hospital's integration platform", "url": base},
        "fhirVersion": release.version,
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "JSON only; XML is not read (415) nor written (406).",
                "security": {"description": "A key made by `fascia key add`, as `Authorization: Bearer <key>`."},
                "resource": [*(_resource(kind) for kind in release.types), _task()],
                "interaction": [{"code": code} for code in WHOLE],
            }
        ],
    }


def _resource(kind: str) -> Tree:
    asked = kind == REQUEST
    more = {"searchRevInclude": [INCLUDED]} if asked else {}
    return {
        "type": kind,
        "documentation": TYPE + (REQUESTED if asked else USED),
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        **more,
        "searchParam": [{"name": SEARCHED, "type": "token", "documentation": IDENTIFIER}],
    }


def _task() -> Tree:
    return {
        "type": TASK,
        "documentation": TASK_TYPE,
        "interaction": [{"code": code} for code in READ_ONLY],
        "versioning": "versioned",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "not-match",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [{"name": FOCUS, "type": "reference"}, {"name": UPDATED, "type": "date"}],
    }
