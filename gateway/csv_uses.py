"""Takes the uses of a file (CSV): each row is one, kept under its sender's number; one that is known otherwise is refused alone."""

from __future__ import annotations

from collections.abc import Sequence

from canonical.errors import Rejected
from canonical.messages import Kept
from canonical.senders import Sender
from canonical.usage import UsageEvent
from gateway.csv_reading import Part
from gateway.csv_rows import RowFault
from gateway.usage import UsageTaker, known

Use = tuple[Part, UsageEvent]


async def keep_uses(taker: UsageTaker | None, whole: Kept, sender: Sender, uses: Sequence[Use]) -> list[RowFault]:
    """Keep these uses; gives what is refused of them: a number that is known with other content.

    Raises:
        Rejected: uses are taken by nobody here.
        Unavailable: our store is away: nothing of these was kept.
    """
    if taker is None:
        raise Rejected("nobody takes uses here", code="configuration")
    kept = await taker.keep(whole, sender, [one for _, one in uses])
    return [
        RowFault(row=part.first, column="number", reason=known(event))
        for (part, event), one in zip(uses, kept, strict=True)
        if one.outcome == "conflict"
    ]
