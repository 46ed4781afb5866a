"""Corrections whose replay was cancelled before they were routed: dead letters, so that a person finds them and what waits behind."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.messages import Move
from store.acts import Act
from store.moves import mark_many_in
from store.tables import fit, messages, parked_streams, replay_items

UNROUTED = ("received", "validated")


async def let_go(connection: AsyncConnection, job: str, act: Act) -> int:
    """Make dead letters of the corrections a job has not routed; a stream that waits for one waits for a person now.

    It stands in its original's place, before what waits there, so the stream cannot simply go on: the correction would come last.
    Gives how many there were.
    """
    original = messages.alias("original")
    asked = (
        select(messages.c.id, messages.c.stream, messages.c.version_of, original.c.owner)
        .join(replay_items, replay_items.c.message == messages.c.id)
        .join(original, original.c.id == messages.c.version_of, isouter=True)
        .where(replay_items.c.job == job, replay_items.c.state == "waiting")
        .where(messages.c.version_of != "", messages.c.state.in_(UNROUTED))
        .order_by(messages.c.id)
        .with_for_update(of=messages)
    )
    rows = (await connection.execute(asked)).all()
    said = f"its replay was cancelled by {act.actor.id}: {act.reason}; replay it, correct it or skip it"
    moves = [Move(message=row.id, state="dead", reason=said, owner=row.owner or "") for row in rows]
    if moves:
        await mark_many_in(connection, moves)
    for row in rows:
        waits = (parked_streams.c.stream == row.stream) & (parked_streams.c.message == row.version_of)
        now_for = update(parked_streams).where(waits).values(message=row.id, reason=fit(said))
        await connection.execute(now_for)
    return len(rows)
