"""Takes entries off the list of what waits for a person, in the transaction that deals with what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import exists, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store.case_tables import unmatched
from store.tables import messages

ABOUT_MESSAGES: Final = ("unreadable", "requisition", "conflict", "interchange")  # entries about a message as a whole
OF_ROWS: Final = ("catalogue_row", "requisition_row")  # a person's to dismiss, but where the rows were corrected


async def off_the_list(connection: AsyncConnection, names: Sequence[str], by: str, why: str) -> None:
    """What waited for a person is decided: the entries about these messages are set aside."""
    corrected = exists().where(messages.c.id == unmatched.c.message, messages.c.state == "corrected")
    settled = unmatched.c.kind.in_(ABOUT_MESSAGES) | (unmatched.c.kind.in_(OF_ROWS) & corrected)
    of = unmatched.c.message.in_(names) & settled & (unmatched.c.state == "open")
    said = {"state": "set_aside", "decided_by": by, "decided_why": why}
    await connection.execute(update(unmatched).where(of).values(said))
