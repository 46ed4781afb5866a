"""What we ask of an HR system that can be asked, and what of its files could not be read."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from canonical.base import Canonical
from canonical.catalogue import BadRow
from canonical.people import HrEvent


class HrRowsApart(Canonical):
    """Rows of an HR system's file that could not be read: each is listed for a person, the others of the file are taken."""

    rows: tuple[BadRow, ...]


class HrChanges(Canonical):
    """What an HR system holds of those who changed, as events; ``until``: ask from there next time.

    Each event says how things stand (``update``, ``terminate``): whether somebody is new to us is not the HR system's to know.
    """

    events: tuple[HrEvent, ...] = ()
    until: datetime


class HrSystem(Protocol):
    """An HR system that is asked what changed, since it tells nobody."""

    async def changes_since(self, facility: str, source: str, since: datetime) -> HrChanges:
        """Everybody of a facility whose record changed since a moment, by the HR system's own clock.

        Raises:
            Unavailable, Throttled: ask again later.
            Rejected: it refuses us, or a record in it cannot be an event; its number is named, never its person.
        """
        ...
