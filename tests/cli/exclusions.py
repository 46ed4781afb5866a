"""Exclusion lists in memory for the commands to talk to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from cli.exclusion_views import EditionRow, ListLoadedRow
from formats import leie

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class FakeExclusions:
    """It reads a file as the platform does, and remembers what it was asked to do."""

    def __init__(self, asked_for: list[Any]) -> None:
        self._asked_for = asked_for

    async def load(self, source: str, data: bytes, why: str, smaller: bool, dry_run: bool) -> ListLoadedRow:
        rows = leie.read(data, date(2026, 11, 20))
        self._asked_for.append(("exclusions load", source, len(rows), why, smaller, dry_run))
        return ListLoadedRow(source=source, outcome="new", rows=len(rows), before=3)

    async def rows(self, limit: int) -> Sequence[EditionRow]:
        rows = [
            EditionRow(source="LEIE", current=True, rows=83000, file_hash="ab" * 32, at=NOON, stale=True),
            EditionRow(source="LEIE", current=False, rows=82990, file_hash="cd" * 32, at=NOON),
        ]
        return rows[:limit]
