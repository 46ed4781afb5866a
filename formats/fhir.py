"""FHIR R4B and R5, the language of newer systems: its JSON both ways, and no business words.

``parse`` and ``write`` keep every digit, ``read`` gives a resource, ``check`` judges it by the tables of its release, ``entries``
cuts a Bundle, ``outcome`` says what is wrong. Specification: hl7.org/fhir/R4B (4.3.0) and hl7.org/fhir/R5 (5.0.0).
``docs/adr/0016-fhir.md`` says what fhir.resources is used for, and what not.
"""

from __future__ import annotations

from formats.fhir_bundle import BATCH, MOST_ENTRIES, TRANSACTION, Entry, entries, resolved
from formats.fhir_check import CODES, ID, check, modifiers
from formats.fhir_issues import Issue, Unreadable, outcome
from formats.fhir_json import Exact, Tree, Written, parse, same, write
from formats.fhir_resource import (
    BUNDLE,
    FILLER,
    IDENTIFIER_TYPES,
    R4B,
    R5,
    RELEASES,
    Identifier,
    Release,
    Resource,
    of,
    read,
)

__all__ = [
    "BATCH",
    "BUNDLE",
    "CODES",
    "FILLER",
    "ID",
    "IDENTIFIER_TYPES",
    "MOST_ENTRIES",
    "R4B",
    "R5",
    "RELEASES",
    "TRANSACTION",
    "Entry",
    "Exact",
    "Identifier",
    "Issue",
    "Release",
    "Resource",
    "Tree",
    "Unreadable",
    "Written",
    "check",
    "entries",
    "modifiers",
    "of",
    "outcome",
    "parse",
    "read",
    "resolved",
    "same",
    "write",
]
