"""The verbs of recalls: what a recall's case asks of our own store.

Every call may be made twice and then has one effect. Raised everywhere: Unavailable.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from canonical.recall import RecallStanding, RecallTaken, RecallWord


class Recalls(Protocol):
    """Notices, blocks, matches and tasks in our own store. A notice is kept, and blocks, before its case begins."""

    async def match(self, number: str, as_of: datetime) -> RecallStanding:
        """Find what holds or used it that was not found before, open a task for each place, and answer the wake."""
        ...

    async def standing(self, number: str, as_of: datetime) -> RecallStanding:
        """How it stands; unknown where no such notice was kept."""
        ...

    async def facility_of(self, number: str, word: RecallWord, as_of: datetime) -> str:
        """Whose people decide: the task's facility; of the whole recall, one where this actor may.

        Raises:
            Rejected: there is no such task of this recall.
        """
        ...

    async def take(self, number: str, word: RecallWord, by: str, as_of: datetime) -> RecallTaken:
        """Carry a checked word out: once under its id.

        Raises:
            Rejected: it does not fit as things stand (answered otherwise, unknown, tasks open).
        """
        ...
