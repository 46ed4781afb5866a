"""The verbs of stock: what a location's case asks of our store, and what it asks of the ERP.

Every call may be made twice and then has one effect. Raised everywhere: Unavailable, Throttled, Rejected, Malformed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.stock import (
    NeedStarted,
    OnHand,
    Recorded,
    RoundKey,
    RoundRefusal,
    StockPosted,
    StockPosting,
    TakenRound,
    WakeDue,
)
from canonical.usage import UsageEvent


class StockErp(Protocol):
    """The stock side of an ERP."""

    async def post_stock(self, posting: StockPosting) -> StockPosted:
        """Book one document under ``posting.key``, once; a line the ERP refuses is left out and named.

        Raises:
            Rejected: nothing of it can be booked (an unknown location, a closed period); repeating changes nothing.
        """
        ...

    async def on_hand(self, facility: str, location: str, as_of: datetime) -> Sequence[OnHand]:
        """What the ERP's books say is at a location at the end of that day (UTC), by item and lot, those at zero left out.

        An empty ``location`` is the facility's store, where the ERP puts what was received.
        """
        ...


class UsageKept(Canonical):
    """What became of one event: new, same (known with this content) or conflict (known with another; listed for a person)."""

    id: str
    outcome: str = Field(pattern="^(new|same|conflict)$")
    state: str = ""


class UsageInbox(Protocol):
    """Where what was read is kept: each event once under its name, with a state and an owner."""

    async def keep(
        self, events: Sequence[UsageEvent], message: str, sender: str, corrects: str = ""
    ) -> Sequence[UsageKept]:
        """Keep the events of one message, all or none; ``encounter`` is not kept, ``procedure`` is.

        One of a location the register does not have is parked at once, with the reason. A known event that waits for a person
        (review, parked) takes other content, and is new again, where it came by this very message, read anew by now, or by the
        one that this message ``corrects``; any other content under its name is a conflict.
        """
        ...


class UsageBook(Protocol):
    """Usage events, balances and needs in our own store, as a location's case works with them."""

    async def take(self, key: RoundKey, most: int = 200) -> TakenRound:
        """The round of that number as it was taken before, else up to ``most`` waiting events, judged; answers the wake."""
        ...

    async def postings(self, key: RoundKey) -> Sequence[StockPosting]:
        """What the ERP is to be told of the round, each under its own key: the uses, the transfers, the counts."""
        ...

    async def posted(self, key: RoundKey, posting: str, outcome: StockPosted) -> None:
        """Keep what the ERP made of one posting of the round."""
        ...

    async def record(self, key: RoundKey) -> Recorded:
        """Movements, balances, charges and needs of the round, in one transaction; once, when asked again the same."""
        ...

    async def refuse(self, refusal: RoundRefusal) -> Recorded:
        """Record the round with every line of the postings that have no outcome refused; what the ERP has booked of it stands."""
        ...

    async def started(self, started: NeedStarted) -> None:
        """Note which case brings a need."""
        ...


class PlaceStands(Canonical):
    """Where a location's rounds stand: the last that was closed, and whether anything waits there."""

    round: int = Field(default=0, ge=0)
    waiting: bool = False


class UsagePlaces(Protocol):
    """The locations whose cases work through what was used there."""

    async def stands(self, facility: str, location: str) -> PlaceStands:
        """The last round closed: one that was taken and neither recorded nor refused is not, and is given again."""
        ...

    async def due(self, at: datetime, repeat_before: datetime, most: int = 1000) -> Sequence[WakeDue]:
        """Locations with something to do whose case was not woken for it, or was before ``repeat_before`` and never came."""
        ...

    async def woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        """Note, before it is done, that these are woken at this moment: ``take`` answers it."""
        ...

    async def not_woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        """These were not reached after all: they are due again, unless they have answered meanwhile."""
        ...


class ErpCounts(Protocol):
    """Our books of locations, as they are held against the ERP's."""

    async def compared(self, key: RoundKey, on_hand: Sequence[OnHand]) -> Recorded:
        """Bring our books to what the ERP's say, by named movements, once for each time it was due; gives what is to be brought since.

        The first time what the ERP has is the opening balance.
        """
        ...

    async def skipped(self, key: RoundKey, reason: str) -> None:
        """The ERP does not say what it has there: the location goes on, and is compared when it is due again."""
        ...
