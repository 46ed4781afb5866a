"""What became of a CSV file, for its sender: how many rows were taken, and each that was not, with its column and the reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

from canonical.base import Canonical
from formats import csv_text
from gateway.csv_reading import Part, passed_over
from gateway.csv_rows import RowFault

COLUMNS = ("row", "outcome", "column", "reason")
ENDING = ".result.csv"
LONGEST_NAME = 200  # bytes: with what is put before and behind it a name still fits any file system (255)


class TakenRequisition(Canonical):
    """A requisition of a file, the row it begins in, and its case."""

    row: int
    number: str
    case: str = ""


class FileResult(Canonical):
    """What became of a file. ``rows``: all it has, where it could be read that far; ``faults``: what is wrong, row by row;
    ``unread``: the columns nobody reads, perhaps misspelt ones."""

    message: str
    name: str = ""
    feed: str = ""
    sha256: str = ""
    state: Literal["taken", "taken in part", "refused"]
    reason: str = ""
    rows: int = 0
    taken: int = 0
    refused: int = 0
    faults: tuple[RowFault, ...] = ()
    requisitions: tuple[TakenRequisition, ...] = ()
    unread: tuple[str, ...] = ()

    def as_csv(self) -> bytes:
        """The file its sender finds: the whole file's line first, then the rows in their order."""
        lines = [(one.row, "refused", one.column, one.reason) for one in self.faults]
        lines += [(one.row, "taken", "number", f"requisition {one.number}: {one.case}") for one in self.requisitions]
        lines.sort(key=lambda line: line[0])
        whole = ("", self.state, "", f"{self.said()}; sha-256 {self.sha256}")
        return csv_text.write([COLUMNS, whole, *((str(row), *rest) for row, *rest in lines)])

    def said(self) -> str:
        """In a sentence."""
        counted = f"{self.taken} of {self.rows} rows taken" + (f", {self.refused} refused" if self.refused else "")
        said = f"{self.reason}; {counted}" if self.reason and self.rows else self.reason or counted
        return said + (f"; {passed_over(self.unread)}" if self.unread else "")


def result_name(name: str) -> str:
    """What the result of a file is called; of a name that would be too long its beginning, and a hash of it all."""
    stem = name.removesuffix(".csv")
    if len(stem.encode(errors="surrogateescape")) > LONGEST_NAME:
        told = hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()[:12]
        stem = f"{stem.encode(errors='ignore')[: LONGEST_NAME - 13].decode(errors='ignore')}-{told}"
    return f"{stem}{ENDING}"


def faults_of(parts: Sequence[Part]) -> tuple[RowFault, ...]:
    """Every row of parts that cannot be taken: those something is wrong with, and those that stand with them."""
    return tuple(sorted((one for part in parts for one in _faults(part)), key=lambda one: one.row))


def _faults(part: Part) -> Iterator[RowFault]:
    yield from part.faults
    guilty = sorted({one.row for one in part.faults})
    for record in part.rows:
        if record.number not in guilty:
            where = f"it belongs with row {guilty[0]}" if guilty else "it is set apart"
            yield RowFault(row=record.number, reason=where)
