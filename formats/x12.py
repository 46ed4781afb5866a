"""X12, the language most American suppliers' computers speak: its wire text both ways, and no business words.

``read`` cuts bytes into interchanges, ``check`` judges one, ``acknowledge`` answers it, ``write`` makes one. Specification:
ASC X12 004010 (X12.5 interchange control, X12.6 application control, X12.20 functional acknowledgement). The tables hold
only the documents and codes in use; ``docs/adr/0003-x12.md`` says why this is our own.
"""

from __future__ import annotations

from formats.x12_acknowledge import acknowledge
from formats.x12_check import DocumentReport, EnvelopeReport, GroupReport, check, refuse
from formats.x12_structure import ElementError, SegmentError
from formats.x12_text import Document, Group, Interchange, Segment, Separators, read
from formats.x12_write import Envelope, segment, write

__all__ = [
    "Document",
    "DocumentReport",
    "ElementError",
    "Envelope",
    "EnvelopeReport",
    "Group",
    "GroupReport",
    "Interchange",
    "Segment",
    "SegmentError",
    "Separators",
    "acknowledge",
    "check",
    "read",
    "refuse",
    "segment",
    "write",
]
