"""Channels as operators keep them: how each stands, paused and resumed, dead letters sent again or passed over; each deed noted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.errors import Rejected
from store.acts import Act, note_in
from store.case_tables import channel_states, deliveries, events, outbound
from store.database import transaction
from store.ids import now
from store.journal import mark_in
from store.standing import CLOSED, Standing, standing_of

WEBHOOK = "webhook/"  # how the channel of a subscriber's webhook begins
_UNFINISHED = outbound.c.state.in_(("waiting", "sent")) | outbound.c.blocks


class Backlog(Canonical):
    """What waits for a target. ``head`` is the first message, ``said`` the last word about it; ``stands_still``: it is dead, and
    nothing passes it."""

    channel: str
    waiting: int = 0
    oldest: datetime | None = None
    dead: int = 0
    head: str = ""
    said: str = ""
    stands_still: bool = False


class OutboundRow(Canonical):
    """A message of a channel, and how far it came."""

    message: str
    channel: str
    control_id: str = ""
    state: str
    blocks: bool = False
    attempts: int = 0
    answer: str = ""
    application: str = ""
    said: str = ""
    put_at: datetime
    changed_at: datetime


class StoredChannelKeeping:
    """Operators' questions and deeds in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # ---- how they stand --------------------------------------------------------------------------------------------

    async def backlogs(self) -> Sequence[Backlog]:
        """What waits, for every channel that ever had something to send, webhooks among them."""
        async with transaction(self._engine) as connection:
            counted = {row.channel: dict(row._mapping) for row in await connection.execute(_counted())}
            for row in await connection.execute(_heads()):
                counted.setdefault(row.channel, {"channel": row.channel}).update(row._mapping)
            for row in await connection.execute(_webhooks()):
                counted[row.channel] = dict(row._mapping)
        return [Backlog.model_validate(one) for _, one in sorted(counted.items())]

    async def standings(self) -> Sequence[Standing]:
        """How every channel stands that was ever used or paused."""
        async with transaction(self._engine) as connection:
            rows = await connection.execute(select(channel_states).order_by(channel_states.c.channel))
            return [standing_of(row) for row in rows.mappings()]

    async def outbound(self, channel: str, state: str = "", limit: int = 100) -> Sequence[OutboundRow]:
        """Messages of a channel: what is unfinished in its order, or those of one state, newest first."""
        asked = select(outbound).where(outbound.c.channel == channel).limit(limit)
        asked = (
            asked.where(outbound.c.state == state).order_by(outbound.c.id.desc())
            if state
            else asked.where(_UNFINISHED).order_by(outbound.c.id)
        )
        async with transaction(self._engine) as connection:
            rows = await connection.execute(asked)
            return [OutboundRow.model_validate(dict(row)) for row in rows.mappings()]

    # ---- what operators do ----------------------------------------------------------------------------------------

    async def pause(self, channel: str, act: Act) -> Standing:
        """Send nothing more by a channel until it is resumed; what is under way is still answered. Again, nothing happens."""
        async with transaction(self._engine) as connection:
            held = await _locked(connection, channel)
            if held.paused:
                return held
            word = {"paused_by": act.actor.id, "paused_known_by": act.actor.known_by, "paused_why": act.reason}
            values = word | {"paused_at": now()}
            changed = update(channel_states).where(channel_states.c.channel == channel).values(values)
            await connection.execute(changed)
            await note_in(connection, act)
            return held.model_copy(update=values)

    async def resume(self, channel: str, act: Act) -> Standing:
        """Send on at once: a pause is lifted, and what waits for another try, or for an open breaker, is tried now."""
        async with transaction(self._engine) as connection:
            held = await _locked(connection, channel)
            at = now()
            values: dict[str, Any] = {"paused_by": "", "paused_known_by": "", "paused_why": "", "paused_at": None}
            if held.breaker != CLOSED:
                values["probe_at"] = at
            changed = update(channel_states).where(channel_states.c.channel == channel).values(values)
            await connection.execute(changed)
            waits = (outbound.c.channel == channel) & outbound.c.state.in_(("waiting", "sent"))
            hurried = update(outbound).where(waits, outbound.c.next_at > at).values(next_at=at)
            count = (await connection.execute(hurried)).rowcount
            if held.paused or held.breaker != CLOSED or count:
                since = f"paused since {held.paused_at:%Y-%m-%dT%H:%M:%SZ}" if held.paused_at else ""
                detail = ", ".join(part for part in (since, f"breaker {held.breaker}") if part)
                await note_in(connection, act.model_copy(update={"detail": detail}))
            return held.model_copy(update=values)

    async def retry(
        self, which: Sequence[str], act: Act, *, channel: str = "", dry_run: bool = False
    ) -> Sequence[OutboundRow]:
        """Send dead letters again in their old order: these messages, or without any named all those (of one channel).

        The same bytes under the same MSH-10: who has one already knows it. What waits already stays as it is.

        Raises:
            Rejected: one is not of a channel, or was taken.
        """
        async with transaction(self._engine) as connection:
            rows = await self._named(connection, which, channel)
            for row in rows:
                if row.state == "answered":
                    why = f"message {row.message} was taken: {row.said}"
                    raise Rejected(why, code="conflict", system="store")
            dead = [row for row in rows if row.state == "dead"]
            if dry_run:
                return rows
            at = now()
            fresh = {"state": "waiting", "attempts": 0, "answer": "", "application": "", "said": "", "blocks": False}
            for row in dead:
                found = update(outbound).where(outbound.c.channel == row.channel, outbound.c.message == row.message)
                await connection.execute(found.values(fresh | {"next_at": at, "changed_at": at}))
                who = f"sent again, asked by {act.actor.id} ({act.actor.known_by})"
                await mark_in(
                    connection, row.message, "validated", reason=f"{who}: {act.reason}" if act.reason else who
                )
            await note_in(connection, *(_of(act, row) for row in dead))
        return [row.model_copy(update=fresh) if row.state == "dead" else row for row in rows]

    async def skip(self, message: str, act: Act) -> OutboundRow:
        """Let a channel go on without the dead letter it stands still behind; that one stays a dead letter.

        Raises:
            Rejected: it is none.
        """
        async with transaction(self._engine) as connection:
            (row,) = await self._named(connection, [message], "")
            if row.state != "dead":
                raise Rejected(f"message {message} is {row.state}, not dead", code="conflict", system="store")
            if not row.blocks:
                return row
            found = update(outbound).where(outbound.c.channel == row.channel, outbound.c.message == message)
            await connection.execute(found.values(blocks=False, changed_at=now()))
            await note_in(connection, _of(act, row))
        return row.model_copy(update={"blocks": False})

    async def _named(self, connection: AsyncConnection, which: Sequence[str], channel: str) -> list[OutboundRow]:
        asked = select(outbound).order_by(outbound.c.id).with_for_update()
        asked = asked.where(outbound.c.message.in_(which) if which else outbound.c.state == "dead")
        if channel:
            asked = asked.where(outbound.c.channel == channel)
        rows = [OutboundRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]
        if unknown := set(which) - {row.message for row in rows}:
            told = ", ".join(sorted(unknown))
            raise Rejected(f"no channel has a message {told}", code="not-found", system="store")
        return rows


