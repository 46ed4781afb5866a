"""Streams: the messages of one sender about one subject go on in order, and one that cannot go on parks its own stream only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Integer,
    Select,
    SmallInteger,
    Text,
    any_,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.messages import Kept
from store.database import at_once, transaction
from store.ids import now
from store.kept import KEPT, SLOTS, kept_rows, short_key
from store.tables import Words, messages, parked_streams

ASIDE_AT_ONCE: Final = 5000

# Written out, not given as parameters: a plan made once for all can only use an index of some rows where it sees which.
_IN, _EMPTY, _RECEIVED, _VALIDATED = (literal_column(f"'{word}'", Text) for word in ("in", "", "received", "validated"))
WAITS: Final = (messages.c.direction == _IN) & messages.c.state.in_((_RECEIVED, _VALIDATED))
IN_STREAM: Final = WAITS & (messages.c.stream != _EMPTY)


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

    async def next_to_route(
        self, shard: int | Collection[int], of: int, limit: int = 500, *, without: Collection[str] = ()
    ) -> Sequence[Kept]:
        """What came in streams of shard ``shard`` of ``of`` (or of several) and is not yet routed: urgent first, each stream in order.

        Streams in ``without`` are left out: their router knows that they wait for something. An urgent message brings with it
        what waits before it in its stream, however little urgent that is.
        """
        shards = shards_of(shard, of)
        slots = [slot for slot in range(SLOTS) if slot % of in shards]
        of_all = len(shards) == of
        given: dict[str, Any] = {} if of_all else {"slots": slots}
        if without:
            given["without"] = [short_key(stream) for stream in without]
        asked = _next(rounded(limit), of_all=of_all, but=bool(without))
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked, given)).fetchmany(limit)
            found = {one.id: one for one in kept_rows(rows)}
            for message in await _overtaken(connection, list(found.values()), limit):
                found[message.id] = message
        return in_order(found.values())[:limit]

    async def park(self, stream: str, message: str, reason: str) -> None:
        """Let a stream wait behind one of its messages; one that is parked keeps its first reason."""
        async with at_once(self._engine) as connection:
            await park_in(connection, stream, message, reason)

    async def unpark(self, stream: str) -> None:
        """Let a stream go on with what waits in it, in order."""
        async with transaction(self._engine) as connection:
            await unpark_in(connection, stream)

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


def shards_of(shard: int | Collection[int], of: int) -> frozenset[int]:
    """The shards that are asked for.

    Raises:
        ValueError: there is no such shard.
    """
    shards = frozenset((shard,) if isinstance(shard, int) else shard)
    for one in shards:
        if not 0 <= one < of:
            raise ValueError(f"{of} shards have no shard {one}")
    return shards


async def park_in(connection: AsyncConnection, stream: str, message: str, reason: str) -> None:
    """Park a stream in a transaction of the caller's; one that is parked keeps its first reason."""
    row = {"stream": short_key(stream), "message": message, "reason": reason, "at": now()}
    await connection.execute(upsert(parked_streams).values(row).on_conflict_do_nothing())


async def unpark_in(connection: AsyncConnection, stream: str) -> None:
    """Let a stream go on, in a transaction of the caller's."""
    stream = short_key(stream)
    held = select(parked_streams.c.stream).where(parked_streams.c.stream == stream).with_for_update()
    back = update(messages).where(IN_STREAM, messages.c.stream == stream, messages.c.parked).values(parked=False)
    if await connection.scalar(held) is not None:
        await connection.execute(back)
        await connection.execute(delete(parked_streams).where(parked_streams.c.stream == stream))


