"""What the FHIR door does, said by itself (CapabilityStatement): a test asks every route and holds the answers against this."""

from __future__ import annotations

from typing import Final

from formats.fhir import Release, Tree

WRITTEN: Final = "2026-11-21"  # when what is said here last changed
INTERACTIONS: Final = ("create", "read", "vread", "search-type")
WHOLE: Final = ("transaction", "batch")
IDENTIFIER: Final = (
    "The official identifier of a resource, else its first: system|value, |value or value; several with commas. No other "
    "identifier is searched, and If-None-Exist takes this parameter only."
)
TYPE: Final = (
    "A resource is kept as it was sent and never changed: the same again is answered as the first time, other content under its "
    "identifier is a conflict (409). Each sender sees what it sent itself."
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
                "resource": [_resource(kind) for kind in release.types],
                "interaction": [{"code": code} for code in WHOLE],
            }
        ],
    }


def _resource(kind: str) -> Tree:
    return {
        "type": kind,
        "documentation": TYPE,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalRead": "not-supported",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [{"name": "identifier", "type": "token", "documentation": IDENTIFIER}],
    }
