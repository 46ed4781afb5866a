"""Answers an HL7 message, and reads the answer to one of ours.

HL7 v2 chapter 2.9 (original and enhanced mode), 2.15.5 (ERR), 2.15.8 (MSA). MSA-2 is the message's own MSH-10 and can be
nothing else; a message without one can only be refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from formats.hl7_faults import (
    CONDITIONS,
    FIELD_MISSING,
    INTERNAL_ERROR,
    SEGMENT_SEQUENCE,
    TABLE_VALUE,
    Fault,
    Unreadable,
)
from formats.hl7_header import Header
from formats.hl7_message import Part, Segment, read
from formats.hl7_text import CONTROL, DEFAULT_SET, STANDARD, Marks, codec_of, escape
from formats.hl7_values import as_moment

Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
CODES: tuple[Code, ...] = get_args(Code)
MOST_ERRORS = 20
LONGEST_TEXT = 250  # characters of ERR-8
LONGEST_REMARK = 80  # characters of MSA-3
OWN_VERSION = "2.5.1"  # of an answer to what has no readable header
_OLD = ("2.1", "2.2", "2.3", "2.3.1", "2.4")  # ERR-1 is all of ERR there, MSA-3 the place for a text


def answerable(head: Header) -> bool:
    """Whether an answer can name the message by its MSH-10; where not it can only be AR or CR."""
    return bool(head.control.strip(" ")) and CONTROL.search(head.control) is None


def acknowledge(
    head: Header | None, code: Code, *, control: str, when: datetime, faults: Sequence[Fault] = (), text: str = ""
) -> bytes:
    """The answer to the message whose header is ``head``; ``control`` is our own MSH-10, ``when`` our MSH-7.

    Without a header (``head`` is None), or with an MSH-10 that is empty or no text, it can only be AR, or CR where ``code`` is a
    commit code: with an empty MSA-2 and the reason. ``text`` is for a person and must hold nothing of a patient.
    """
    marks = head.marks if head else STANDARD
    version = (head.version if head else "") or OWN_VERSION
    own = head.control if head else ""
    if head is None or not answerable(head):
        code, own = ("CR" if code[0] == "C" else "AR"), ""
    severe = [fault for fault in faults if fault.severity in ("E", "F")][:MOST_ERRORS] if code[1] != "A" else []
    if text and not severe and code[1] != "A":
        severe = [Fault(INTERNAL_ERROR, "internal", text)]
    lines = [_header(head, marks, version, control, when), marks.field.join(("MSA", code, own))]
    if version not in _OLD:
        lines += [_error(fault, marks) for fault in severe]
    elif severe or text:
        lines[1] += marks.field + _plain((text or severe[0].text)[:LONGEST_REMARK], marks)
        lines += [_old_error(severe, marks)] if severe else []
    message = "".join(f"{line}\r" for line in lines)
    return message.encode(head.codec if head and head.codec else "utf-8", "backslashreplace")


def error_segment(fault: Fault, version: str) -> str:
    """ERR as another reply than an ACK holds it (ORS, ORN), in our own marks."""
    return _old_error([fault], STANDARD) if version in _OLD else _error(fault, STANDARD)


def _header(head: Header | None, marks: Marks, version: str, control: str, when: datetime) -> str:
    kind = ["ACK"]
    if head and head.event and marks.component:
        kind.append(head.event)
        if version not in ("2.1", "2.2", "2.3"):  # MSH-9.3 came with 2.3.1
            kind.append("ACK")
    number = escape(control, marks) if marks.escape else control
    sent = as_moment(when)
    if head is None:
        fields = ["", "", "", "", sent, "", "ACK", number, "P", version]
    else:
        fields = [head[5], head[6], head[3], head[4], sent, "", marks.component.join(kind), number]
        fields += [head[11] or "P", head[12] or version]
        if head.charset and codec_of(head.charset, marks.repetition):
            fields += ["", "", "", "", "", head.charset]
        if head.faults:  # a control character would break the frame of the answer
            fields = [CONTROL.sub("", text) for text in fields]
    return marks.field.join([f"MSH{marks.field}{marks.encoding}", *fields])


def _old_error(faults: Sequence[Fault], marks: Marks) -> str:
    """ERR-1 of 2.3 to 2.4: repetitions of segment, sequence, field, and a code as subcomponents."""
    found = []
    for fault in faults:
        what = marks.subcomponent.join([fault.code, _plain(CONDITIONS.get(fault.code, ""), marks), "HL70357"])
        what = what if marks.subcomponent else fault.code
        place = (fault.segment, str(fault.sequence or ""), str(fault.field or ""), what)
        found.append(marks.component.join(place) if marks.component else fault.segment)
    return f"ERR{marks.field}{marks.repetition.join(found if marks.repetition else found[:1])}"


def _error(fault: Fault, marks: Marks) -> str:
    """ERR of 2.5 and later: ERR-2 place, ERR-3 code, ERR-4 severity, ERR-8 text for a person."""
    code = (fault.code, _plain(CONDITIONS.get(fault.code, ""), marks), "HL70357")
    place = marks.component.join(fault.location) if marks.component else fault.segment
    what = marks.component.join(code) if marks.component else fault.code
    return marks.field.join(
        ["ERR", "", place, what, fault.severity, "", "", "", _plain(fault.text[:LONGEST_TEXT], marks)]
    )


def _plain(text: str, marks: Marks) -> str:
    if marks.escape:
        return escape(text, marks)
    return "".join(sign for sign in text if sign not in marks.encoding + marks.field and sign.isprintable())


@dataclass(frozen=True, slots=True)
class Error:
    """One ERR an answer holds: place and code as the other side wrote them."""

    place: str = ""
    code: str = ""
    severity: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The answer to a message of ours: ``control`` is MSA-2, the number of the message it is about."""

    code: Code
    control: str
    text: str
    errors: tuple[Error, ...]
    header: Header
    message: Part

    @property
    def commit(self) -> bool:
        """A commit acknowledgement (CA, CE, CR): kept or not; what became of it comes later."""
        return self.code[0] == "C"

    @property
    def accepted(self) -> bool:
        """AA or CA."""
        return self.code[1] == "A"

    @property
    def repeatable(self) -> bool:
        """AE or CE: the same message may be taken later. AR and CR: never as it is."""
        return self.code[1] == "E"


