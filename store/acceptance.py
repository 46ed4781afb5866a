"""A message under the number of another, with other content, as a person decided of it: taken as one of its own."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Rejected
from canonical.messages import AS_NEW, Move
from store.acts import Act, note_in
from store.database import transaction
from store.moves import mark_many_in, unknown
from store.tables import messages
from store.unmatched import settle_in

UNDECIDED = ("refused", "skipped")


class StoredAcceptance:
    """What came under a number that is another's, in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def first(self, message: str) -> str:
        """The message whose number it came under.

        Raises:
            Rejected: there is no such message, or it came under a number of its own, or it was accepted already.
        """
        asked = select(messages.c.conflicts_with).where(messages.c.id == message)
        async with transaction(self._engine) as connection:
            row = (await connection.execute(asked)).one_or_none()
        if row is None:
            raise unknown(message)
        if not row.conflicts_with:
            why = f"{message} came under no other message's number: there is nothing to accept"
            raise Rejected(why, code="not-open", system="store")
        return str(row.conflicts_with)

    async def accept(self, message: str, act: Act) -> str:
        """Let it go on as a message of its own, which its router takes; gives the message whose number it came under.

        The first keeps the number, and its bytes. What answered this one is set free: it is answered anew.

        Raises:
            Rejected: as :meth:`first`, or it is neither refused nor passed over.
        """
        columns = (messages.c.conflicts_with, messages.c.state)
        async with transaction(self._engine) as connection:
            asked = select(*columns).where(messages.c.id == message).with_for_update()
            row = (await connection.execute(asked)).one_or_none()
            if row is None:
                raise unknown(message)
            if not row.conflicts_with or row.state not in UNDECIDED:
                why = f"message {message} is {row.state}: only what was refused for its number is accepted"
                raise Rejected(why, code="not-open", system="store")
            said = (
                f"{AS_NEW} by {act.actor.id} ({act.actor.known_by}), beside message {row.conflicts_with}: {act.reason}"
            )
            await mark_many_in(connection, [Move(message=message, state="received", reason=said)])
            own = update(messages).where(messages.c.id == message)
            await connection.execute(own.values(conflicts_with="", answer=""))
            await settle_in(connection, [message], act.actor.id, said)
            await note_in(connection, act.model_copy(update={"about": f"message/{message}"}))
        return str(row.conflicts_with)
