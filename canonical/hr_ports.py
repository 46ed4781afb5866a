"""What we ask of an HR system that can be asked, and what of its files could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.catalogue import BadRow


class HrRowsApart(Canonical):
    """Rows of an HR system's file that could not be read: each is listed for a person, the others of the file are taken."""

    rows: tuple[BadRow, ...]


class HrStanding(Canonical):
    """How an event stands that an HR system said: codes alone, nothing of anybody. ``message``: the one that brought it.

    ``state`` is one of :data:`canonical.people.EVENT_STATES`; ``finding``: of one that waits for a person, what was found.
    """

    number: str
    kind: str
    state: str
    finding: str = ""
    message: str = ""


class HrStandings(Protocol):
    """How events of an HR system stand by now."""

    async def standings(self, facility: str, source: str, numbers: Sequence[str]) -> Sequence[HrStanding]:
        """Those of these that are kept, by the HR system's own numbers of them.

        Raises:
            Unavailable: our store is away.
        """
        ...


class HrSaid(Canonical):
    """How an HR system says that somebody stands, as it says it: whether that can be an event of ours is for a feed to find.

    ``number`` names this state of the record, another one for each change; ``said_at``: when it was changed there. ``kind`` is
    ``update``, or ``terminate`` where an employment has an end: whether somebody is new to us is not the HR system's to know.
    ``record`` and ``position`` have the names of :class:`canonical.people.ClinicianRecord` and ``Position``, as JSON.
    """

    number: str
    person: str
    kind: Literal["update", "terminate"] = "update"
    said_at: datetime
    effective: date
    starts: date | None = None
    record: dict[str, Any] = Field(default_factory=dict, repr=False)
    position: dict[str, Any] = Field(default_factory=dict)


class HrChanges(Canonical):
    """Everybody who changed. ``until``: ask from there next time, by the HR system's own clock."""

    said: tuple[HrSaid, ...] = ()
    until: datetime


NotRead = Literal["silent", "refuses", "busy", "unreadable"]
"""Why an HR system that is asked could not be read: no answer, a no, a wait, an answer that makes no sense."""


class HrAway(Protocol):
    """Remembers that an HR system that is asked cannot be read, for whoever is to see to it."""

    async def noted(self, sender: str, why: NotRead, owner: str, at: datetime) -> None:
        """It could not be read at this moment.

        Raises:
            Unavailable: our store is away.
        """
        ...

    async def over(self, sender: str) -> None:
        """It was read, or is not asked any more.

        Raises:
            Unavailable: our store is away.
        """
        ...

    async def only(self, *senders: str) -> None:
        """These alone are asked from now on.

        Raises:
            Unavailable: our store is away.
        """
        ...


class HrSystem(Protocol):
    """An HR system that is asked what changed, since it tells nobody."""

    async def changes_since(self, since: datetime) -> HrChanges:
        """Everybody whose record changed since a moment, once each, as they stand now. What is seen twice has the same number twice.

        Raises:
            Unavailable, Throttled: ask again later.
            Rejected: it refuses us.
        """
        ...
