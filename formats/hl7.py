"""HL7 v2, the language a hospital's departments speak: its wire text both ways, and no business words.

``header`` reads the first segment, ``read`` cuts the whole message, ``check`` judges it by the tables of its version, ``acknowledge``
answers it, ``read_acknowledgement`` reads an answer, ``split`` cuts batches, ``write`` makes a message. Specification: HL7
Messaging Standard 2.3 to 2.8.2, chapters 2 and 2A. ``docs/adr/0011-hl7.md`` says why this is our own.
"""

from __future__ import annotations

from formats.hl7_acknowledge import (
    Acknowledgement,
    Code,
    Error,
    acknowledge,
    answerable,
    error_segment,
    read_acknowledgement,
)
from formats.hl7_batch import Batch, File, is_batch, respond, split
from formats.hl7_faults import Fault, Unreadable, place
from formats.hl7_header import VERSIONS, Header, header, structure_of, wanted
from formats.hl7_message import Message, Part, Segment, read
from formats.hl7_structure import LATER_VERSION, Report, check, prepare
from formats.hl7_text import DEFAULT_SET, NULL, STANDARD, Marks, escape, unescape
from formats.hl7_values import Moment, Price
from formats.hl7_write import Null, header_segment, segment, write

__all__ = [
    "DEFAULT_SET",
    "LATER_VERSION",
    "NULL",
    "STANDARD",
    "VERSIONS",
    "Acknowledgement",
    "Batch",
    "Code",
    "Error",
    "Fault",
    "File",
    "Header",
    "Marks",
    "Message",
    "Moment",
    "Null",
    "Part",
    "Price",
    "Report",
    "Segment",
    "Unreadable",
    "acknowledge",
    "answerable",
    "check",
    "error_segment",
    "escape",
    "header",
    "header_segment",
    "is_batch",
    "place",
    "prepare",
    "read",
    "read_acknowledgement",
    "respond",
    "segment",
    "split",
    "structure_of",
    "unescape",
    "wanted",
    "write",
]