async def _overtaken(connection: AsyncConnection, found: Sequence[Kept], limit: int) -> list[Kept]:
    """What waits before these in their streams and is less urgent: seldom anything, where priorities go by sender."""
    if not found:
        return []
    oldest = await connection.scalar(_OLDEST, {"above": min(one.priority for one in found)})
    if oldest is None:
        return []
    last, urgency = {one.stream: one.id for one in sorted(found, key=lambda one: one.id)}, dict[str, int]()
    for one in found:
        urgency[one.stream] = min(urgency.get(one.stream, one.priority), one.priority)
    asked = {"streams": list(last), "lasts": list(last.values()), "priorities": [urgency[name] for name in last]}
    overtaken: list[Kept] = []
    for row in (await connection.execute(_OVERTAKING, asked | {"oldest": oldest})).all():
        before = {"of_stream": row.stream, "oldest": oldest, "last": row.last, "most": limit}
        overtaken += kept_rows((await connection.execute(_BEFORE, before)).all())
    return overtaken


def in_order(waiting: Iterable[Kept]) -> list[Kept]:
    """Messages as they are to be routed: each as urgent as the most urgent that waits behind it in its stream."""
    urgency: dict[str, int] = {}  # of each stream so far, from its end
    ranked = []
    for message in sorted(waiting, key=lambda one: one.id, reverse=True):
        urgency[message.stream] = min(urgency.get(message.stream, message.priority), message.priority)
        ranked.append((urgency[message.stream], message.id, message))
    return [message for _, _, message in sorted(ranked, key=lambda one: one[:2])]


def rounded(limit: int) -> int:
    """A limit that few statements have, so that each is soon planned for good; what is more than was asked for is not read."""
    return next((some for some in (20, 100) if limit <= some), -(-limit // 500) * 500)


@cache
def _next(most: int, *, of_all: bool, but: bool) -> Select[Any]:
    """By the index of what is next: what it costs does not depend on how much waits, or was ever kept.

    The limit stands in the statement. As a parameter it would be unknown to a plan made once for all, so that PostgreSQL would
    plan anew each time, over the partitions of a year: several times what the reading costs.
    """
    parked = messages.c.stream.in_(select(parked_streams.c.stream))
    mine = () if of_all else (messages.c.slot == any_(bindparam("slots", type_=ARRAY(SmallInteger))),)
    return (
        select(*KEPT)
        .where(IN_STREAM, ~messages.c.parked, ~parked, *mine, *((_LEFT_OUT,) if but else ()))
        .order_by(messages.c.priority, messages.c.id)
        .limit(literal_column(str(int(most))))
    )


# As a subquery it is hashed once, however many there are.
_LEFT_OUT: Final = messages.c.stream.not_in(select(func.unnest(bindparam("without", type_=ARRAY(Text)))))
# The oldest of those less urgent than that: what it does not precede overtakes nobody.
_OLDEST: Final = text("""
    SELECT min(oldest.id) FROM generate_series(CAST(:above AS int) + 1, 9) AS p (priority) CROSS JOIN LATERAL (
        SELECT id FROM messages WHERE direction = 'in' AND state IN ('received', 'validated') AND stream <> ''
        AND NOT parked AND priority = p.priority ORDER BY id LIMIT 1) oldest
""")
_OVERTAKING: Final = text("""
    SELECT s.stream, s.last FROM unnest(:streams, :lasts, :priorities) AS s (stream, last, priority) WHERE EXISTS (
        SELECT FROM messages w WHERE w.direction = 'in' AND w.state IN ('received', 'validated') AND w.stream <> ''
        AND w.stream = s.stream AND w.id >= :oldest AND w.id < s.last AND w.priority > s.priority)
""").bindparams(
    bindparam("streams", type_=ARRAY(Text)),
    bindparam("lasts", type_=ARRAY(Text)),
    bindparam("priorities", type_=ARRAY(SmallInteger)),
    bindparam("oldest", type_=Text),
)
_BEFORE: Final = (
    select(*KEPT)
    .where(IN_STREAM, messages.c.stream == bindparam("of_stream", type_=Words))
    .where(messages.c.id >= bindparam("oldest", type_=Words), messages.c.id < bindparam("last", type_=Words))
    .order_by(messages.c.id)
    .limit(bindparam("most", type_=Integer))
)
