"""Writes an invented hospital's traffic as files: a message a file, or a connection's bytes a file; and a manifest of them."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from canonical.errors import Malformed
from cli.synthetic.faults import Faults, Wire
from cli.synthetic.traffic import Letter, Plan

MANIFEST: Final = "manifest.csv"
COLUMNS: Final = ("number", "control", "kind", "file", "at", "sha256", "fault")


def write(plan: Plan, folder: Path, faults: Faults, *, framed: bool = False) -> int:
    """Write it all; gives how many messages.

    ``framed`` writes what goes over each connection, in MLLP frames and with faults, into ``connection-<number>-<which>.mllp``: a new
    file where the sender would make a new connection.

    Raises:
        Malformed: the folder holds something, or what is to be framed is no HL7.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Malformed(f"{folder} is not empty: name a folder of its own", path="out")
    with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        many = 0
        for name, letter in _framed(plan, folder, faults) if framed else _one_by_one(plan, folder):
            many += 1
            digest = hashlib.sha256(letter.data).hexdigest()
            rows.writerow((letter.number, letter.control, letter.kind, name, f"{letter.at:.3f}", digest, letter.fault))
    return many


def _one_by_one(plan: Plan, folder: Path) -> Iterator[tuple[str, Letter]]:
    for letter in plan.letters():
        kind = re.sub(r"[^A-Za-z0-9]", "_", letter.kind)
        name = f"{letter.number:09}_{kind}.{letter.format}"
        (folder / name).write_bytes(letter.data)
        yield name, letter


def _framed(plan: Plan, folder: Path, faults: Faults) -> Iterator[tuple[str, Letter]]:
    lines = [_Line(folder, plan.seed, number, faults) for number in range(plan.connections)]
    for letter in plan.letters():
        if letter.format != "hl7":
            raise Malformed(f"{letter.kind} is not sent in MLLP frames", path="framed")
        yield from lines[letter.connection].take(letter)
    for line in lines:
        yield from line.end()


class _Line:
    """The files of one connection's place."""

    def __init__(self, folder: Path, seed: str, number: int, faults: Faults) -> None:
        self._folder, self._number = folder, number
        self._wire = Wire(seed, number, faults)
        self._which = 0
        self._file: IO[bytes] | None = None
        self._name = ""

    def take(self, letter: Letter) -> Iterator[tuple[str, Letter]]:
        for step in self._wire.take(letter):
            yield from self._step(step.data, step.letters, ends=bool(step.then))

    def end(self) -> Iterator[tuple[str, Letter]]:
        for step in self._wire.end():
            yield from self._step(step.data, step.letters, ends=False)
        if self._file is not None:
            self._file.close()

    def _step(self, data: bytes, letters: tuple[Letter, ...], *, ends: bool) -> Iterator[tuple[str, Letter]]:
        if self._file is None:
            self._which += 1
            self._name = f"connection-{self._number + 1:03}-{self._which:05}.mllp"
            self._file = (self._folder / self._name).open("wb")
        self._file.write(data)
        if ends:
            self._file.close()
            self._file = None
        for letter in letters:
            yield self._name, letter