async def _locked(connection: AsyncConnection, channel: str) -> Standing:
    await connection.execute(upsert(channel_states).values(channel=channel).on_conflict_do_nothing())
    asked = select(channel_states).where(channel_states.c.channel == channel).with_for_update()
    return standing_of((await connection.execute(asked)).mappings().one())


def _of(act: Act, row: OutboundRow) -> Act:
    detail = f"to {row.channel}, given up after {row.attempts} tries: {row.said}"
    return act.model_copy(update={"about": f"message/{row.message}", "detail": detail})


def _counted() -> Select[Any]:
    waiting = outbound.c.state.in_(("waiting", "sent"))
    return (
        select(
            outbound.c.channel,
            func.count().filter(waiting).label("waiting"),
            func.min(outbound.c.put_at).filter(waiting).label("oldest"),
            func.count().filter(outbound.c.state == "dead").label("dead"),
        )
        .where(waiting | (outbound.c.state == "dead"))
        .group_by(outbound.c.channel)
    )


def _heads() -> Select[Any]:
    first = select(func.min(outbound.c.id)).where(_UNFINISHED).group_by(outbound.c.channel)
    head = (outbound.c.channel, outbound.c.message.label("head"), outbound.c.said)
    return select(*head, outbound.c.blocks.label("stands_still")).where(outbound.c.id.in_(first))


def _webhooks() -> Select[Any]:
    waiting = deliveries.c.state == "waiting"
    return (
        select(
            (literal(WEBHOOK) + deliveries.c.subscriber).label("channel"),
            func.count().filter(waiting).label("waiting"),
            func.min(events.c.occurred_at).filter(waiting).label("oldest"),
            func.count().filter(deliveries.c.state == "dead").label("dead"),
            func.coalesce(func.max(deliveries.c.error).filter(waiting), "").label("said"),
        )
        .join_from(deliveries, events, events.c.id == deliveries.c.event)
        .where(deliveries.c.state.in_(("waiting", "dead")))
        .group_by(deliveries.c.subscriber)
    )
