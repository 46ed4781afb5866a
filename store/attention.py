"""What stands still and needs a person, of every kind, in one list: what it is, why, since when, and what to press."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import RowMapping, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.replays import CONFLICT, NOT_REPLAYED, UNREADABLE
from store import access_attention, hr_away, people_attention, recall_attention, verification_attention
from store.attention_usage import stuck_uses
from store.case_tables import case_attention, cases, unmatched
from store.channel_keeping import StoredChannelKeeping
from store.database import transaction
from store.standing import CLOSED
from store.streams import WAITS, StoredStreams
from store.stuck import Stuck
from store.tables import messages, parked_streams, replay_items, replay_jobs

TOO_LONG: Final = timedelta(minutes=15)  # that something waits which is nobody's to decide
FAILED: Final = (UNREADABLE, CONFLICT, NOT_REPLAYED)
LOOKED_BACK: Final = timedelta(days=7)  # at replays that ended
MOST_COUNTED: Final = 10_000  # of one kind of dead letters: more are many, however many

PRESS: Final = {
    "conflict": "fascia journal accept {message} --preview, or fascia journal skip {message}",
    "requisition": "fascia journal replay {message} --preview shows what differs; correct it, or skip it",
    "mailbox_file": "mend it in the mailbox, then fascia unmatched dismiss {id}",
    "run": "end that run in Temporal's UI, close that way in, then fascia unmatched dismiss {id}",
    "hr_row": "fascia journal show {message}; its sender mends and sends it again, or journal correct; then dismiss {id}",
    "order": "nobody asked for it (docs/runbook.md): fascia unmatched dismiss {id}",
}
ANY_OTHER: Final = "fascia journal show {message}; fascia unmatched attach {id} CASE, or dismiss {id}"


class StoredAttention:
    """The list, from our own database. Each kind is asked for by an index of what is unfinished, however much is done."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def stuck(self, now: datetime) -> Sequence[Stuck]:
        """All that stands still as of ``now``, longest first.

        Raises:
            Unavailable: our database does not answer.
        """
        found = [
            *await self._parked(),
            *await self._channels(),
            *await self._asked(_dead(), _of_dead),
            *await self._asked(_waiting(now - TOO_LONG), _of_waiting),
            *await self._asked(_unmatched(), _of_unmatched),
            *await self._asked(_failed(now - LOOKED_BACK), _of_failed),
            *await self._asked(_standing(now - TOO_LONG), _of_standing),
            *await self._asked(_cases(), _of_cases),
            *await stuck_uses(self._engine, now - TOO_LONG),
            *await recall_attention.stuck(self._engine, now),
            *await people_attention.stuck(self._engine, now),
            *await hr_away.stuck(self._engine, now),
            *await verification_attention.stuck(self._engine, now),
            *await access_attention.stuck(self._engine, now),
        ]
        return sorted(found, key=lambda one: (one.since is None, one.since or now, one.what, one.name))

    async def _asked(self, statement: Any, made: Any) -> list[Stuck]:
        async with transaction(self._engine) as connection:
            return [made(row) for row in (await connection.execute(statement)).mappings()]

    async def _parked(self) -> list[Stuck]:
        return [
            Stuck(
                what="parked stream",
                name=one.stream,
                why=f"waits for message {one.message}: {one.reason}; {one.behind} behind it",
                since=one.at,
                press=f"fascia journal show {one.message}, then journal replay, correct or skip",
            )
            for one in await StoredStreams(self._engine).parked()
        ]

    async def _channels(self) -> list[Stuck]:
        keeping = StoredChannelKeeping(self._engine)
        found = []
        for one in await keeping.standings():
            name, resume = one.channel, f"fascia channel resume {one.channel} --reason"
            if one.paused:
                why = f"by {one.paused_by}: {one.paused_why}"
                found.append(Stuck(what="paused channel", name=name, why=why, since=one.paused_at, press=resume))
            elif one.breaker != CLOSED:
                why = f"{one.failures} failures in a row: {one.error}"
                press = f"nothing: it tries by itself; {resume} tries now"
                found.append(Stuck(what="open breaker", name=name, why=why, since=one.opened_at, press=press))
        for left in await keeping.backlogs():
            if left.stands_still:
                press = f"fascia channel retry {left.head}, or fascia channel skip {left.head}"
                why = f"behind {left.head}: {left.said}"
                found.append(
                    Stuck(what="channel stands still", name=left.channel, why=why, since=left.oldest, press=press)
                )
            elif left.dead:
                of = f"--all --subscriber {left.channel.partition('/')[2]}"
                hook = left.channel.startswith("webhook/")
                press = f"fascia outbox retry {of}" if hook else f"fascia channel retry --dead --channel {left.channel}"
                found.append(
                    Stuck(what="dead letter out", name=left.channel, why=left.said, count=left.dead, press=press)
                )
        return found


def _dead() -> Any:
    """Dead letters that came in, by sender and kind; those whose stream is parked behind them stand there already."""
    parked = exists().where(parked_streams.c.message == messages.c.id)
    some = (
        select(
            messages.c.id, messages.c.sender, messages.c.partner, messages.c.kind, messages.c.owner, messages.c.reason
        )
        .add_columns(messages.c.at)
        .where(messages.c.state == "dead", messages.c.direction == "in", ~parked)
        .order_by(messages.c.id)
        .limit(MOST_COUNTED)
        .subquery()
    )
    by = (some.c.sender, some.c.partner, some.c.kind)
    first = func.min(some.c.id)
    reason = func.min(some.c.reason)
    asked = select(*by, func.count().label("many"), first.label("id"), reason.label("reason"))
    return asked.add_columns(func.max(some.c.owner).label("owner"), func.min(some.c.at).label("at")).group_by(*by)


