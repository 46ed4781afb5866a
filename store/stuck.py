"""One line of what stands still and needs a person."""

from __future__ import annotations

from datetime import datetime

from canonical.base import Canonical


class Stuck(Canonical):
    """One thing that stands still, or several of one kind: ``name`` is the first of them, ``count`` how many they are."""

    what: str
    name: str
    why: str = ""
    owner: str = ""
    count: int = 1
    since: datetime | None = None
    press: str = ""
