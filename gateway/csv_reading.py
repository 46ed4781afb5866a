"""Reads a CSV file by its feed: first whether it is whole, then thing by thing, each read or set apart with what is wrong.

Nothing of a file is held but its bytes and the rows of the thing at hand, so its size costs time and not memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from canonical.base import Canonical, in_words
from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from formats.csv_sheet import Sheet
from formats.csv_text import Record
from gateway.csv_rows import LONGEST_TITLE, CsvFeed, Row, RowFault, fault_of
from gateway.mapping import Tongue

MOST_UNREAD: Final = 20  # columns nobody reads that a file's result names


@dataclass(frozen=True)
class Part:
    """A thing of the file: what its rows say, or what is wrong with them."""

    rows: tuple[Record, ...]
    noun: Canonical | None = None
    faults: tuple[RowFault, ...] = field(default=())

    @property
    def first(self) -> int:
        """The number of its first row."""
        return self.rows[0].number


class CsvFile:
    """A file of one sender, read by one feed.

    Raises:
        Malformed: it cannot be read at all: its encoding, its column names, or a column the feed needs is not there.
    """

    def __init__(self, data: bytes, feed: CsvFeed, sender: Sender, mappings: Mappings) -> None:
        self.feed = feed
        self._sender = sender
        self._tongue = Tongue(sender, mappings)
        self.sheet = Sheet(
            data,
            separator=sender.separator,
            character_set=sender.character_set,
            decimal_sign=sender.decimal_sign,
            ours=lambda name: mappings.of("column", name),
        )
        if lacking := feed.missing(self.sheet.names):
            place = f"row {self.sheet.titles.number}"
            raise Malformed(f"{place}: it has no column {lacking}", path=place, code="data-invalid")
        self._meant = feed.meant(self.sheet.names)

    @property
    def unread(self) -> tuple[str, ...]:
        """Columns nobody reads, the first of them: what is misspelt stands among them."""
        said = self.feed.unread(self.sheet.names)[:MOST_UNREAD]
        return tuple("".join(sign if sign.isprintable() else "?" for sign in one[:LONGEST_TITLE]) for one in said)

    def check(self) -> int:
        """Whether it is whole, by its counts; gives how many rows it has.

        Raises:
            Malformed: it has other rows than it says, or none.
        """
        rows = self.sheet.check(self.feed.total, required=self._sender.counts == "required")
        if not rows:
            raise Malformed("it has column names and no row", path="file", code="data-invalid")
        return rows

    def parts(self) -> Iterator[Part]:
        """Everything in it, in the order in which the last row of each stands."""
        return self._groups() if self.feed.group else ((self._part((record,))) for record in self.sheet.rows())

    def alone(self, part: Part) -> bytes:
        """The rows of a part as a file of their own."""
        return self.sheet.again(part.rows)

    def cells(self, part: Part) -> Iterator[tuple[str, str]]:
        """What each cell of a part says, by its row in the file and our name of its column."""
        for record in part.rows:
            for place, cell in enumerate(record.cells):
                name = self.sheet.names[place] if place < len(self.sheet.names) else ""
                yield f"row {record.number} {name or f'cell {place + 1}'}", cell.strip()

    def _groups(self) -> Iterator[Part]:
        """Rows with the same name go together, wherever they stand; one without a name is alone."""
        left = Counter(name for record in self.sheet.rows() if (name := self._group(record)))
        held: dict[str, list[Record]] = {}
        for record in self.sheet.rows():
            name = self._group(record)
            if not name:
                yield self._part((record,))
                continue
            held.setdefault(name, []).append(record)
            left[name] -= 1
            if not left[name]:
                yield self._part(tuple(held.pop(name)))

    def _group(self, record: Record) -> str:
        place = self.sheet.names.index(self.feed.group)
        return record.cells[place].strip() if place < len(record.cells) else ""

    def _part(self, records: tuple[Record, ...]) -> Part:
        faults = [one for record in records if (one := self._uncut(record)) is not None]
        if faults:
            return Part(records, faults=tuple(faults))
        rows = [self._row(record) for record in records]
        try:
            return Part(records, self.feed.read(rows, self._tongue))
        except Malformed as wrong:
            return Part(records, faults=(fault_of(wrong, records[0].number),))
        except ValidationError as wrong:
            return Part(records, faults=(_no_place(wrong, records[0].number),))

    def _uncut(self, record: Record) -> RowFault | None:
        """What is wrong with a row before anybody reads what it says."""
        if record.fault:
            return RowFault(row=record.number, reason=record.fault)
        have, need = len(record.cells), len(self.sheet.names)
        if have == need:
            return None
        return RowFault(row=record.number, reason=f"it has {have} values, there are {need} columns")

    def _row(self, record: Record) -> Row:
        named = zip(self.sheet.names, record.cells, strict=True)
        values = {name: text for name, cell in named if name in self.feed.columns and (text := cell.strip())}
        return Row(record.number, values, self._sender, self._meant)


def _no_place(wrong: ValidationError, row: int) -> RowFault:
    problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
    column = ".".join(str(one) for one in problem["loc"])
    return RowFault(row=row, column=column, reason=in_words(problem["msg"]))


def passed_over(unread: Sequence[str]) -> str:
    """The columns nobody reads, as a file's sender is told."""
    return f"columns nobody reads: {', '.join(unread)}"


def rows_of(parts: Sequence[Part]) -> int:
    """How many rows several parts have together."""
    return sum(len(part.rows) for part in parts)
