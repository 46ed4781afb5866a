"""Replays as jobs: which messages go through their routing once more, who asked, and what became of each.

A message and its job are marked both ways: the message's history names the job, the job's item what became of it, in one transaction.
A message is never doubled: it stays the one it was, so what its case has taken under its number it knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import Field
from sqlalchemy import ColumnElement, RowMapping, and_, exists, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.messages import Kept, Move, NewMessage
from canonical.replays import ReplayItem, ReplayJob
from store.acts import Act, note_in
from store.database import transaction
from store.ids import new_id, now
from store.keep import keep_in
from store.kept import KEPT
from store.let_go import UNROUTED, let_go
from store.moves import mark_many_in, unknown
from store.queries import matching
from store.query_models import MessageQuery
from store.streams import park_in, unpark_in
from store.tables import fit, messages, parked_streams, replay_items, replay_jobs
from store.unmatched import settle_in

MOST: Final = 200_000  # messages of one job
LONGEST_DETAIL: Final = 1000
OPEN: Final = ("waiting", "running")
CORRECTABLE: Final = ("dead", "refused", "skipped")


class Result(Canonical):
    """What became of one item: ``outcome`` in the words of :mod:`canonical.replays`; ``state`` is that of its message by now, ``move``
    is given where that is still to be written down. ``unpark``: its stream goes on, where it waits for this message.
    """

    item: ReplayItem
    outcome: str
    detail: str = ""
    case: str = ""
    state: str = ""
    move: Move | None = None
    unpark: bool = False


class Corrected(Canonical):
    """A correction as it was kept, and the job that routes it."""

    message: Kept
    job: ReplayJob
    items: tuple[ReplayItem, ...] = Field(default=())


class StoredReplays:
    """Jobs in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # ---- asking for one -----------------------------------------------------------------------------------------------

    async def open(self, which: MessageQuery, act: Act, *, at_most: int = MOST) -> ReplayJob:
        """Make a job of every message that fits, oldest first. They are those of this moment: what comes later is not of it.

        Raises:
            Rejected: no message fits, or more than ``at_most``.
        """
        at, job = now(), new_id()
        found = matching(which.model_copy(update={"direction": "in"}))
        place = func.row_number().over(order_by=messages.c.id)
        columns = (messages.c.id, messages.c.stream, messages.c.state, place)
        asked = select(literal(job), *columns, literal("waiting"), literal(at), literal(at)).where(*found)
        into = ["job", "message", "stream", "before", "position", "state", "next_at", "changed_at"]
        async with transaction(self._engine) as connection:
            written = insert(replay_items).from_select(into, asked.limit(at_most + 1), include_defaults=False)
            total = (await connection.execute(written)).rowcount
            if not total:
                raise Rejected("no message fits", code="not-found", system="store")
            if total > at_most:
                why = f"more than {at_most} messages fit: narrow it down, by time for example"
                raise Rejected(why, code="conflict", system="store")
            what = which.model_dump_json(exclude_defaults=True)
            await _make(connection, job, act, what, total, at)
            await note_in(connection, act.model_copy(update={"about": f"replay/{job}", "detail": f"{total} messages"}))
        return await self._known(job)

    async def open_one(
        self, message: str, act: Act, held_for: timedelta = timedelta(0)
    ) -> tuple[ReplayJob, ReplayItem]:
        """Make a job of one message; for ``held_for`` nobody takes it but who asked.

        Raises:
            Rejected: there is no such message.
        """
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(messages).where(messages.c.id == message))).mappings().one_or_none()
            if row is None:
                raise unknown(message)
            job = await _one(connection, dict(row), act, held_for)
            await note_in(connection, act.model_copy(update={"about": f"message/{message}"}))
        return await self._known(job), (await self.items(job))[0]

    async def correct(self, original: str, new: NewMessage, act: Act, held_for: timedelta = timedelta(0)) -> Corrected:
        """Keep the corrected bytes of a message as its next version, in the original's stream, with a job that routes them.

        The original's bytes stay as they came; nothing of its stream goes before the correction. The same correction
        again is the same message.

        Raises:
            Rejected: there is no such message, or it is not in a state to be corrected.
        """
        async with transaction(self._engine) as connection:
            asked = select(*KEPT).where(messages.c.id == original).with_for_update()
            row = (await connection.execute(asked)).mappings().one_or_none()
            if row is None:
                raise unknown(original)
            result = await keep_in(connection, new.model_copy(update={"version_of": original, "stream": row["stream"]}))
            if result.outcome != "duplicate":
                if row["state"] not in CORRECTABLE:
                    why = f"message {original} is {row['state']}: only what was not taken is corrected"
                    raise Rejected(why, code="not-open", system="store")
                if row["stream"]:
                    await park_in(connection, row["stream"], original, f"waits for its correction {result.message.id}")
                said = f"corrected by {_who(act)} as message {result.message.id}"
                await mark_many_in(connection, [Move(message=original, state="corrected", reason=_why(said, act))])
                await note_in(connection, act.model_copy(update={"about": f"message/{original}"}))
            fields = {"id": result.message.id, "stream": result.message.stream, "state": result.message.state}
            job = await _one(connection, fields, act, held_for)
        return Corrected(message=result.message, job=await self._known(job), items=tuple(await self.items(job)))

    async def skip(self, message: str, act: Act) -> bool:
        """Let a stream go on without a message that could not be taken; whether a stream waited for it.

        Raises:
            Rejected: there is no such message, or it is neither dead nor refused.
        """
        async with transaction(self._engine) as connection:
            asked = select(messages.c.state, messages.c.stream).where(messages.c.id == message).with_for_update()
            row = (await connection.execute(asked)).one_or_none()
            if row is None:
                raise unknown(message)
            if row.state not in ("dead", "refused", "skipped"):
                why = f"message {message} is {row.state}: only a dead or refused one is passed over"
                raise Rejected(why, code="not-open", system="store")
            said = _why(f"passed over by {_who(act)}", act)
            await mark_many_in(connection, [Move(message=message, state="skipped", reason=said)])
            await settle_in(connection, [message], act.actor.id, said)
            await note_in(connection, act.model_copy(update={"about": f"message/{message}"}))
            waits = (parked_streams.c.stream == row.stream) & (parked_streams.c.message == message)
            parked = await connection.scalar(select(parked_streams.c.stream).where(waits))
            if parked is not None:
                await unpark_in(connection, parked)
        return parked is not None

    async def cancel(self, job: str, act: Act) -> ReplayJob:
        """Route nothing more of a job; what was done stays done. A correction it has not routed is a dead letter from then on.

        Raises:
            Rejected: there is no such job, or it has ended.
        """
        at = now()
        async with transaction(self._engine) as connection:
            asked = select(replay_jobs.c.state).where(replay_jobs.c.id == job).with_for_update()
            state = await connection.scalar(asked)
            if state is None:
                raise Rejected(f"there is no replay {job}", code="not-found", system="store")
            if state not in OPEN:
                raise Rejected(f"replay {job} is {state} already", code="not-open", system="store")
            await let_go(connection, job, act)
            left = (replay_items.c.job == job) & (replay_items.c.state == "waiting")
            await connection.execute(update(replay_items).where(left).values(state="cancelled", changed_at=at))
            by = {"cancelled_by": act.actor.id, "cancelled_why": act.reason}
            ended = update(replay_jobs).where(replay_jobs.c.id == job)
            await connection.execute(ended.values(state="cancelled", ended_at=at, **by))
            await note_in(connection, act.model_copy(update={"about": f"replay/{job}"}))
        return await self._known(job)

    # ---- doing it -------------------------------------------------------------------------------------------------------

    async def at_work(self) -> Sequence[ReplayJob]:
        """The jobs that are not done, the oldest first."""
        return await self._jobs(replay_jobs.c.state.in_(OPEN), newest_first=False, counted=False)

    async def due(self, job: str, at: datetime, limit: int = 100) -> Sequence[ReplayItem]:
        """What is next of a job; nothing overtakes an item of its stream that waits for what is away."""
        before = replay_items.alias("before")
        held = exists().where(
            before.c.job == replay_items.c.job,
            before.c.state == "waiting",
            before.c.stream == replay_items.c.stream,
            before.c.stream != "",
            before.c.next_at > at,
            before.c.position < replay_items.c.position,
        )
        mine = and_(replay_items.c.job == job, replay_items.c.state == "waiting", replay_items.c.next_at <= at)
        asked = select(replay_items).where(mine, ~held).order_by(replay_items.c.position).limit(limit)
        async with transaction(self._engine) as connection:
            return [_item(row) for row in (await connection.execute(asked)).mappings()]

    async def check(self, message: str) -> None:
        """Ask whether a message may be routed once more.

        Raises:
            Rejected: there is none of that name, or it came under the number of another.
        """
        async with transaction(self._engine) as connection:
            await _may(connection, message)

    async def begin(self, message: str, job: ReplayJob) -> None:
        """Let a message without a stream be routed once more: its history names who asked for it.

        Raises:
            Rejected: as :meth:`check`.
        """
        async with transaction(self._engine) as connection:
            await _may(connection, message)
            await mark_many_in(connection, [Move(message=message, state="validated", reason=replayed_by(job))])

    async def settle(self, job: ReplayJob, results: Sequence[Result]) -> None:
        """Write down what became of items: their messages' states, their streams, and the job, in one transaction."""
        at = now()
        async with transaction(self._engine) as connection:
            moves = [move for one in results if one.move for move in (_asked(one.move, job), one.move)]
            await mark_many_in(connection, moves)
            for one in sorted(results, key=lambda each: each.item.stream):
                await _written(connection, one, at)
                await _stream_after(connection, one, job)
            await _end(connection, job.id, at)

    async def later(self, job: ReplayJob, items: Sequence[ReplayItem], reason: str, again_at: datetime) -> None:
        """What they need is away: try again then. A message of a stream that got half-way is what it was meanwhile."""
        names = [one.message for one in items]
        which = (replay_items.c.job == job.id) & replay_items.c.message.in_(names) & (replay_items.c.state == "waiting")
        said = {"detail": reason[:LONGEST_DETAIL], "next_at": again_at, "attempts": replay_items.c.attempts + 1}
        async with transaction(self._engine) as connection:
            await connection.execute(update(replay_items).where(which).values(**said, changed_at=now()))
            for one in items[:1]:
                half = (messages.c.id == one.message) & (messages.c.state == "validated") & (messages.c.stream != "")
                found = await connection.scalar(select(messages.c.id).where(half).with_for_update())
                if found is not None and one.before not in UNROUTED:
                    back = Move(message=found, state=one.before, reason=f"its replay waits: {reason}")
                    await mark_many_in(connection, [back])

    # ---- looking at it --------------------------------------------------------------------------------------------------

    async def jobs(self, limit: int = 50) -> Sequence[ReplayJob]:
        """Jobs, newest first."""
        return await self._jobs(limit=limit)

    async def job(self, name: str) -> ReplayJob | None:
        """One job, or None."""
        found = await self._jobs(replay_jobs.c.id == name)
        return found[0] if found else None

    async def items(self, job: str, outcome: str = "", *, after: int = 0, limit: int = 100) -> Sequence[ReplayItem]:
        """The messages of a job in their order; ``outcome``: only those that came to this."""
        asked = select(replay_items).where(replay_items.c.job == job, replay_items.c.position > after)
        if outcome:
            asked = asked.where(replay_items.c.outcome == outcome)
        async with transaction(self._engine) as connection:
            rows = await connection.execute(asked.order_by(replay_items.c.position).limit(limit))
            return [_item(row) for row in rows.mappings()]

    async def of_message(self, message: str) -> Sequence[ReplayItem]:
        """Every time a message was asked to be routed once more, oldest first."""
        asked = select(replay_items).where(replay_items.c.message == message).order_by(replay_items.c.job)
        async with transaction(self._engine) as connection:
            return [_item(row) for row in (await connection.execute(asked)).mappings()]

    async def _known(self, name: str) -> ReplayJob:
        found = await self.job(name)
        assert found is not None
        return found

    async def _jobs(
        self, *which: ColumnElement[bool], limit: int = 1000, newest_first: bool = True, counted: bool = True
    ) -> Sequence[ReplayJob]:
        order = replay_jobs.c.id.desc() if newest_first else replay_jobs.c.id
        asked = select(replay_jobs).where(*which).order_by(order).limit(limit)
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked)).mappings().all()
            if not counted:
                return [_job(row, {}) for row in rows]
            done = (
                select(replay_items.c.job, replay_items.c.outcome, func.count().label("many"))
                .where(replay_items.c.job.in_([row["id"] for row in rows]), replay_items.c.state == "done")
                .group_by(replay_items.c.job, replay_items.c.outcome)
            )
            counts: dict[str, dict[str, int]] = {}
            for row in await connection.execute(done):
                counts.setdefault(row.job, {})[row.outcome] = row.many
        return [_job(row, counts.get(row["id"], {})) for row in rows]


