"""Cuts an HL7 message into segments, fields, repetitions and components, without judging it and without losing anything.

The bytes are kept as they came and never written anew. What would be lost in silence elsewhere is refused here with its
place: two messages glued together, a line that is no segment, a name in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from formats import hl7_values as values
from formats.hl7_faults import FIELD_MISSING, SEGMENT_SEQUENCE, Fault, Unreadable, place
from formats.hl7_header import Header, header
from formats.hl7_text import DEFAULT_SET, NULL, Marks, decoded, unescape, wide

WITH_MARKS = ("MSH", "FHS", "BHS")  # their first field is the separator itself
_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\((?P<sequence>[1-9]\d*)\))?"
    r"(?:-(?P<field>[1-9]\d*)(?:\((?P<repetition>[1-9]\d*)\))?(?:\.(?P<component>[1-9]\d*)(?:\.(?P<subcomponent>[1-9]\d*))?)?)?"
)


class Path(NamedTuple):
    """A place such as ``OBX(2)-5(1).1``; 0 where the text does not name a number."""

    segment: str
    sequence: int
    field: int
    repetition: int
    component: int
    subcomponent: int


@lru_cache(maxsize=2048)
def path(text: str) -> Path:
    """A path as feeds write it.

    Raises:
        ValueError: it is none; a mistake of ours, not of a sender.
    """
    found = _PATH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no path such as PID-3(1).1")
    numbers = found.groupdict()
    return Path(found["segment"], *(int(numbers[name] or 0) for name in Path._fields[1:]))


class Segment:
    """One segment: ``position`` counts the segments of the message, ``sequence`` those of its name, both from 1."""

    __slots__ = ("_fields", "codec", "marks", "name", "position", "sequence", "text")

    def __init__(self, text: str, position: int, sequence: int, marks: Marks, codec: str) -> None:
        self.text = text
        self.name = text[:3]
        self.position = position
        self.sequence = sequence
        self.marks = marks
        self.codec = codec
        self._fields: list[str] | None = None

    def __repr__(self) -> str:
        return f"<{place(self.name, self.sequence)}>"  # never its text: logs hold no patient

    @property
    def fields(self) -> list[str]:
        """Wire text by field number; ``fields[0]`` is the name. Of MSH, field 1 is the separator itself."""
        found = self._fields
        if found is None:
            found = self.text.split(self.marks.field)
            if self.name in WITH_MARKS:
                found.insert(1, self.marks.field)
            self._fields = found
        return found

    def repetitions(self, field: int) -> list[str]:
        """The repetitions of a field as wire text; none where it was not sent."""
        fields = self.fields
        text = fields[field] if field < len(fields) else ""
        if not text:
            return []
        if not self.marks.repetition or (field < 3 and self.name in WITH_MARKS):
            return [text]
        return text.split(self.marks.repetition)

    def raw(self, field: int, component: int = 0, subcomponent: int = 0, *, repetition: int = 1) -> str:
        """Wire text at a place, with the separators of the levels below it; empty where nothing was sent.

        Repetition 0 is the field as it came, with all its repetitions.
        """
        if field == 0:
            return self.name
        if repetition == 0:
            return self.fields[field] if field < len(self.fields) else ""
        found = self.repetitions(field)
        if repetition > len(found):
            return ""
        text = _part(found[repetition - 1], self.marks.component, component)
        return _part(text, self.marks.subcomponent, subcomponent)

    def value(self, field: int, component: int = 0, subcomponent: int = 0, *, repetition: int = 1) -> str:
        """Text at a place, escapes undone; empty where nothing was sent or where it is null (see ``is_null``)."""
        return self._plain(self.raw(field, component, subcomponent, repetition=repetition))

    def required(self, field: int, component: int = 1, subcomponent: int = 0, *, repetition: int = 1) -> str:
        """Text at a place that must hold some. Raises Unreadable where nothing was sent, or null."""
        text = self.value(field, component, subcomponent, repetition=repetition)
        if not text.strip():
            where = (self.name, self.sequence, field, repetition, component, subcomponent)
            raise Unreadable(Fault(FIELD_MISSING, "field-missing", f"{place(*where)} is required", *where))
        return text

    def is_null(self, field: int, component: int = 0, subcomponent: int = 0, *, repetition: int = 1) -> bool:
        """The sender says that there is no value any more (``""``), unlike a field that was not sent."""
        return self.raw(field, component, subcomponent, repetition=repetition) == NULL

    def number(self, field: int, component: int = 1, subcomponent: int = 1, *, repetition: int = 1) -> Decimal | None:
        """An NM, None where it was not sent. Raises Unreadable where it is no number."""
        text = self.value(field, component, subcomponent, repetition=repetition)
        return values.number(text, self._at(field, repetition, component, subcomponent)) if text else None

    def whole(self, field: int, component: int = 1, subcomponent: int = 1, *, repetition: int = 1) -> int | None:
        """An SI, None where it was not sent. Raises Unreadable where it is no whole number."""
        text = self.value(field, component, subcomponent, repetition=repetition)
        return values.whole(text, self._at(field, repetition, component, subcomponent)) if text else None

    def day(self, field: int, component: int = 1, subcomponent: int = 1, *, repetition: int = 1) -> date | None:
        """The day of a DT, TS or DTM, None where it was not sent. Raises Unreadable where there is no such day."""
        text = self.value(field, component, subcomponent, repetition=repetition)
        return values.day(text, self._at(field, repetition, component, subcomponent)) if text else None

    def moment(
        self, field: int, component: int = 1, subcomponent: int = 1, *, repetition: int = 1
    ) -> values.Moment | None:
        """A TS or DTM, None where it was not sent. Raises Unreadable where there is no such time."""
        text = self.value(field, component, subcomponent, repetition=repetition)
        return values.moment(text, self._at(field, repetition, component, subcomponent)) if text else None

    def money(self, field: int, *, repetition: int = 1) -> values.Price | None:
        """An MO (``12.50^USD``), None where it was not sent. Raises Unreadable where the amount is no number."""
        return self._price(field, repetition, (1, 1), (2, 1))

    def price(self, field: int, *, repetition: int = 1) -> values.Price | None:
        """A CP (``12.50&USD^UP``), None where it was not sent. Raises Unreadable where the amount is no number."""
        return self._price(field, repetition, (1, 1), (1, 2))

    def _price(
        self, field: int, repetition: int, amount: tuple[int, int], currency: tuple[int, int]
    ) -> values.Price | None:
        text = self.value(field, *amount, repetition=repetition)
        unit = self.value(field, *currency, repetition=repetition)
        return values.price(text, unit, self._at(field, repetition, *amount)) if text or unit else None

    def _at(self, field: int, repetition: int, component: int, subcomponent: int) -> Fault:
        return Fault("", "", "", self.name, self.sequence, field, repetition, component, subcomponent)

    def _plain(self, raw: str) -> str:
        if raw == NULL:
            return ""
        return unescape(raw, self.marks, self.codec)


def _part(text: str, mark: str, number: int) -> str:
    """Part ``number`` of a text. Without a mark in it, all of it is the first part."""
    if number == 0:
        return text
    if not mark or mark not in text:
        return text if number == 1 else ""
    parts = text.split(mark)
    return parts[number - 1] if number <= len(parts) else ""


class Part:
    """Some segments of a message in their order: the whole of it, or one of its groups."""

    __slots__ = ("segments",)

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = tuple(segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def all(self, name: str) -> list[Segment]:
        """Every segment of a name here."""
        return [one for one in self.segments if one.name == name]

    def first(self, name: str) -> Segment | None:
        """The first segment of a name here, None where there is none."""
        return next((one for one in self.segments if one.name == name), None)

    def groups(self, *firsts: str, until: Iterable[str] = ()) -> list[Part]:
        """Groups by the segment they begin with: each ``ORC`` with what follows it, up to the next or to one of ``until``."""
        stops = frozenset(until)
        found: list[list[Segment]] = []
        inside = False
        for one in self.segments:
            if one.name in firsts:
                found.append([])
                inside = True
            elif one.name in stops:
                inside = False
            if inside:
                found[-1].append(one)
        return [Part(group) for group in found]

    def raw(self, text: str) -> str:
        """Wire text at a path (``PID-3(1).1``), empty where nothing was sent."""
        at = path(text)
        segment = self._segment(at)
        return segment.raw(at.field, at.component, at.subcomponent, repetition=at.repetition or 1) if segment else ""

    def value(self, text: str) -> str:
        """Text at a path, escapes undone; empty where nothing was sent or where it is null.

        A path that stops at a field or component gives all of it, separators of lower levels included: nothing is cut off.
        """
        at = path(text)
        segment = self._segment(at)
        return segment.value(at.field, at.component, at.subcomponent, repetition=at.repetition or 1) if segment else ""

    def values(self, text: str) -> list[str]:
        """Text at a path of every repetition, in every segment of that name, that the path does not number."""
        at = path(text)
        found = []
        for segment in self._named(at):
            count = len(segment.repetitions(at.field))
            for repetition in [at.repetition] if at.repetition else range(1, count + 1):
                found.append(segment.value(at.field, at.component, at.subcomponent, repetition=repetition))
        return [one for one in found if one]

    def is_null(self, text: str) -> bool:
        """The sender says that there is no value any more (``""``), unlike a field that was not sent."""
        return self.raw(text) == NULL

    def _named(self, at: Path) -> list[Segment]:
        found = self.all(at.segment)
        return found[at.sequence - 1 : at.sequence] if at.sequence else found

    def _segment(self, at: Path) -> Segment | None:
        found = self._named(at)
        return found[0] if found else None


class Message(Part):
    """A whole message: its header, its segments, and ``data``, the very bytes it came as."""

    __slots__ = ("data", "header")

    def __init__(self, data: bytes, head: Header, segments: Iterable[Segment]) -> None:
        super().__init__(segments)
        self.data = data
        self.header = head


def read(data: bytes, *, default: str = DEFAULT_SET, head: Header | None = None) -> Message:
    """A message from its bytes; ``head`` where its header was read already.

    Segments may end with CR, LF or CRLF; a line break within a field of a message whose segments end with CR is data.

    Raises:
        Unreadable: there is no header, the character set does not fit, or something in it is not a segment of one message.
    """
    head = head or header(data, default=default)
    for fault in head.faults:
        if fault.kind == "character-set":
            raise Unreadable(fault)
    codec, mark = wide(data)
    text = decoded(data, codec or head.codec, mark)
    marks = head.marks
    if text.count(f"MSH{marks.field}{marks.encoding}{marks.field}") > 1:
        raise Unreadable(_glued(2))
    counted: dict[str, int] = {}
    segments = []
    is_segment = _starts(marks.field).match
    for position, line in enumerate(lines(text, marks.field), start=1):
        name = line[:3]
        if not is_segment(line):
            raise Unreadable(_no_segment(line, position))
        sequence = counted[name] = counted.get(name, 0) + 1
        segments.append(Segment(line, position, sequence, marks, head.codec))
    for name in _ALONE & counted.keys():
        if name != "MSH" or counted[name] > 1:
            raise Unreadable(_glued(counted[name]) if name == "MSH" else _batched(name))
    return Message(data, head, segments)


def lines(text: str, field: str) -> list[str]:
    """The segments of a text, blank lines left out, whatever their ends are."""
    if "\r" not in text:
        return [line for line in text.split("\n") if line.strip(_BLANK)]
    text = text.replace("\r\n", "\r")
    if "\n" in text:
        text = _only_cr(text, field)
    return [line for line in text.split("\r") if line.strip(_BLANK)]


_BLANK = " \t\r\n"
_ALONE = frozenset({"MSH", "FHS", "BHS", "BTS", "FTS"})


_BREAKS = re.compile(r"[\r\n]+")


def _only_cr(text: str, field: str) -> str:
    """A line feed beside a CR, at the end, or before a segment ends a segment; any other is within a field."""
    is_segment = _starts(field).match

    def one(found: re.Match[str]) -> str:
        end = found.end()
        ends = "\r" in found[0] or end == len(text) or is_segment(text, end)
        return "\r" if ends else found[0]

    return _BREAKS.sub(one, text)


@lru_cache(maxsize=64)
def _starts(field: str) -> re.Pattern[str]:
    return re.compile(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(field)}|\Z)")


def _no_segment(line: str, position: int) -> Fault:
    name = line[:3]
    if name.isascii() and name.isalnum() and name[:1].isalpha() and name != name.upper() and not line[3:4].isalnum():
        text = f"Segment {position} has a name in lower case"
    else:
        text = f"Line {position} is not a segment"
    return Fault(SEGMENT_SEQUENCE, "not-a-segment", text, "MSH", 1)


def _glued(sequence: int) -> Fault:
    return Fault(SEGMENT_SEQUENCE, "glued", "Two messages came as one: there is a second MSH", "MSH", sequence)


def _batched(name: str) -> Fault:
    text = f"A {name} segment of a batch stands within a message"
    return Fault(SEGMENT_SEQUENCE, "batch-segment", text, name, 1)
