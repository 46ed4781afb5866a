"""Streams: the messages of one sender about one subject go on in order, and one that cannot go on parks its own stream only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Integer, Select, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical
from canonical.ports import Kept
from store.database import at_once, transaction
from store.ids import now
from store.kept import KEPT, kept, short_key
from store.tables import messages, parked_streams

ASIDE_AT_ONCE: Final = 5000

WAITS: Final = (messages.c.direction == "in") & messages.c.state.in_(("received", "validated"))
IN_STREAM: Final = WAITS & (messages.c.stream != "")


class ParkedStream(Canonical):
    """A stream that waits for a person: the message it waits for and why, and how many wait behind it since when."""

    stream: str
    message: str
    reason: str = ""
    at: datetime
    behind: int = 0
    oldest: datetime | None = None


class StoredStreams:
    """Streams in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def next_to_route(self, shard: int, of: int, limit: int = 500) -> Sequence[Kept]:
        """What came in streams of shard ``shard`` of ``of`` and is not yet routed: urgent first, each stream in order.

        A message waits for the earlier ones of its stream, also where those are less urgent.
        """
        if not 0 <= shard < of:
            raise ValueError(f"{of} shards have no shard {shard}")
        async with at_once(self._engine) as connection:
            rows = await connection.execute(_NEXT, {"shard": shard, "of": of, "most": limit})
            return [kept(row) for row in rows.mappings()]

    async def park(self, stream: str, message: str, reason: str) -> None:
        """Let a stream wait behind one of its messages; one that is parked keeps its first reason."""
        row = {"stream": short_key(stream), "message": message, "reason": reason, "at": now()}
        async with at_once(self._engine) as connection:
            await connection.execute(upsert(parked_streams).values(row).on_conflict_do_nothing())

    async def unpark(self, stream: str) -> None:
        """Let a stream go on with what waits in it, in order."""
        stream = short_key(stream)
        held = select(parked_streams.c.stream).where(parked_streams.c.stream == stream).with_for_update()
        back = update(messages).where(IN_STREAM, messages.c.stream == stream, messages.c.parked).values(parked=False)
        async with transaction(self._engine) as connection:
            if await connection.scalar(held) is not None:
                await connection.execute(back)
                await connection.execute(delete(parked_streams).where(parked_streams.c.stream == stream))

    async def parked(self) -> Sequence[ParkedStream]:
        """The parked streams, oldest first, with what waits behind each."""
        behind = (
            select(func.count().label("behind"), func.min(messages.c.at).label("oldest"))
            .where(IN_STREAM, messages.c.stream == parked_streams.c.stream)
            .lateral()
        )
        asked = select(parked_streams, behind.c.behind, behind.c.oldest).order_by(parked_streams.c.at)
        async with transaction(self._engine) as connection:
            return [ParkedStream.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def set_aside(self, at_most: int = ASIDE_AT_ONCE) -> int:
        """Take what waits behind parked streams out of the routers' way, some of it; gives how much that was.

        Routers pass over it in any case: this only spares them the looking. Done in steps, each under the lock of its
        stream, so that who unparks it misses nothing.
        """
        streams = select(parked_streams.c.stream).order_by(parked_streams.c.at)
        done = 0
        async with transaction(self._engine) as connection:
            waiting = list(await connection.scalars(streams))
        for stream in waiting:
            held = select(parked_streams.c.stream).where(parked_streams.c.stream == stream).with_for_update()
            some = (
                select(messages.c.id)
                .where(IN_STREAM, messages.c.stream == stream, ~messages.c.parked)
                .order_by(messages.c.id)
                .limit(at_most - done)
                .with_for_update(skip_locked=True)
            )
            async with transaction(self._engine) as connection:
                if await connection.scalar(held) is not None:
                    aside = update(messages).where(messages.c.id.in_(some.scalar_subquery())).values(parked=True)
                    done += (await connection.execute(aside)).rowcount
            if done >= at_most:
                break
        return done


def _next() -> Select[Any]:
    """Found by the index of what is next; a stream's own order is asked of the index of what is behind."""
    earlier = messages.alias("earlier")
    parked = select(parked_streams.c.stream).where(parked_streams.c.stream == messages.c.stream).exists()
    overtakes = (
        select(earlier.c.id)
        .where(
            earlier.c.direction == "in",
            earlier.c.state.in_(("received", "validated")),
            earlier.c.stream != "",
            earlier.c.stream == messages.c.stream,
            earlier.c.id < messages.c.id,
            earlier.c.priority > messages.c.priority,
        )
        .exists()
    )
    shard, of = bindparam("shard", type_=Integer), bindparam("of", type_=Integer)
    return (
        select(*KEPT)
        .where(IN_STREAM, ~messages.c.parked, messages.c.slot % of == shard, ~parked, ~overtakes)
        .order_by(messages.c.priority, messages.c.id)
        .limit(bindparam("most", type_=Integer))
    )


_NEXT: Final = _next()
