"""Which business events a department is still to hear of as a reply to the message it asked by; written with the event itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.cases import BusinessEvent
from store.case_tables import events
from store.database import transaction
from store.feed_tables import replies
from store.ids import now
from store.tables import claims, messages

REPLIED = frozenset({"requisition.lines_changed.v1", "requisition.refused.v1"})
ASKED_BY = ("OMS^O05", "OMN^O07")


class DueReply(Canonical):
    """A reply that is due: the event, and the message the department asked by."""

    id: int
    event: BusinessEvent
    asked: str
    attempts: int = 0


async def due_in(connection: AsyncConnection, number: int, event: BusinessEvent) -> None:
    """In the transaction that writes an event: a reply is due where its case was asked for by a message with replies."""
    if event.type not in REPLIED:
        return
    at = now()
    asked = (
        select(literal(number), claims.c.case, literal("waiting"), literal(at), literal(at))
        .join(messages, messages.c.id == claims.c.message)
        .where(claims.c.case == event.case, messages.c.kind.in_(ASKED_BY))
    )
    await connection.execute(
        insert(replies).from_select(["event", "case", "state", "next_at", "changed_at"], asked, include_defaults=False)
    )


class StoredReplies:
    """Replies in our own database. One process writes them at a time; each case's in the order of its events."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(self, at: datetime, limit: int = 50) -> Sequence[DueReply]:
        """What is due, the oldest event first; nothing overtakes an earlier event of its case."""
        before = replies.alias("before")
        earlier = exists().where(
            before.c.case == replies.c.case,
            before.c.event < replies.c.event,
            before.c.state == "waiting",
            before.c.next_at > at,
        )
        asked = (
            select(replies.c.event, replies.c.attempts, events.c.content, claims.c.message)
            .join(events, events.c.id == replies.c.event)
            .join(claims, claims.c.case == replies.c.case)
            .where(replies.c.state == "waiting", replies.c.next_at <= at, ~earlier)
            .order_by(replies.c.event)
            .limit(limit)
        )
        async with transaction(self._engine) as connection:
            return [
                DueReply(
                    id=row.event,
                    event=BusinessEvent.model_validate_json(row.content),
                    asked=row.message,
                    attempts=row.attempts,
                )
                for row in await connection.execute(asked)
            ]

    async def written(self, reply: int, message: str) -> None:
        """It is in the journal, and its channel has it."""
        await self._set(reply, state="written", message=message, reason="")

    async def needless(self, reply: int, reason: str) -> None:
        """Nobody is to hear of it."""
        await self._set(reply, state="needless", reason=reason)

    async def dead(self, reply: int, reason: str) -> None:
        """It cannot be written; a person has to look."""
        await self._set(reply, state="dead", reason=reason[:2000])

    async def later(self, reply: int, reason: str, again_at: datetime) -> None:
        """Something it needs is away: try again then."""
        await self._set(reply, reason=reason[:2000], next_at=again_at, attempts=replies.c.attempts + 1)

    async def _set(self, reply: int, **values: object) -> None:
        async with transaction(self._engine) as connection:
            asked = update(replies).where(replies.c.event == reply)
            await connection.execute(asked.values(**values, changed_at=now()))
