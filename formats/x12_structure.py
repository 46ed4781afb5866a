"""Walks one document along its kind's structure and says which segments and elements are wrong, with their places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from formats.x12_segments import CODES, Element, definitions
from formats.x12_sets import Place, segment_names, structure
from formats.x12_text import Document, Segment
from formats.x12_values import calendar_day, clock

LIMIT = 200  # errors per document: beyond, nobody reads them and the 997 only grows
SEGMENT_WORDS = {
    "1": "unknown segment",
    "2": "unexpected segment",
    "3": "mandatory segment missing",
    "4": "loop occurs too often",
    "5": "segment occurs too often",
    "6": "segment is not of this kind of document",
    "7": "segment out of order",
    "8": "elements in error",
}
ELEMENT_WORDS = {
    "1": "mandatory element missing",
    "2": "element missing, others require it",
    "3": "too many elements",
    "4": "too short",
    "5": "too long",
    "6": "invalid character",
    "7": "unknown code",
    "8": "not a date",
    "9": "not a time",
    "10": "excluded by another element",
}


@dataclass(frozen=True, slots=True)
class ElementError:
    """An AK4: which element, its data element number, the code, and what was sent (where that may be repeated)."""

    number: int
    reference: str
    code: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class SegmentError:
    """An AK3: which segment, where it stands (ST is 1), in which loop, the code, and its elements' errors."""

    name: str
    position: int
    code: str
    loop: str = ""
    elements: tuple[ElementError, ...] = ()

    @property
    def words(self) -> list[str]:
        """What is wrong, with the place, for a person; never the value, which may be a name."""
        place = f"{self.name} at {self.position}"
        if not self.elements:
            return [f"{place}: {SEGMENT_WORDS[self.code]}"]
        return [f"{place}, {self.name}{one.number:02}: {ELEMENT_WORDS[one.code]}" for one in self.elements]


@dataclass(slots=True)
class _Level:
    places: tuple[Place, ...]
    loop: str = ""
    at: int = 0
    counts: dict[int, int] = field(default_factory=dict)

    def missing(self, until: int, position: int) -> Iterator[SegmentError]:
        """Mandatory places before ``until`` that nothing has filled."""
        for index in range(self.at, until):
            place = self.places[index]
            if place.mandatory and not self.counts.get(index):
                yield SegmentError(place.name, position, "3", self.loop)


def examine(document: Document) -> list[SegmentError]:
    """Everything wrong with the segments of a document, in their order."""
    errors: list[SegmentError] = []
    for error in _walk(document):
        errors.append(error)
        if len(errors) >= LIMIT:
            break
    return errors


def _walk(document: Document) -> Iterator[SegmentError]:
    places = structure(document.code)
    assert places is not None
    levels = [_Level(places)]
    here = segment_names(document.code)
    last = 0
    for segment in document.segments:
        last = segment.position
        if segment.name not in definitions():
            yield SegmentError(segment.name[:3], segment.position, "1", levels[-1].loop)
            continue
        if segment.name not in here:
            yield SegmentError(segment.name, segment.position, "6", levels[-1].loop)
            continue
        yield from _step(levels, segment)
        elements = tuple(_element_errors(segment))
        if elements:
            yield SegmentError(segment.name, segment.position, "8", levels[-1].loop, elements)
    if document.trailer is None:  # said once, by AK502 2
        return
    for level in reversed(levels):
        yield from level.missing(len(level.places), last)


def _step(levels: list[_Level], segment: Segment) -> Iterator[SegmentError]:
    """Find the segment's place: in the innermost loop first, forward, then in the loops around it."""
    too_often: tuple[int, int] | None = None
    for depth in range(len(levels) - 1, -1, -1):
        level = levels[depth]
        for index in range(level.at, len(level.places)):
            if level.places[index].name != segment.name:
                continue
            if level.counts.get(index, 0) < level.places[index].most:
                yield from _enter(levels, depth, index, segment)
                return
            too_often = too_often or (depth, index)
    if too_often is not None:
        depth, index = too_often
        place = levels[depth].places[index]
        yield SegmentError(segment.name, segment.position, "4" if place.is_loop else "5", levels[depth].loop)
        yield from _enter(levels, depth, index, segment)
        return
    passed = any(place.name == segment.name for level in levels for place in level.places[: level.at])
    yield SegmentError(segment.name, segment.position, "7" if passed else "2", levels[-1].loop)


def _enter(levels: list[_Level], depth: int, index: int, segment: Segment) -> Iterator[SegmentError]:
    for inner in reversed(levels[depth + 1 :]):
        yield from inner.missing(len(inner.places), segment.position)
    del levels[depth + 1 :]
    level = levels[depth]
    yield from level.missing(index, segment.position)
    level.at = index
    level.counts[index] = level.counts.get(index, 0) + 1
    place = level.places[index]
    if place.is_loop:
        levels.append(_Level(place.children, place.loop))


def _element_errors(segment: Segment) -> Iterator[ElementError]:
    definition = definitions()[segment.name]
    for number, element in enumerate(definition.elements, start=1):
        value = segment[number]
        if not value.strip():
            if element.mandatory:
                yield ElementError(number, element.reference, "1")
            continue
        code = _fault(element, value)
        if code:
            yield ElementError(number, element.reference, code, "" if code == "6" else value)
    beyond = next((at for at in range(len(definition.elements), len(segment.elements)) if segment.elements[at]), None)
    if beyond is not None:
        yield ElementError(beyond + 1, "", "3")
    for kind, numbers in definition.notes:
        yield from _note(segment, kind, numbers, definition.elements)


def _fault(element: Element, value: str) -> str:
    """The AK403 code of what is wrong with a value, empty where nothing is."""
    if not value.isprintable():
        return "6"
    bad = _KINDS.get(element.kind, "")
    size = len(value.lstrip("-").replace(".", "", 1)) if element.kind in ("R", "N0", "N2") else len(value)
    if bad and not re.fullmatch(bad, value):
        return {"DT": "8", "TM": "9"}.get(element.kind, "6")
    if size < element.shortest:
        return "4"
    if size > element.longest:
        return "5"
    if element.kind == "DT" and calendar_day(value) is None:
        return "8"
    if element.kind == "TM" and clock(value) is None:
        return "9"
    if value not in CODES.get(element.reference, (value,)):
        return "7"
    return ""


_KINDS = {
    "N0": r"-?[0-9]+",
    "N2": r"-?[0-9]+",
    "R": r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)",
    "ID": r"[A-Z0-9]+",
    "DT": r"[0-9]+",
    "TM": r"[0-9]+",
}


def _note(
    segment: Segment, kind: str, numbers: tuple[int, ...], elements: tuple[Element, ...]
) -> Iterator[ElementError]:
    """The syntax notes of X12.6: which elements need or exclude each other."""
    there = [number for number in numbers if segment[number].strip()]
    absent = [number for number in numbers if number not in there]
    missing: list[int] = []
    if (kind == "P" and there) or (kind == "C" and numbers[0] in there):
        missing = absent
    elif (kind == "R" and not there) or (kind == "L" and there == [numbers[0]]):
        missing = absent[:1]
    for number in missing:
        yield ElementError(number, elements[number - 1].reference, "2")
    if kind == "E":
        for number in there[1:]:
            yield ElementError(number, elements[number - 1].reference, "10")
