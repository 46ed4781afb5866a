"""Deletes messages when their time is over: by sender, partner and kind, never one that somebody may still need.

Claims, lineage, documents and the keys that are remembered for ever stay: only messages with their states go, with a message of
ours that was answered its place in its channel's queue, and a replay with the last of its messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import Field
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Text,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    literal,
    not_,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical
from store.case_tables import outbound
from store.database import transaction
from store.ids import lowest_id
from store.partitions import StoredPartitions
from store.replay_retention import forget_replays
from store.tables import message_keys, message_states, messages
from store.usage_retention import DAYS as ROUND_DAYS
from store.usage_retention import forget_rounds

DAYS: Final = 400
AT_ONCE: Final = 1000
BATCHES: Final = 2000  # of a round; the next one goes on
_ANSWERED: Final = outbound.c.state == "answered"


def needed(row: str) -> str:
    """What is not settled, still in a channel's queue, waited for by its stream, or of a case that is not closed is needed whatever
    its age: a condition."""
    return f"""\
        ({row}.state NOT IN ('routed', 'refused', 'corrected', 'skipped', 'sent', 'acknowledged')
        OR ({row}."case" <> '' AND NOT EXISTS (SELECT 1 FROM cases c WHERE c."case" = {row}."case" AND c.closed))
        OR EXISTS (SELECT 1 FROM parked_streams p WHERE p.message = {row}.id)
        OR ({row}.state = 'sent' AND EXISTS (
            SELECT 1 FROM outbound o WHERE o.message = {row}.id AND o.state <> 'answered')))"""  # noqa: S608 only our own names


class KeepFor(Canonical):
    """How many days messages are kept; an empty field means any. ``kind`` may end in ``*``."""

    partner: str = ""
    sender: str = ""
    kind: str = ""
    days: int = Field(default=DAYS, ge=1)

    @property
    def exactness(self) -> int:
        """Of two that fit a message, the more exact one holds."""
        return bool(self.sender) * 4 + bool(self.partner) * 4 + bool(self.kind) * 2 - self.kind.endswith("*")

    def fits(self) -> ColumnElement[bool]:
        """Which messages it is about."""
        parts: list[ColumnElement[bool]] = [true()]
        parts += [messages.c[name] == getattr(self, name) for name in ("partner", "sender") if getattr(self, name)]
        if self.kind.endswith("*"):
            parts.append(messages.c.kind.startswith(self.kind[:-1], autoescape=True))
        elif self.kind:
            parts.append(messages.c.kind == self.kind)
        return and_(*parts)


class Deleted(Canonical):
    """What a round deleted: messages, keys whose time was over, replays, rounds of locations, and whole weeks (their Mondays)."""

    messages: int = 0
    keys: int = 0
    replays: int = 0
    rounds: int = 0
    weeks: tuple[str, ...] = ()


class StoredRetention:
    """Retention in our own database."""

    def __init__(self, engine: AsyncEngine, partitions: StoredPartitions | None = None) -> None:
        self._engine = engine
        self._partitions = partitions or StoredPartitions(engine)

    async def clean(
        self,
        rules: Sequence[KeepFor],
        now: datetime,
        *,
        days: int = DAYS,
        at_once: int = AT_ONCE,
        batches: int = BATCHES,
    ) -> Deleted:
        """Delete what may go as of ``now``, oldest first, in batches; ``days`` holds where no rule fits.

        Raises:
            Unavailable: our database does not answer, or a week was in use; what was deleted is, the rest goes next time.
        """
        keys = await self._keys(now, at_once, batches)
        gone = 0
        ordered = sorted(rules, key=lambda rule: -rule.exactness)
        for place, rule in enumerate([*ordered, KeepFor(days=days)]):
            others = [more_exact.fits() for more_exact in ordered[:place]]
            which = and_(rule.fits(), not_(or_(*others))) if others else rule.fits()
            gone += await self._messages(which, now - timedelta(days=rule.days), at_once, batches)
        longest = timedelta(days=max([days, *(rule.days for rule in rules)]))
        weeks = [
            week.monday.isoformat()
            for week in await self._partitions.weeks()
            if week.ends < now - longest and await self._partitions.drop(week, needed("m"))
        ]
        await self._queued(now - longest, at_once, batches)
        shortest = timedelta(days=min([days, *(rule.days for rule in rules)]))
        replays = await forget_replays(self._engine, now - shortest, at_once, batches)
        rounds = await forget_rounds(self._engine, now - timedelta(days=ROUND_DAYS), at_once, batches)
        return Deleted(messages=gone, keys=keys, replays=replays, rounds=rounds, weeks=tuple(weeks))

    async def _messages(self, which: ColumnElement[bool], before: datetime, at_once: int, batches: int) -> int:
        free = text(f"NOT {needed('messages')}")
        older = messages.c.id < lowest_id(before)
        done, after = 0, ""
        for _ in range(batches):
            inner = (
                select(messages.c.id)
                .where(which, older, messages.c.id > after)
                .order_by(messages.c.id)
                .limit(at_once)
                .subquery()
            )
            asked = select(inner.c.id).order_by(inner.c.id)
            async with transaction(self._engine) as connection:
                ids = list(await connection.scalars(asked))
                if not ids:
                    break
                span = messages.c.id.between(bindparam("lowest", ids[0], Text), bindparam("highest", ids[-1], Text))
                gone = (
                    delete(messages)
                    .where(messages.c.id == any_(literal(ids, ARRAY(Text))), span, free)
                    .returning(messages.c.id)
                )
                deleted = list(await connection.scalars(gone))
                if deleted:
                    states = message_states.c.message
                    within = states.between(min(deleted), max(deleted))
                    await connection.execute(
                        delete(message_states).where(states == any_(literal(deleted, ARRAY(Text))), within)
                    )
                    of_them = outbound.c.message == any_(literal(deleted, ARRAY(Text)))
                    await connection.execute(delete(outbound).where(of_them, _ANSWERED))
            done, after = done + len(deleted), ids[-1]
        return done

    async def _queued(self, before: datetime, at_once: int, batches: int) -> None:
        """Places in queues of what was in weeks that were dropped whole: nothing older than every retention is left but these."""
        there = exists().where(messages.c.id == outbound.c.message)
        old = (outbound.c.message < lowest_id(before)) & _ANSWERED & ~there
        some = select(outbound.c.id).where(old).limit(at_once)
        for _ in range(batches):
            async with transaction(self._engine) as connection:
                gone = delete(outbound).where(outbound.c.id.in_(some.scalar_subquery()))
                if (await connection.execute(gone)).rowcount < at_once:
                    break

    async def _keys(self, now: datetime, at_once: int, batches: int) -> int:
        """Keys whose time is over: a message under one of them is new in any case."""
        done = 0
        place = (message_keys.c.direction, message_keys.c.key)
        over = select(*place).where(message_keys.c.until < now).limit(at_once).with_for_update(skip_locked=True)
        for _ in range(batches):
            some = over.cte("over")
            gone = delete(message_keys).where(place[0] == some.c.direction, place[1] == some.c.key)
            async with transaction(self._engine) as connection:
                deleted = (await connection.execute(gone)).rowcount
            done += deleted
            if deleted < at_once:
                break
        return done
