"""Takes counts of stock where they belong: each kept once under its sender's number, for the next round of its location."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from canonical.base import Canonical
from canonical.errors import Rejected
from canonical.messages import Kept
from canonical.senders import Sender
from canonical.stock import StockCount
from canonical.stock_ports import UsageKept
from gateway.csv_reading import Part
from gateway.csv_rows import RowFault
from gateway.intake import Conflict, Intake

LISTED: Final = "count"  # its kind in the list a person works

Counted = tuple[Part, StockCount]


class CountInbox(Protocol):
    """Where counts are kept."""

    async def keep(self, count: StockCount, message: str, sender: str) -> UsageKept:
        """Keep a count once: new, same, or conflict with the one of its number."""
        ...


class CountTaker:
    """Takes counts of any door. Taking one again changes nothing."""

    def __init__(self, inbox: CountInbox, intake: Intake) -> None:
        self._inbox = inbox
        self._intake = intake

    async def take(self, message: Kept, sender: Sender, noun: Canonical) -> str:
        """As the routing of kept messages gives it to us; no case comes of it.

        Raises:
            Conflict: its number is known with other content; it is listed for a person.
            Unavailable: our store is away: take it again later.
        """
        assert isinstance(noun, StockCount)
        if not await self.keep(message, sender, noun):
            raise Conflict(known(noun), "")
        return ""

    async def keep(self, message: Kept, sender: Sender, count: StockCount) -> bool:
        """Keep a count that came with a message; False where its number is known with other content, which is listed."""
        kept = await self._inbox.keep(count, message.id, sender.code)
        if kept.outcome != "conflict":
            return True
        owner = f" [owner: {sender.owner}]" if sender.owner else ""
        about = {"facility": count.facility, "number": count.number, "supplier": sender.code}
        await self._intake.listed(LISTED, message, known(count) + owner, None, count.number, **about)
        return False


async def keep_counts(
    taker: CountTaker | None, whole: Kept, sender: Sender, counts: Sequence[Counted]
) -> list[RowFault]:
    """Keep the counts of a file (CSV); gives what is refused of them: a number that is known with other content.

    Raises:
        Rejected: counts are taken by nobody here.
        Unavailable: our store is away.
    """
    if counts and taker is None:
        raise Rejected("nobody takes counts here", code="configuration")
    refused: list[RowFault] = []
    for part, count in counts:
        if taker is not None and not await taker.keep(whole, sender, count):
            refused += [RowFault(row=row.number, column="number", reason=known(count)) for row in part.rows]
    return refused


def known(count: StockCount) -> str:
    """Why a count is not kept."""
    return f"count {count.number} of {count.source} is known with other content"
