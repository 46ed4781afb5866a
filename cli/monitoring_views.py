"""What the commands show of the monthly monitoring, and what they ask of the platform about it: counts, never a key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from canonical.base import Canonical


class MonitoringRow(Canonical):
    """A run. ``state``: its phase (lists, exclusions, licences, done); ``owed``: licences whose board has not answered;
    ``differing``: verifications that stand otherwise than before; ``again``: times a list changed in the middle."""

    id: str
    as_of: datetime
    state: str
    people: int = 0
    held: int = 0
    asked: int = 0
    owed: int = 0
    differing: int = 0
    again: int = 0
    lists: str = ""
    trouble: str = ""
    changed_at: datetime | None = None
    ended_at: datetime | None = None


class MonitoringBegun(Canonical):
    """A run that was asked for, and by whom."""

    schedule: str
    by: str


class MonthlyDesk(Protocol):
    """The monthly monitoring as the commands keep it."""

    async def rows(self, limit: int) -> Sequence[MonitoringRow]:
        """The runs, newest first."""
        ...

    async def run(self, why: str) -> MonitoringBegun:
        """Have a run begin now."""
        ...
