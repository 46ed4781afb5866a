"""What leaves us by channels: one queue per target, strictly in its order, and exactly one worker that sends from it.

A message is kept in the journal and queued in one transaction. Who sends takes the channel's lease first; every word it
writes afterwards holds only while the lease is its own, so a worker that was cut off cannot disturb the one that took over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field
from sqlalchemy import func, insert, lateral, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.errors import Rejected
from canonical.messages import KeepResult, NewMessage
from store.case_tables import channel_states, outbound
from store.database import at_once, transaction
from store.ids import now
from store.journal import StoredJournal, keep_in, mark_in
from store.standing import Standing, free_lease, holds, lease_until, take_lease
from store.tables import message_states, messages

DOOR = "channel"
ACKNOWLEDGEMENT = "acknowledgement"  # the kind of an answer to a message of ours
LONGEST_WORD = 500
_UNFINISHED = outbound.c.state.in_(("waiting", "sent")) | outbound.c.blocks

Outcome = Literal["answered", "again", "dead"]


class Queued(Canonical):
    """A message in a channel's queue. ``attempts`` before this one; ``blocks``: the channel stands still behind it."""

    id: int
    channel: str
    message: str
    control_id: str
    state: str
    blocks: bool = False
    attempts: int = 0
    said: str = ""
    next_at: datetime


class Turn(Canonical):
    """It is ours to send by this channel: how it stands, and what is next, if anything."""

    standing: Standing
    head: Queued | None = None


class Word(Canonical):
    """What the other side said of a message: MSA-1, its text, and the bytes of the answer; ``message`` where the journal has them
    already, since they came in by our own door."""

    code: str = ""
    text: str = ""
    data: bytes = Field(default=b"", repr=False)
    message: str = ""

    @property
    def reason(self) -> str:
        """As the history of a message has it."""
        return ": ".join(part for part in (self.code, self.text) if part)[:LONGEST_WORD]


