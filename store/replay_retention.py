"""Replays are kept for as long as any of their messages: then nobody can ask any more what became of what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, Text, any_, delete, exists, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import transaction
from store.tables import messages, replay_items, replay_jobs

ENDED = ("done", "cancelled")


async def forget_replays(engine: AsyncEngine, before: datetime, at_once: int, batches: int) -> int:
    """Delete the jobs that ended before a moment and have no message left in the journal, with their items; gives how many."""
    there = exists().where(replay_items.c.job == replay_jobs.c.id, messages.c.id == replay_items.c.message)
    old = replay_jobs.c.state.in_(ENDED) & (replay_jobs.c.ended_at < before)
    done, after = 0, ""
    for _ in range(batches):
        some = select(replay_jobs.c.id, there.label("there")).where(old, replay_jobs.c.id > after)
        async with transaction(engine) as connection:
            rows = (await connection.execute(some.order_by(replay_jobs.c.id).limit(at_once))).all()
            gone = [row.id for row in rows if not row.there]
            if gone:
                named = literal(gone, ARRAY(Text))
                await connection.execute(delete(replay_items).where(replay_items.c.job == any_(named)))
                await connection.execute(delete(replay_jobs).where(replay_jobs.c.id == any_(named)))
        done += len(gone)
        if len(rows) < at_once:
            break
        after = rows[-1].id
    return done
