"""CSV as others write it: encoding, byte order mark, separator, quotes; a row that cannot be cut stands apart from those that can.

RFC 4180, read a row at a time: whatever a file's size, no more of it than one row is held beside its bytes. A quote that does not
end spoils its own row only.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from canonical.errors import Malformed

SEPARATORS: Final = (",", ";", "\t", "|")
LONGEST_ROW: Final = 65_536  # characters
MOST_LINES: Final = 100  # of one row, in a quoted cell
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BYTES_OF_ONE: Final = ("utf-16", "utf-32")  # several to a sign: one wrong byte spoils all that follow


Line = tuple[str, str]  # its text, and what ended it


@dataclass(frozen=True, slots=True)
class Record:
    """A row: its number as a spreadsheet shows it (the first is 1), its cells, and its text as it was sent, with what ended it.

    Bytes of another character set stand in ``text`` as surrogates, so that they can be given back. ``fault`` says why it could
    not be cut into cells; there are none then, or only the first ones.
    """

    number: int
    cells: tuple[str, ...]
    text: str
    fault: str = ""
    end: str = "\n"

    @property
    def empty(self) -> bool:
        """Whether it says nothing at all, as the rows below a table do in a spreadsheet."""
        return not self.fault and not any(cell.strip() for cell in self.cells)


def records(data: bytes, *, separator: str = "", character_set: str = "") -> Iterator[Record]:
    """The rows of a file one after the other, empty ones left out.

    ``separator`` empty: the one of ``, ; tab |`` that stands most often in the first row. ``character_set`` empty: UTF-8; a
    byte order mark says more than either.

    Raises:
        Malformed: the character set is unknown, or the whole text is not in it.
    """
    encoding = encoding_of(data, character_set)
    lines = _Lines(data, encoding)
    number = 0
    while (line := lines.next()) is not None:
        number += 1
        separator = separator or _most_frequent(line[0])
        found = _record(number, line, lines, separator, encoding)
        if not found.empty:
            yield found


def encoding_of(data: bytes, character_set: str = "") -> str:
    """The name of the encoding, as Python has it.

    Raises:
        Malformed: nobody knows it, or the text is UTF-16 and does not say so.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    try:
        encoding = codecs.lookup(character_set or "utf-8").name
    except LookupError:
        raise Malformed(f"nobody knows the character set {character_set[:40]}", path="file", code="encoding") from None
    if b"\x00" in data[:4] and not encoding.startswith(_BYTES_OF_ONE):
        reason = "it begins with NUL bytes: UTF-16 needs its byte order mark, or its name in the sender's row"
        raise Malformed(reason, path="file", code="encoding")
    return encoding


def encoded(text: str, data: bytes, character_set: str = "") -> bytes:
    """Text of a file in that file's own encoding, with its byte order mark: as its sender would have written it alone."""
    encoding = encoding_of(data, character_set)
    mark = next((mark for mark, _ in _BOMS if data.startswith(mark)), b"")
    named = {codecs.BOM_UTF16_BE: "utf-16-be", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF8: "utf-8"}
    named |= {codecs.BOM_UTF32_BE: "utf-32-be", codecs.BOM_UTF32_LE: "utf-32-le"}
    errors = "strict" if encoding.startswith(_BYTES_OF_ONE) else "surrogateescape"
    return mark + text.encode(named.get(mark, encoding), errors)


class _Lines:
    """The lines of a file, whatever ends them; what was read too far can be given back."""

    def __init__(self, data: bytes, encoding: str) -> None:
        errors = "strict" if encoding.startswith(_BYTES_OF_ONE) else "surrogateescape"
        self._text = io.TextIOWrapper(io.BytesIO(data), encoding=encoding, errors=errors, newline="")
        self._again: deque[Line] = deque()
        self._encoding = encoding

    def next(self) -> Line | None:
        if self._again:
            return self._again.popleft()
        try:
            line = self._text.readline()
        except UnicodeError:
            raise Malformed(f"the text is not {self._encoding}", path="file", code="encoding") from None
        text = line.removesuffix("\n").removesuffix("\r")
        return (text, line[len(text) :]) if line else None

    def give_back(self, lines: Iterable[Line]) -> None:
        self._again.extendleft(reversed(list(lines)))


def _record(number: int, line: Line, lines: _Lines, separator: str, encoding: str) -> Record:
    (text, end), fault = line, ""
    cells = tuple(text.split(separator))
    if '"' in text and len(text) <= LONGEST_ROW:
        text, end, cells, fault = _quoted(line, lines, separator)
    if len(text) > LONGEST_ROW:
        return Record(number, cells[:1], text[:LONGEST_ROW], f"it is longer than {LONGEST_ROW} characters", end)
    if not text.isascii() and any("\udc80" <= sign <= "\udcff" for sign in text):
        return Record(number, _printable(cells), text, f"it has bytes that are not {encoding}", end)
    if "\x00" in text:
        return Record(number, _printable(cells), text, "it has a NUL in it", end)
    return Record(number, cells, text, fault, end)


def _quoted(line: Line, lines: _Lines, separator: str) -> tuple[str, str, tuple[str, ...], str]:
    """A row with quotes in it, which may go on in the lines after it."""
    taken = [line]

    def feed() -> Iterator[str]:
        yield line[0] + "\n"
        while len(taken) < MOST_LINES and (more := lines.next()) is not None:
            taken.append(more)
            yield more[0] + "\n"

    try:
        cells = next(csv.reader(feed(), delimiter=separator, strict=True))
    except csv.Error as wrong:
        lines.give_back(taken[1:])  # the next rows are not spoilt by it
        ends = "end of data" in str(wrong)
        fault = "a quote in it does not end" if ends else f"its quotes are not as in CSV ({wrong})"
        return *line, tuple(line[0].split(separator)), fault
    whole = "".join(text + end for text, end in taken)
    return whole[: len(whole) - len(taken[-1][1])], taken[-1][1], tuple(cells), ""


def _printable(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(_shown(cell) for cell in cells)


def _shown(text: str) -> str:
    """Text that can be written again: what could not be read is marked."""
    return "".join("\ufffd" if "\udc80" <= sign <= "\udcff" else sign for sign in text)


def _most_frequent(line: str) -> str:
    """The separator that stands most often in a line; a comma where none does."""
    return max(SEPARATORS, key=line.count)


def write(rows: Iterable[Sequence[str]], *, separator: str = ",") -> bytes:
    """Rows as CSV: UTF-8, lines ending in CR LF. A cell a spreadsheet would take for a formula gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    for row in rows:
        writer.writerow([f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell for cell in row])
    return text.getvalue().encode("utf-8", "replace")
