"""A CSV file with names over its columns, and the records before and after its rows that count them.

The first row names the columns. A file that begins with an ``H`` record ends with a ``T`` record, and its column names stand
between them: ``H,<number>,<day>[,<rows>[,<control total>]]`` and ``T,<rows>[,<control total>]``. A file that was cut off shows so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Final

from canonical.errors import Malformed
from formats.csv_text import Record, encoded, records

HEADER, TRAILER = "H", "T"
MOST_COLUMNS: Final = 200
_NOT_WORD: Final = re.compile(r"[\s\-./]+")


@dataclass(frozen=True, slots=True)
class Said:
    """What a header or trailer says of the rows: how many, and the sum of a column; None where it does not."""

    record: str
    rows: int | None = None
    total: Decimal | None = None


class Sheet:
    """A file with named columns. It is read again from its bytes each time somebody asks for its rows.

    ``ours`` gives our name for a column's; what a column is called is compared without regard to case, spaces and hyphens.

    Raises:
        Malformed: no column names, a name twice, or a header record that is none.
    """

    def __init__(
        self,
        data: bytes,
        *,
        separator: str = "",
        character_set: str = "",
        decimal_sign: str = ".",
        ours: Callable[[str], str] = lambda name: name,
    ) -> None:
        self._data = data
        self._separator = separator
        self._character_set = character_set
        self._decimal_sign = decimal_sign
        found = records(data, separator=separator, character_set=character_set)
        first = next(found, None)
        self.header: Record | None = None
        if first is not None and _name(first) == HEADER and len(first.cells) > 1:
            self.header, first = first, next(found, None)
        if first is None:
            raise Malformed("the file is empty: it has no column names", path="file", code="data-invalid")
        if first.fault:
            raise _no_names(first, first.fault)
        self.titles = first
        self.names = tuple(_column(ours, cell) for cell in first.cells)
        self._check_names()

    @property
    def number(self) -> str:
        """The file's own number, from its header record."""
        return _cell(self.header, 1) if self.header else ""

    @property
    def made_on(self) -> str:
        """The day the header record names, as it is written there."""
        return _cell(self.header, 2) if self.header else ""

    def _check_names(self) -> None:
        given = [name for name in self.names if name]
        if not given:
            raise _no_names(self.titles, "it names no column")
        if len(self.names) > MOST_COLUMNS:
            raise _no_names(self.titles, f"it has more than {MOST_COLUMNS} columns")
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise _no_names(self.titles, f"the column {', '.join(twice)[:200]} stands in it twice")

    def again(self, rows: Sequence[Record]) -> bytes:
        """Some of its rows as a file of their own under the same column names, byte for byte as its sender wrote them."""
        end = self.titles.end or "\r\n"
        text = "".join(f"{one.text}{one.end or end}" for one in chain((self.titles,), rows))
        return encoded(text, self._data, self._character_set)

    def rows(self) -> Iterator[Record]:
        """The rows, without the names over them and without header and trailer."""
        for record in self._below():
            if self.header is None or _name(record) != TRAILER:
                yield record

    def _below(self) -> Iterator[Record]:
        for record in records(self._data, separator=self._separator, character_set=self._character_set):
            if record.number > self.titles.number:
                yield record

    def check(self, total: str = "", *, required: bool = False) -> int:
        """Count the rows, as header and trailer say, and add up the column ``total``; gives how many rows there are.

        Raises:
            Malformed: a count or total is another one, the trailer is missing or not the last, or there is neither and
                ``required`` says there must be.
        """
        if self.header is None:
            if required:
                raise Malformed("it has no H record: its sender's files are counted", path="H", code="count-mismatch")
            return sum(1 for _ in self.rows())
        column = self.names.index(total) if total in self.names else -1
        count, amount, trailer = 0, Decimal(0), None
        for record in self._below():
            if trailer is not None:
                raise Malformed(
                    f"row {record.number} stands after the T record", path=f"row {record.number}", code="count-mismatch"
                )
            if _name(record) == TRAILER:
                trailer = record
                continue
            count += 1
            amount += _amount(record, column, self._decimal_sign)
        if trailer is None:
            raise Malformed("it is cut off: its T record is missing", path="T", code="count-mismatch")
        for said in (self._said(self.header, 3), self._said(trailer, 1)):
            _compare(said, count, amount, total if column >= 0 else "")
        return count

    def _said(self, record: Record, at: int) -> Said:
        name = _name(record)
        if record.fault:
            raise Malformed(f"row {record.number}: {record.fault}", path=name, code="data-invalid")
        rows, total = _cell(record, at), _cell(record, at + 1)
        if (name == TRAILER and not rows) or (rows and not (rows.isascii() and rows.isdecimal())):
            raise Malformed(f"{name}-{at + 1} is no number of rows", path=f"{name}-{at + 1}", code="data-invalid")
        number = decimal(total, self._decimal_sign) if total else None
        if total and number is None:
            raise Malformed(f"{name}-{at + 2} is no number", path=f"{name}-{at + 2}", code="data-invalid")
        return Said(name, int(rows) if rows else None, number)


def _compare(said: Said, count: int, amount: Decimal, total: str) -> None:
    if said.rows is not None and said.rows != count:
        reason = f"{said.record} says {said.rows} rows, there are {count}"
        raise Malformed(reason, path=said.record, code="count-mismatch")
    if said.total is not None and total and said.total != amount:
        reason = f"{said.record} says that {total} adds up to {said.total:f}, it is {amount:f}"
        raise Malformed(reason, path=said.record, code="count-mismatch")


def decimal(text: str, sign: str = ".") -> Decimal | None:
    """A plain number, exactly as written (``-12.50``); None where it is none: no exponent, no thousands, no blank."""
    if sign == ",":
        if "." in text:  # a thousand with a mark in it, or a fraction by the other habit: a factor of a thousand apart
            return None
        text = text.replace(",", ".")
    digits = text.removeprefix("-").replace(".", "", 1)
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _amount(record: Record, column: int, sign: str) -> Decimal:
    """What a row adds to the control total; one that says no number adds nothing, and is a bad row later."""
    found = decimal(_cell(record, column), sign) if 0 <= column < len(record.cells) else None
    return found or Decimal(0)


def _column(ours: Callable[[str], str], cell: str) -> str:
    """A column's name in the form ours have: the sender's own word for it first, else in small letters with underscores."""
    given = cell.strip()
    return _NOT_WORD.sub("_", ours(given)).strip("_").lower()


def _name(record: Record) -> str:
    return record.cells[0].strip().upper() if record.cells else ""


def _cell(record: Record | None, at: int) -> str:
    return record.cells[at].strip() if record is not None and 0 <= at < len(record.cells) else ""


def _no_names(record: Record, reason: str) -> Malformed:
    return Malformed(f"row {record.number}: {reason}", path=f"row {record.number}", code="data-invalid")