def replayed_by(job: ReplayJob) -> str:
    """What a message's history says of its replay: who asked for it, in which job, and why."""
    who = f"replayed by {job.actor.id} ({job.actor.known_by})"
    return f"{who}: {job.reason} [replay {job.id}]" if job.reason else f"{who} [replay {job.id}]"


def _asked(move: Move, job: ReplayJob) -> Move:
    return Move(message=move.message, state="validated", reason=replayed_by(job))


def _who(act: Act) -> str:
    return f"{act.actor.id} ({act.actor.known_by})"


def _why(said: str, act: Act) -> str:
    return f"{said}: {act.reason}" if act.reason else said


async def _may(connection: AsyncConnection, message: str) -> None:
    asked = select(messages.c.conflicts_with).where(messages.c.id == message).with_for_update()
    row = (await connection.execute(asked)).one_or_none()
    if row is None:
        raise unknown(message)
    if row.conflicts_with:
        why = f"message {row.conflicts_with} has its number with other content: the sender must send it anew"
        raise Rejected(why, code="conflict", system="store")


async def _make(connection: AsyncConnection, job: str, act: Act, what: str, total: int, at: datetime) -> None:
    by = {"reason": act.reason, "actor": act.actor.id, "known_by": act.actor.known_by}
    row = {"id": job, "what": what, "state": "waiting", "total": total, "made_at": at, **by}
    await connection.execute(insert(replay_jobs).values(row))


