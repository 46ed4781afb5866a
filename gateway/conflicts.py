"""A number that came again with other content: what its sender hears when it comes once more, and what a person may decide of it.

It stands beside the first, refused, until a person takes it as a message of its own or passes it over; nothing is overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from canonical.errors import Rejected
from canonical.messages import APART, AS_NEW, Kept
from gateway.hl7_verdict import answered_no
from gateway.intake import Intake

LISTED: Final = "conflict"  # its kind in the list a person works
BY_A_PERSON: Final = ("corrected", "skipped")  # what only people make of a message


class Histories(Protocol):
    """The journal, as far as what happened to a message goes."""

    async def history(self, message: str) -> Sequence[tuple[str, str, datetime]]: ...


REUSED: Final = "idempotency-key-reused"


def untold(kept: Kept) -> bool:
    """Whether it was kept apart and its door has not said so yet: it ended before it could, or says it now."""
    return kept.reason.startswith(APART)


def taken_as_new(kept: Kept) -> bool:
    """Of a message that came under the number of another: whether a person took it as one of its own."""
    return not untold(kept) and kept.state not in ("refused", *BY_A_PERSON)


async def refuse_reused(intake: Intake, message: Kept, why: str, facility: str) -> None:
    """Other content under a caller's own id of a request: refused, and listed for a person; once."""
    if untold(message):
        await intake.listed(LISTED, message, f"{why} ({message.reason})", facility=facility)
        await intake.refused(message, Rejected(why, code=REUSED))


def accepted(kept: Kept) -> bool:
    """Whether a person took it as one of its own, and it is on its way since."""
    return kept.reason.startswith(AS_NEW)


async def heard_no(journal: Histories, kept: Kept) -> str:
    """The no its sender heard at an HL7 door before a person corrected it or passed it over; empty where it heard a yes."""
    said = ""
    for state, reason, _ in await journal.history(kept.id):
        if state == "refused" and answered_no(reason):
            said = reason
        elif state == "received" and reason:  # sent again, and taken by the rules of that day
            said = ""
    return said


async def first_refusal(journal: Histories, kept: Kept) -> str:
    """Why its door refused it, before a person corrected it or passed it over; empty where it did not."""
    return next((reason for state, reason, _ in await journal.history(kept.id) if state == "refused"), "")
