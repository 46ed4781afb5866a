"""Reads and writes FHIR's JSON without losing a digit: 1.10 stays 1.10, whatever its length; what is ambiguous is refused.

FHIR R4B and R5, chapter "JSON representation": UTF-8 without a byte order mark, no name twice in an object, no null outside a list of
values with extensions, nothing empty. A number keeps the letters it was written in.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeAlias

from formats.fhir_issues import Issue, Unreadable

Tree: TypeAlias = dict[str, Any]
"""A JSON object: of dict, list, str, bool, None, int and :class:`Exact`."""

LONGEST_NUMBER: Final = 100  # signs: many times what a hospital counts, and no more than can be computed with
DEEPEST: Final = 40
NAME: Final = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")  # what an element can be called
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_LONE: Final = json.JSONEncoder(ensure_ascii=False).encode


class Exact(Decimal):
    """A number as it was written: ``text`` has its trailing zeros and its exponent."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Exact:
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __reduce__(self) -> tuple[type[Exact], tuple[str]]:
        return Exact, (self.text,)


class Written(str):
    """JSON that was written before: it goes into what is written as it is."""

    __slots__ = ()


def parse(data: bytes) -> Tree:
    """The one JSON object of a document.

    Raises:
        Unreadable: no UTF-8, no JSON, a name twice, something empty or null, a number too long, nested too deep. What was sent is
            not repeated, but for names of elements.
    """
    if data[:3] == b"\xef\xbb\xbf":
        _refuse("The JSON begins with a byte order mark: send UTF-8 without one")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        _refuse(f"This is not UTF-8 (byte {wrong.start})")
    try:
        tree = json.loads(
            text, object_pairs_hook=_once, parse_float=_number, parse_int=_whole, parse_constant=_no_number
        )
    except json.JSONDecodeError as wrong:
        _refuse(f"This is not JSON: {wrong.msg} (line {wrong.lineno}, column {wrong.colno})")
    except RecursionError:
        _refuse("The JSON is nested too deep")
    if not isinstance(tree, dict):
        _refuse("A resource is a JSON object")
    _sound(tree, "", 0)
    return tree


def write(value: Any) -> bytes:
    """The same JSON, each number in the letters it came in."""
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts).encode()


def same(one: Any, other: Any) -> bool:
    """Whether two trees say the same: names in any order, numbers letter by letter."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Exact | int) or isinstance(other, Exact | int):
        return type(one) is type(other) and _digits(one) == _digits(other)
    return bool(one == other)


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, dict):
        for number, (name, item) in enumerate(value.items()):
            parts.append(f"{',' if number else '{'}{_LONE(name)}:")
            _write(item, parts)
        parts.append("}" if value else "{}")
    elif isinstance(value, list):
        parts.append("[")
        for number, item in enumerate(value):
            if number:
                parts.append(",")
            _write(item, parts)
        parts.append("]")
    elif isinstance(value, Exact):
        parts.append(value.text)
    elif isinstance(value, Written):
        parts.append(value)
    else:
        parts.append(_LONE(value))


def _digits(number: Any) -> str:
    return number.text if isinstance(number, Exact) else str(number)


def _once(pairs: list[tuple[str, Any]]) -> Tree:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        _refuse(f"{twice if NAME.fullmatch(twice) else 'A name'} stands twice in one object", code="structure")
    return found


def _number(text: str) -> Exact:
    number = Exact(text) if len(text) <= LONGEST_NUMBER else None
    if number is None or abs(number.adjusted()) > LONGEST_NUMBER:
        _refuse(f"A number has more than {LONGEST_NUMBER} places", code="value")
    return number


def _whole(text: str) -> int | Exact:
    if len(text) > LONGEST_NUMBER:
        _refuse(f"A number has more than {LONGEST_NUMBER} places", code="value")
    return Exact(text) if text == "-0" else int(text)


def _no_number(_: str) -> NoReturn:
    _refuse("NaN and Infinity are no JSON", code="value")


def _sound(value: Any, path: str, depth: int) -> None:
    """Nothing empty, nothing null but in a list beside its extensions, no sign that is no text."""
    if depth > DEEPEST:
        _refuse("The JSON is nested too deep")
    if isinstance(value, dict):
        if not value:
            _refuse("An object is empty", path)
        for name, item in value.items():
            if not NAME.fullmatch(name):
                _refuse("A name is none an element can have", path)
            _sound(item, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list):
        if not value or all(item is None for item in value):
            _refuse("A list is empty", path)
        for number, item in enumerate(value):
            if item is not None:
                _sound(item, f"{path}[{number}]", depth + 1)
    elif value is None:
        _refuse("null stands for nothing here: leave the element out", path)
    elif isinstance(value, str) and (not value.strip() or _NOT_TEXT.search(value)):
        _refuse("A text is empty, or holds a sign that is none", path, code="value")


def _refuse(text: str, path: str = "", *, code: str = "structure") -> NoReturn:
    raise Unreadable(Issue(code, text, path))