def _of_dead(row: RowMapping) -> Stuck:
    which = [f"--{name} {row[name]}" for name in ("sender", "kind") if row[name]]
    if row["partner"] and not row["sender"]:
        which.append(f"--partner {row['partner']}")
    listed = " ".join(["fascia journal list --state dead", *which])
    press = f"{listed}; journal replay (--preview), correct or skip"
    about = {"why": row["reason"], "owner": row["owner"], "count": row["many"], "since": row["at"]}
    return Stuck(what="dead letter", name=row["id"], press=press, **about)


def _waiting(before: datetime) -> Any:
    """What was kept long ago and is in no parked stream: what it needs is away, or the process that brings it on is."""
    parked = messages.c.stream.in_(select(parked_streams.c.stream))
    by = (messages.c.sender, messages.c.kind, messages.c.channel)
    asked = select(
        *by, func.count().label("many"), func.min(messages.c.id).label("id"), func.min(messages.c.at).label("at")
    )
    return asked.where(WAITS, messages.c.at < before, ~messages.c.parked, ~parked).group_by(*by)


def _of_waiting(row: RowMapping) -> Stuck:
    what = "stalled folder" if row["channel"] else "message waits"
    name = row["channel"] or row["id"]
    of = f"of {row['sender']} " if row["sender"] else ""
    why = f"{row['kind']} {of}is kept and not brought on"
    press = "fascia doctor: what it needs is away, or the loops and routers do not run; it goes on by itself"
    return Stuck(what=what, name=name, why=why, count=row["many"], since=row["at"], press=press)


def _unmatched() -> Any:
    many = func.count().over(partition_by=unmatched.c.kind).label("many")
    place = (
        func.row_number().over(partition_by=unmatched.c.kind, order_by=(unmatched.c.at, unmatched.c.id)).label("place")
    )
    ranked = select(unmatched, many, place).where(unmatched.c.state == "open").subquery()
    return select(ranked).where(ranked.c.place == 1)


def _of_unmatched(row: RowMapping) -> Stuck:
    press = PRESS.get(row["kind"], ANY_OTHER).format(id=row["id"], message=row["message"] or "MESSAGE")
    what = "unmatched file" if row["kind"] == "mailbox_file" else f"unmatched {row['kind']}"
    why = row["reason"] + (f" ({row['case']})" if row["case"] else "")
    return Stuck(what=what, name=row["id"], why=why, count=row["many"], since=row["at"], press=press)


def _failed(since: datetime) -> Any:
    """Items of replays that came to nothing, where their message still waits for a person."""
    still = and_(messages.c.id == replay_items.c.message, messages.c.state.in_(("dead", "refused")))
    asked = select(
        replay_items.c.job,
        func.count().label("many"),
        func.min(replay_items.c.detail).label("detail"),
        func.min(replay_items.c.outcome).label("outcome"),
        func.max(replay_items.c.changed_at).label("at"),
    )
    lately = and_(replay_jobs.c.id == replay_items.c.job, replay_jobs.c.made_at >= since)
    failed = and_(replay_items.c.state == "done", replay_items.c.outcome.in_(FAILED), messages.c.state == "dead")
    return asked.join(replay_jobs, lately).join(messages, still).where(failed).group_by(replay_items.c.job)


def _of_failed(row: RowMapping) -> Stuck:
    press = f'fascia replay show {row["job"]} --outcome "{row["outcome"]}", then correct or skip each'
    about = {"why": f"{row['outcome']}: {row['detail']}", "count": row["many"], "since": row["at"]}
    return Stuck(what="failed replay item", name=row["job"], press=press, **about)


def _standing(before: datetime) -> Any:
    """Replays whose items wait for what is away, or for a worker."""
    open_one = replay_jobs.c.state.in_(("waiting", "running"))
    mine = and_(replay_items.c.job == replay_jobs.c.id, replay_items.c.state == "waiting")
    asked = select(replay_jobs.c.id, func.count().label("many"), func.min(replay_items.c.changed_at).label("at"))
    asked = asked.add_columns(func.max(replay_items.c.detail).label("detail")).join(replay_items, mine).where(open_one)
    return asked.group_by(replay_jobs.c.id).having(func.max(replay_items.c.changed_at) < before)


def _of_standing(row: RowMapping) -> Stuck:
    why = row["detail"] or "no worker does it: do the loops run?"
    press = f"fascia replay show {row['id']}; fascia replay cancel {row['id']} --reason"
    return Stuck(what="replay waits", name=row["id"], why=why, count=row["many"], since=row["at"], press=press)


def _cases() -> Any:
    parked = exists().where(case_attention.c.case == cases.c.case)
    needs = and_(~cases.c.closed, parked | (cases.c.stopped != ""))
    asked = select(
        func.count().label("many"), func.min(cases.c.changed_at).label("at"), func.min(cases.c.case).label("case")
    )
    return asked.where(needs).having(func.count() > 0)


def _of_cases(row: RowMapping) -> Stuck:
    why = "each waits for a person: a decision, a task, a refused step, or its run was stopped"
    about = {"why": why, "count": row["many"], "since": row["at"], "press": "fascia case list --attention"}
    return Stuck(what="case", name=row["case"], **about)
