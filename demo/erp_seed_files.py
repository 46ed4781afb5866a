"""The files the hospital's ERP is filled from."""

from __future__ import annotations

import csv
from pathlib import Path

SEED = Path(__file__).with_name("seed")


def rows(name: str) -> list[dict[str, str]]:
    """The rows of one seed file."""
    with (SEED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def packagings(cell: str) -> list[tuple[str, int]]:
    """``BX 100;CA 1000`` as pairs of unit and base units."""
    return [(unit, int(count)) for unit, count in (level.split() for level in cell.split(";") if level)]
