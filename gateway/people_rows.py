"""Lists rows of an HR system's file that could not be read, and takes the HR events of CSV files, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from canonical.base import Canonical
from canonical.errors import Rejected
from canonical.hr_ports import HrRowsApart
from canonical.messages import Kept
from canonical.people import HrEvent
from canonical.senders import Sender
from gateway.csv_reading import Part
from gateway.csv_rows import RowFault
from gateway.intake import Intake
from gateway.people import HrTaker, known
from gateway.routing import Taker

LISTED: Final = "hr_row"  # its kind in the list a person works
MOST_AT_ONCE: Final = (
    20  # events of a file in one transaction: while it lasts, what is said of these people elsewhere waits
)

Said = tuple[Part, HrEvent]


def rows_apart(intake: Intake) -> Taker:
    """Rows of a message are listed for a person, each once; the others of it went where they belong."""

    async def take(message: Kept, sender: Sender, noun: Canonical) -> str:
        assert isinstance(noun, HrRowsApart)
        owner = f" [owner: {sender.owner}]" if sender.owner else ""
        for row in noun.rows:
            about = {"number": row.row, "facility": sender.facility, "supplier": sender.code}
            await intake.listed(LISTED, message, row.reason + owner, None, f"{row.row} {row.path}", **about)
        return ""

    return take


async def keep_people(taker: HrTaker | None, whole: Kept, sender: Sender, said: Sequence[Said]) -> list[RowFault]:
    """Keep these events; gives what is refused of them: a number that is known with other content.

    Raises:
        Rejected: nobody takes HR events here.
        Unavailable: our store is away: nothing of these was kept.
    """
    if taker is None:
        raise Rejected("nobody takes HR events here", code="configuration")
    kept = await taker.keep(whole, sender, [one for _, one in said])
    return [
        RowFault(row=part.first, column="number", reason=known(event))
        for (part, event), one in zip(said, kept, strict=True)
        if one.outcome == "conflict"
    ]
