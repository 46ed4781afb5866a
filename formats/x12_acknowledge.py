"""Answers an interchange: a TA1 where its envelope is broken, else a 997 for each group, and none for 997s.

A pure function: the same report and envelope give the same bytes, so an answer kept once can be sent again.
"""

from __future__ import annotations

import re

from formats.x12_check import REFUSED, DocumentReport, EnvelopeReport, GroupReport
from formats.x12_structure import SegmentError
from formats.x12_text import Interchange, Segment, Separators
from formats.x12_write import Envelope, segment, write

MOST_CODES = 5


def acknowledge(report: EnvelopeReport, envelope: Envelope) -> bytes:
    """The answer to an interchange, empty where none is due.

    None is due for groups of 997s (nobody acknowledges an acknowledgement) nor for an interchange that only carries
    TA1s, so two partners never answer each other for ever.
    """
    found = report.interchange
    if found.answers and not found.groups:
        return b""
    answers = [_ta1(report)] if report.status == REFUSED or report.note != "000" or found.wants_answer else []
    groups = [one for one in report.groups if one.group.functional_id != "FA"] if report.status != REFUSED else []
    documents = [("997", _997(one, envelope.separators)) for one in groups]
    if not answers and not documents:
        return b""
    return write(envelope, documents, answers=answers)


def _ta1(report: EnvelopeReport) -> Segment:
    found: Interchange = report.interchange
    return segment(
        "TA1",
        _fit(found.control.zfill(9), "[0-9]{9}", "000000000"),
        _fit(found.header[9].strip(), "[0-9]{6}", "000000"),
        _fit(found.header[10].strip(), "[0-9]{4}", "0000"),
        report.status,
        report.note,
    )


def _997(report: GroupReport, marks: Separators) -> list[Segment]:
    group = report.group
    body = [segment("AK1", group.functional_id, _fit(group.control, "[0-9]{1,9}", "0"))]
    for one in report.documents:
        body += _document(one, marks)
    received = len(report.documents)
    codes = report.problems[:MOST_CODES]
    body.append(segment("AK9", report.status, str(report.declared), str(received), str(report.accepted), *codes))
    return body


def _document(report: DocumentReport, marks: Separators) -> list[Segment]:
    code = _fit(report.document.code, "[0-9A-Z]{3}", "000")
    lines = [segment("AK2", code, _fit(report.document.control, "[0-9A-Za-z]{4,9}", "0000"))]
    for error in report.errors:
        lines += _segment(error, marks)
    lines.append(segment("AK5", report.status, *report.problems[:MOST_CODES]))
    return lines


def _segment(error: SegmentError, marks: Separators) -> list[Segment]:
    name = _fit(error.name, "[A-Z][A-Z0-9]{1,2}", "ZZZ")
    lines = [segment("AK3", name, str(error.position), error.loop, error.code)]
    for one in error.elements:
        plain = one.value.isascii() and one.value.isprintable() and not any(sign in marks.marks for sign in one.value)
        value = one.value.strip()[:99] if plain else ""
        reference = one.reference if one.reference.isdigit() else ""
        lines.append(segment("AK4", str(one.number), reference, one.code, value))
    return lines


def _fit(value: str, pattern: str, otherwise: str) -> str:
    """The value where it has the form its place needs; a broken one cannot be repeated."""
    return value if re.fullmatch(pattern, value) else otherwise
