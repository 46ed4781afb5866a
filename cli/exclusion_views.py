"""What the commands show of exclusion lists, and what they ask of the platform about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from canonical.base import Canonical


class ListLoadedRow(Canonical):
    """What became of a file: ``new`` (in force from now on), ``same`` (in force already), or with ``--dry-run`` what it holds."""

    source: str
    outcome: str
    rows: int
    before: int = 0
    file_hash: str = ""


class EditionRow(Canonical):
    """An edition; ``stale``: for two months its source had no other, or was not looked at."""

    source: str
    current: bool
    rows: int
    file_hash: str
    by: str = ""
    at: datetime
    seen_at: datetime | None = None
    stale: bool = False


class Exclusions(Protocol):
    """Exclusion lists as the commands keep them."""

    async def load(self, source: str, data: bytes, why: str, smaller: bool, dry_run: bool) -> ListLoadedRow:
        """Let a full edition take the place of the one before."""
        ...

    async def rows(self, limit: int) -> Sequence[EditionRow]: ...