class StoredChannels:
    """Queues, leases and answers in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._journal = StoredJournal(engine)

    # ---- what goes in ----------------------------------------------------------------------------------------------

    async def put(self, channel: str, message: NewMessage) -> KeepResult:
        """Keep a message of ours and queue it, in one transaction; its ``control_number`` is its MSH-10.

        The same key and bytes again are the same message, queued once.

        Raises:
            Rejected: other bytes under its key, or another message of this channel has its control id (``conflict``): the
                receiver would take it for that one.
        """
        async with transaction(self._engine) as connection:
            return await put_in(connection, channel, message)

    # ---- whose turn it is ------------------------------------------------------------------------------------------

    async def due(self, at: datetime) -> Sequence[str]:
        """The channels that have something to send now, whoever may be sending."""
        first = select(outbound.c.blocks, outbound.c.next_at).where(outbound.c.channel == channel_states.c.channel)
        head = lateral(first.where(_UNFINISHED).order_by(outbound.c.id).limit(1)).alias("head")
        asked = (
            select(channel_states.c.channel)
            .join(head, true())
            .where(channel_states.c.paused_at.is_(None), head.c.blocks.is_(False), head.c.next_at <= at)
            .where(or_(channel_states.c.probe_at.is_(None), channel_states.c.probe_at <= at))
            .where(or_(channel_states.c.free_at.is_(None), channel_states.c.free_at <= at))
        )
        async with at_once(self._engine) as connection:
            return list(await connection.scalars(asked))

    async def turn(self, channel: str, holder: str, lease: timedelta) -> Turn | None:
        """Become, or remain, who sends by a channel, and see what is next; None where another worker sends."""
        async with transaction(self._engine) as connection:
            standing = await take_lease(connection, channel, holder, lease)
            if standing is None:
                return None
            first = select(outbound).where(outbound.c.channel == channel, _UNFINISHED).order_by(outbound.c.id).limit(1)
            row = (await connection.execute(first)).mappings().one_or_none()
        return Turn(standing=standing, head=Queued.model_validate(dict(row)) if row is not None else None)

    async def renew(self, holder: str, lease: timedelta) -> Sequence[str]:
        """Remain who sends by every channel one still holds, and say which those are."""
        mine = (channel_states.c.holder == holder) & (channel_states.c.held_until > func.clock_timestamp())
        asked = update(channel_states).where(mine).values(held_until=lease_until(lease))
        async with at_once(self._engine) as connection:
            return list(await connection.scalars(asked.returning(channel_states.c.channel)))

    async def release(self, channel: str, holder: str) -> None:
        """Let another send."""
        async with at_once(self._engine) as connection:
            await free_lease(connection, channel, holder)

    # ---- what became of it -----------------------------------------------------------------------------------------

    async def sending(self, head: Queued, standing: Standing, holder: str, at: datetime, lease: timedelta) -> bool:
        """Write down that a message is about to leave, before it does: a worker killed now has sent it, or has not.

        False where it must not leave: the channel is another worker's, or was paused, or the message has its answer.
        """
        said = standing.said() | {"held_until": lease_until(lease)}
        mine = holds(head.channel, holder) & channel_states.c.paused_at.is_(None)
        async with transaction(self._engine) as connection:
            if not (await connection.execute(update(channel_states).where(mine).values(said))).rowcount:
                return False
            values = {"state": "sent", "attempts": head.attempts + 1, "changed_at": at}
            still = (outbound.c.id == head.id) & outbound.c.state.in_(("waiting", "sent"))
            if not (await connection.execute(update(outbound).where(still).values(values))).rowcount:
                return False  # its application has answered since we looked
            again = f"sent again, the {head.attempts + 1}. time: {head.said}" if head.attempts else ""
            await mark_in(connection, head.message, "sent", reason=again[:LONGEST_WORD])
        return True

    async def content(self, head: Queued) -> bytes:
        """The bytes of a message, as they were kept.

        Raises:
            Rejected: the journal has them no more.
        """
        kept = await self._journal.read(head.message)
        if kept is None:
            raise Rejected(f"the journal has no message {head.message}", code="data-invalid", system="store")
        return kept.data

    async def unreached(self, head: Queued, standing: Standing, holder: str, at: datetime, next_at: datetime) -> bool:
        """The target could not be reached, so nothing left: the message waits, and no try of it is spent."""
        async with transaction(self._engine) as connection:
            said = update(channel_states).where(holds(head.channel, holder)).values(standing.said())
            if not (await connection.execute(said)).rowcount:
                return False
            values = {"next_at": next_at, "said": standing.error[:LONGEST_WORD], "changed_at": at}
            await connection.execute(update(outbound).where(outbound.c.id == head.id).values(values))
        return True

    async def ended(
        self,
        head: Queued,
        standing: Standing,
        holder: str,
        at: datetime,
        outcome: Outcome,
        word: Word,
        *,
        next_at: datetime | None = None,
        blocks: bool = False,
        application: bool = False,
    ) -> bool:
        """What came of a try: ``answered`` (AA, CA), to be sent ``again`` from ``next_at`` on, or ``dead``.

        ``blocks``: nothing follows a dead letter. ``application``: the answer is the
        application's, so no other comes. False where the channel is another worker's now: nothing is written, and the message
        goes out again from there.
        """
        async with transaction(self._engine) as connection:
            said = update(channel_states).where(holds(head.channel, holder)).values(standing.said())
            if not (await connection.execute(said)).rowcount:
                return False
            values: dict[str, Any] = {"said": word.reason, "changed_at": at, "answer": word.code}
            if outcome == "again":
                # It may have arrived: until its answer is known it stays "sent".
                values |= {"next_at": next_at or at}
            else:
                values |= {"state": outcome, "blocks": blocks and outcome == "dead"}
            if application:
                values["application"] = word.code
            # The application may have had its say already, by the same connection: that stands.
            unsaid = (outbound.c.id == head.id) & (outbound.c.application == "")
            first = (await connection.execute(update(outbound).where(unsaid).values(values))).rowcount
            answer = await _keep_answer(connection, head.channel, head.control_id, word, at, "routed")
            if not first:
                await _note(connection, head.message, word.reason, at)
                return True
            state = {"answered": "acknowledged", "again": "sent", "dead": "dead"}[outcome]
            await mark_in(connection, head.message, state, reason=word.reason, answer=answer)
        return True

    async def application(self, channel: str, control_id: str, word: Word, at: datetime) -> tuple[str | None, bool]:
        """The application's own answer, after the accept one (enhanced mode): the message it is about, and whether it is news.

        A yes is in its history; a no makes it a dead letter, since what was accepted once is not taken again under its number.
        The same word again changes nothing; another word after it is written down and credited to nothing. None: nothing
        of ours that has left has that control id.
        """
        asked = select(outbound).where(outbound.c.channel == channel, outbound.c.control_id == control_id)
        async with transaction(self._engine) as connection:
            row = (await connection.execute(asked.with_for_update())).mappings().one_or_none()
            if row is None or not row["attempts"]:
                return None, False
            message = str(row["message"])
            doubled = row["state"] in ("waiting", "sent") and row["answer"] == word.code
            if doubled or row["application"] == word.code:
                return message, False
            answer = await _keep_answer(connection, channel, control_id, word, at, "routed")
            if row["application"]:
                text = f"{word.reason} after {row['application']}, credited to nothing"
                await _note(connection, message, text, at)
                return message, False
            good = word.code == "AA"
            values: dict[str, Any] = {"application": word.code, "changed_at": at}
            if row["state"] != "dead":  # also an accept answer that was lost on its way: the application has it
                values |= {"state": "answered" if good else "dead", "said": word.reason, "answer": word.code}
            await connection.execute(update(outbound).where(outbound.c.id == row["id"]).values(values))
            state = "acknowledged" if good else "dead"
            await mark_in(connection, message, state, reason=f"application: {word.reason}", answer=answer)
        return message, True

    async def stray(self, channel: str, control_id: str, reason: str, word: Word, at: datetime) -> str | None:
        """An answer nobody waited for: kept, written into the history of the message it names, and credited to nothing.

        Gives that message, or None where it names none of ours.
        """
        asked = select(outbound.c.message).where(outbound.c.channel == channel, outbound.c.control_id == control_id)
        async with transaction(self._engine) as connection:
            message: str | None = await connection.scalar(asked) if control_id else None
            why = f"{reason}, credited to nothing"
            await _keep_answer(connection, channel, control_id, word, at, "refused", why)
            if message is not None:
                await _note(connection, message, f"answer {word.reason or '?'}: {why}", at)
        return message


async def put_in(connection: AsyncConnection, channel: str, message: NewMessage) -> KeepResult:
    """Keep and queue a message in a transaction of the caller's; see :meth:`StoredChannels.put`."""
    given = message.model_copy(
        update={"direction": "out", "door": DOOR, "channel": channel, "partner": message.partner or channel}
    )
    kept = await keep_in(connection, given)
    if kept.outcome == "conflict":
        raise Rejected("another message has its key and other content", code="conflict", system="store")
    if kept.outcome == "duplicate":
        return kept
    at = now()
    row = {"channel": channel, "message": kept.message.id, "control_id": message.control_number, "state": "waiting"}
    asked = upsert(outbound).values(row | {"next_at": at, "put_at": at, "changed_at": at})
    if await connection.scalar(asked.on_conflict_do_nothing().returning(outbound.c.id)) is None:
        told = f"another message to {channel} has the control id {message.control_number}"
        raise Rejected(told, code="conflict", system="store")
    await connection.execute(upsert(channel_states).values(channel=channel).on_conflict_do_nothing())
    return kept


async def _keep_answer(
    connection: AsyncConnection, channel: str, control_id: str, word: Word, at: datetime, state: str, reason: str = ""
) -> str:
    """Keep the bytes of an answer; they are nobody's to route."""
    if word.message or not word.data:
        return word.message
    new = NewMessage(door=DOOR, data=word.data, partner=channel, kind=ACKNOWLEDGEMENT, control_number=control_id, at=at)
    kept = await keep_in(connection, new)
    await mark_in(connection, kept.message.id, state, reason=reason)
    return kept.message.id


async def _note(connection: AsyncConnection, message: str, reason: str, at: datetime) -> None:
    """A word in a message's history that changes nothing about it."""
    state = select(messages.c.id, messages.c.state, literal(reason[:LONGEST_WORD]), literal(at))
    noted = insert(message_states).from_select(
        ["message", "state", "reason", "at"], state.where(messages.c.id == message)
    )
    await connection.execute(noted)