async def _one(connection: AsyncConnection, row: Mapping[str, Any], act: Act, held_for: timedelta) -> str:
    at, job = now(), new_id()
    await _make(connection, job, act, f'{{"message":"{fit(row["id"])}"}}', 1, at)
    item = {"job": job, "message": row["id"], "stream": row["stream"], "before": row["state"], "position": 1}
    when = {"state": "waiting", "next_at": at + held_for, "changed_at": at}
    await connection.execute(insert(replay_items).values(item | when))
    return job


async def _written(connection: AsyncConnection, one: Result, at: datetime) -> None:
    """Also where the job was cancelled while it was under way: what was done is told."""
    mine = (replay_items.c.job == one.item.job) & (replay_items.c.message == one.item.message)
    said = {"outcome": one.outcome, "detail": one.detail[:LONGEST_DETAIL], "case": one.case}
    done = update(replay_items).where(mine, replay_items.c.state != "done")
    await connection.execute(done.values(state="done", changed_at=at, **said))


async def _stream_after(connection: AsyncConnection, one: Result, job: ReplayJob) -> None:
    """A stream that waits for this message goes on; one that waits for what this corrects waits for it, if it is no better."""
    if not one.state:
        return
    asked = select(messages.c.stream, messages.c.version_of).where(messages.c.id == one.item.message)
    row = (await connection.execute(asked)).one()
    versions = [name for name in (one.item.message, row.version_of) if name]
    if one.state == "routed":
        await settle_in(connection, versions, job.actor.id, replayed_by(job))
    waits = (parked_streams.c.stream == row.stream) & parked_streams.c.message.in_(versions)
    parked = await connection.scalar(select(parked_streams.c.stream).where(waits).with_for_update())
    if parked is None or one.move is None:
        return
    if one.unpark:
        await unpark_in(connection, parked)
    else:
        said = {"message": one.item.message, "reason": fit(one.move.reason)}
        await connection.execute(update(parked_streams).where(waits).values(said))


async def _end(connection: AsyncConnection, job: str, at: datetime) -> None:
    left = exists().where(replay_items.c.job == job, replay_items.c.state == "waiting")
    open_one = and_(replay_jobs.c.id == job, replay_jobs.c.state.in_(OPEN))
    began = {"began_at": func.coalesce(replay_jobs.c.began_at, at)}
    await connection.execute(update(replay_jobs).where(open_one, left).values(state="running", **began))
    await connection.execute(update(replay_jobs).where(open_one, ~left).values(state="done", ended_at=at, **began))


def _item(row: RowMapping) -> ReplayItem:
    return ReplayItem.model_validate({name: row[name] for name in ReplayItem.model_fields})


def _job(row: RowMapping, outcomes: Mapping[str, int]) -> ReplayJob:
    actor = Actor(id=row["actor"], known_by=row["known_by"])
    done = sum(outcomes.values())
    return ReplayJob.model_validate({**row, "actor": actor, "done": done, "outcomes": dict(outcomes)})