def read_acknowledgement(data: bytes, *, default: str = DEFAULT_SET) -> Acknowledgement:
    """An ACK, or any other message with an MSA (ORS, ORN, MFK).

    Raises:
        Unreadable: it is no message, has no MSA, two of them, a code we do not know, or an empty MSA-2.
    """
    message = read(data, default=default)
    found = message.all("MSA")
    if len(found) != 1:
        text = "The answer has more than one MSA" if found else "The answer has no MSA"
        raise Unreadable(Fault(SEGMENT_SEQUENCE, "no-acknowledgement", text, "MSA", 1))
    (msa,) = found
    given = msa.value(1).strip()
    code = next((one for one in CODES if one == given), None)
    if code is None:
        raise Unreadable(Fault(TABLE_VALUE, "code-unknown", "MSA-1 is none of AA, AE, AR, CA, CE, CR", "MSA", 1, 1))
    control = msa.raw(2, repetition=0).strip(" ")
    if not control:
        raise Unreadable(Fault(FIELD_MISSING, "field-missing", "MSA-2 names no message", "MSA", 1, 2))
    errors = tuple(error for one in message.all("ERR") for error in _errors(one))
    return Acknowledgement(code, control, msa.value(3).strip(), errors, message.header, message)


def _errors(segment: Segment) -> list[Error]:
    found = []
    for repetition in range(1, len(segment.repetitions(1)) + 1):  # ELD: all of ERR up to 2.4
        parts = [segment.value(1, number, repetition=repetition) for number in (1, 2, 3)]
        code = segment.value(1, 4, 1, repetition=repetition)
        text = segment.value(1, 4, 2, repetition=repetition)
        found.append(Error(_written(parts), code, "", text))
    modern = [segment.value(3, 1), segment.value(4), segment.value(8) or segment.value(7) or segment.value(3, 2)]
    if any(modern) or segment.value(2):
        numbers = [segment.value(2, number) for number in range(1, 7)]
        found.append(Error(_written(numbers), *modern))
    return found


def _written(parts: list[str]) -> str:
    """``PID^1^5`` as the other side counts, in the form of our paths."""
    name, sequence, number, *deeper = (*parts, "", "", "")
    text = name + (f"({sequence})" if sequence not in ("", "1") else "") + (f"-{number}" if number else "")
    repetition, component, subcomponent, *_ = (*deeper, "", "", "")
    text += f"({repetition})" if repetition not in ("", "1") else ""
    return text + "".join(f".{one}" for one in (component, subcomponent) if one)
