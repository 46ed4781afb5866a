"""Writes HL7 messages: values become wire text with their marks escaped, empty fields at the end are left out.

Only what we say ourselves is written; a message received is forwarded as its bytes. HL7 v2 chapter 2.6 and 2.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from formats.hl7_faults import DATA_TYPE, FIELD_MISSING, TABLE_VALUE, Fault, Unreadable
from formats.hl7_text import DEFAULT_SET, NULL, STANDARD, Marks, codec_of, encoded, escape
from formats.hl7_values import Moment, as_moment, as_number


class Null:
    """``""``: there is no value any more."""


Scalar = str | int | Decimal | date | Moment | Null | None
Component = Scalar | tuple[Scalar, ...]  # a tuple holds subcomponents
Repetition = Scalar | tuple[Component, ...]  # a tuple holds components
Field = Repetition | list[Repetition]  # a list holds repetitions


def segment(name: str, fields: Mapping[int, Field] | Sequence[Field], marks: Marks = STANDARD) -> str:
    """One segment as wire text, without its end.

    ``fields`` are by number, or in order from field 1. A tuple is components (within one: subcomponents), a list repetitions.

    Raises:
        Unreadable: a value that the marks cannot say, or a number below 1.
    """
    by_number = dict(fields) if isinstance(fields, Mapping) else dict(enumerate(fields, start=1))
    if any(number < 1 for number in by_number):
        raise Unreadable(Fault(DATA_TYPE, "not-writable", f"{name} has no field 0", name, 1))
    last = max(by_number, default=0)
    texts = [_field(by_number.get(number), marks) for number in range(1, last + 1)]
    while texts and not texts[-1]:
        texts.pop()
    return marks.field.join([name, *texts])


def header_segment(fields: Mapping[int, Field], marks: Marks = STANDARD) -> str:
    """MSH as wire text from its fields by number; MSH-1 and MSH-2 are the marks."""
    rest = segment("MSH", {number - 2: value for number, value in fields.items() if number > 2}, marks)
    return f"MSH{marks.field}{marks.encoding}{rest[3:]}"


def write(segments: Iterable[str], *, charset: str = "", default: str = DEFAULT_SET) -> bytes:
    """A message from its segments' wire text; every segment ends with CR. ``charset`` is what its MSH-18 says.

    Raises:
        Unreadable: there is no MSH first, or a character that the set does not hold.
    """
    texts = list(segments)
    if not texts or texts[0][:3] != "MSH":
        raise Unreadable(Fault(FIELD_MISSING, "no-header", "A message begins with MSH", "MSH", 1))
    codec = codec_of(charset or default, "~")
    if not codec:
        raise Unreadable(Fault(TABLE_VALUE, "character-set", "There is no codec for the character set", "MSH", 1, 18))
    return encoded("".join(f"{text}\r" for text in texts), codec)


def _field(value: Field, marks: Marks) -> str:
    if isinstance(value, list):
        if len(value) > 1 and not marks.repetition:
            raise Unreadable(Fault(DATA_TYPE, "not-writable", "MSH-2 names no repetition separator", "MSH", 1, 2))
        return marks.repetition.join(_repetition(one, marks) for one in value)
    return _repetition(value, marks)


def _repetition(value: Repetition, marks: Marks) -> str:
    if isinstance(value, tuple):
        return _joined([_component(one, marks) for one in value], marks.component)
    return _scalar(value, marks)


def _component(value: Component, marks: Marks) -> str:
    if isinstance(value, tuple):
        return _joined([_scalar(one, marks) for one in value], marks.subcomponent)
    return _scalar(value, marks)


def _joined(texts: list[str], mark: str) -> str:
    while texts and not texts[-1]:
        texts.pop()
    if len(texts) > 1 and not mark:
        raise Unreadable(Fault(DATA_TYPE, "not-writable", "MSH-2 names no separator for this level", "MSH", 1, 2))
    return mark.join(texts)


def _scalar(value: Scalar, marks: Marks) -> str:
    if value is None:
        return ""
    if isinstance(value, Null):
        return NULL
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise Unreadable(Fault(DATA_TYPE, "not-writable", "An NM is a finite number"))
        return as_number(value)
    if isinstance(value, Moment):
        return as_moment(value.at, value.precision)
    if isinstance(value, datetime):
        return as_moment(value)
    if isinstance(value, date):
        return f"{value.year:04}{value:%m%d}"
    return escape(str(value), marks)
