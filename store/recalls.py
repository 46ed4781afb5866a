"""Recalls in our own database: a notice blocks from the transaction that keeps it; what it met waits as tasks until answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, and_, func, insert, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical, case_parts, content_hash
from canonical.errors import Rejected
from canonical.recall import RecallNotice, RecallScope, RecallStanding, RecallTask, RecallWord
from canonical.usage import UsagePolicy
from store.acts import Act, note_in
from store.case_tables import cases
from store.database import transaction
from store.recall_matching import block, hours_of, match, news
from store.recall_tables import recall_matches, recall_scopes, recall_tasks, recalls
from store.usage_tables import recall_blocks, usage_events

TERMINATED: Final = "terminated before it was loaded"
_SCOPE: Final = tuple(RecallScope.model_fields)


class RecallLoaded(Canonical):
    """What became of one notice: new, changed (it says more, or its status is another) or same; and what it meets.

    ``blocks``: how many of our items, lots and serials it stops; the counts of a load that changes nothing are what it would meet.
    """

    number: str
    outcome: str
    state: str = ""
    classification: str = ""
    product: str = ""
    scopes: int = 0
    blocks: int = 0
    uncertain: tuple[str, ...] = ()
    locations: int = 0
    procedures: int = 0
    other_uses: int = 0
    units: int = 0


class RecallRow(Canonical):
    """A recall in a list."""

    number: str
    state: str
    classification: str = ""
    status: str = ""
    firm: str = ""
    product: str = ""
    blocked: bool = False
    uncertain: bool = False
    open: int = 0
    answered: int = 0
    overdue: int = 0
    due: datetime | None = None
    at: datetime


class RecallView(RecallRow):
    """All of one recall but its tasks. ``unknown_lots``: uses of its items of which our books do not have the lot or serial."""

    notice: RecallNotice
    scopes: tuple[RecallScope, ...] = ()
    blocks: tuple[str, ...] = ()
    unknown_lots: int = 0
    closed_at: datetime | None = None
    closed_by: str = ""
    closed_why: str = ""


class RecallDesk:
    """Notices and what they met, in our own database; the words of people are in :mod:`store.recall_words`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def load(
        self, notices: Sequence[RecallNotice], act: Act, at: datetime, *, dry_run: bool = False
    ) -> list[RecallLoaded]:
        """Keep notices, all or none; each blocks from this commit on. The same again changes nothing; one that says more widens
        its recall, never narrows it. ``dry_run``: look what they would meet, and keep nothing.
        """
        loaded = []
        async with transaction(self._engine) as connection:
            for notice in notices:
                one = await _keep(connection, notice, at)
                if dry_run:
                    if one.outcome != "same" and one.state != "closed":
                        await match(connection, notice.number, notice.classification, at)
                    one = one.changed(**await _met(connection, notice.number))
                loaded.append(one)
            if dry_run:
                await connection.rollback()
            elif told := [one.number for one in loaded if one.outcome != "same"]:
                about = f"recall/{told[0]}" if len(told) == 1 else "recall"
                detail = f"{len(told)} notices: {', '.join(told[:10])}"
                await note_in(connection, act.model_copy(update={"about": about, "detail": detail}))
        return loaded

    async def match(self, number: str, as_of: datetime) -> RecallStanding:
        """Find what holds or used it that was not found before, open a task for each place, and answer the wake."""
        async with transaction(self._engine) as connection:
            row = await held(connection, number)
            if row is None:
                return RecallStanding(number=number, state="unknown")
            opened = 0
            if row["blocked"]:
                await block(connection, number, as_of)
                opened = await match(connection, number, row["classification"], as_of)
            await settled(connection, number, as_of, woken_at=None)
            return (await stands(connection, number, as_of)).model_copy(update={"added": opened})

    async def standing(self, number: str, as_of: datetime) -> RecallStanding:
        """How it stands; unknown where no such notice was kept."""
        async with transaction(self._engine) as connection:
            return await stands(connection, number, as_of)

    async def wake(self, at: datetime, *, look: bool = True) -> Sequence[str]:
        """Mark the recalls that have met something new (``look``: first find which), and give all whose cases are to look: new
        ones, these, and those whose run was stopped outside."""
        async with transaction(self._engine) as connection:
            fresh = await news(connection) if look else []
            unwoken = and_(recalls.c.number.in_(fresh), recalls.c.woken_at.is_(None))
            await connection.execute(update(recalls).where(unwoken).values(woken_at=at))
            stopped = select(cases.c.case).where(cases.c.process == "recall", ~cases.c.closed, cases.c.stopped != "")
            names = await connection.scalars(stopped)
            again = [case_parts(case)[1] for case in names]
            asked = select(recalls.c.number).where(recalls.c.woken_at.is_not(None)).order_by(recalls.c.woken_at)
            return [*dict.fromkeys([*await connection.scalars(asked), *again])]

    async def rows(self, *, everything: bool, at: datetime, limit: int) -> Sequence[RecallRow]:
        """Recalls, newest first: those not closed, or all."""
        asked = _listed(at).order_by(recalls.c.at.desc(), recalls.c.number).limit(limit)
        if not everything:
            asked = asked.where(recalls.c.state != "closed")
        async with transaction(self._engine) as connection:
            return [RecallRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def view(self, number: str, at: datetime) -> RecallView | None:
        """All of one recall, or None."""
        async with transaction(self._engine) as connection:
            row = (
                (await connection.execute(_listed(at, recalls).where(recalls.c.number == number)))
                .mappings()
                .one_or_none()
            )
            if row is None:
                return None
            scopes = (await connection.execute(_scopes(number))).mappings()
            blocks = await connection.execute(select(recall_blocks).where(recall_blocks.c.recall == number))
            said = [
                RecallScope.model_validate({name: getattr(one, name, "") for name in _SCOPE} | _all_of(one))
                for one in blocks
            ]
            return RecallView.model_validate(
                dict(row)
                | {"notice": row["content"], "scopes": [{name: one[name] for name in _SCOPE} for one in scopes]}
                | {"blocks": sorted(str(one) for one in said), "unknown_lots": await _unknown(connection, number)}
            )

    async def tasks(self, number: str, *, state: str, limit: int) -> Sequence[RecallTask]:
        """A recall's tasks: the open ones first, the earliest due first."""
        order = (recall_tasks.c.state != "open", recall_tasks.c.due, recall_tasks.c.id)
        asked = select(recall_tasks).where(recall_tasks.c.recall == number).order_by(*order).limit(limit)
        if state:
            asked = asked.where(recall_tasks.c.state == state)
        async with transaction(self._engine) as connection:
            return [RecallTask.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]


# ---- within a transaction of the caller's ------------------------------------------------------------------------------


async def held(connection: AsyncConnection, number: str) -> RowMapping | None:
    """The recall's row, held until the transaction ends: whoever changes something of it waits for us."""
    asked = select(recalls).where(recalls.c.number == number).with_for_update()
    return (await connection.execute(asked)).mappings().one_or_none()


async def settled(connection: AsyncConnection, number: str, at: datetime, **values: Any) -> None:
    """Write the state that follows from tasks, blocks and what is uncertain; a closed one with new tasks is open again."""
    is_open = select(recall_tasks.c.id).where(recall_tasks.c.recall == number, recall_tasks.c.state == "open").exists()
    blocks = select(recall_blocks.c.id).where(recall_blocks.c.recall == number, recall_blocks.c.active).exists()
    asked = select(is_open.label("open"), blocks.label("blocks"), recalls.c.uncertain, recalls.c.closed_at)
    found = (await connection.execute(asked.where(recalls.c.number == number))).one()
    if found.open:
        state, values = "open", values | {"closed_at": None, "closed_by": "", "closed_why": ""}
    elif found.closed_at is not None:
        state = "closed"
    else:
        state = "scope" if found.uncertain and not found.blocks else "answered"
    changed = update(recalls).where(recalls.c.number == number).values(state=state, changed_at=at, **values)
    await connection.execute(changed)


async def stands(connection: AsyncConnection, number: str, at: datetime) -> RecallStanding:
    """How a recall stands as of a moment, in counts."""
    row = (await connection.execute(_listed(at, recalls).where(recalls.c.number == number))).mappings().one_or_none()
    if row is None:
        return RecallStanding(number=number, state="unknown")
    later = select(func.min(recall_tasks.c.due)).where(
        recall_tasks.c.recall == number, recall_tasks.c.state == "open", recall_tasks.c.due > at
    )
    names = ("number", "state", "classification", "blocked", "uncertain", "open", "answered", "overdue", "due")
    class_of = f"class {row['classification']}" if row["classification"] else "not classified"
    return RecallStanding(
        **{name: row[name] for name in names},
        hours=hours_of(UsagePolicy(facility="any"), row["classification"]),
        summary=f"Recall {number} ({class_of}): {row['product']}"[:300],
        terminated=row["status"] == "terminated",
        next_at=await connection.scalar(later),
    )


def _listed(at: datetime, *more: Any) -> Any:
    """Recalls with how many of their tasks are open, answered, overdue, and when the next is due."""
    tasks = (
        select(
            func.count().filter(recall_tasks.c.state == "open").label("open"),
            func.count().filter(recall_tasks.c.state == "answered").label("answered"),
            func.count().filter(recall_tasks.c.state == "open", recall_tasks.c.due <= at).label("overdue"),
            func.min(recall_tasks.c.due).filter(recall_tasks.c.state == "open").label("due"),
        )
        .where(recall_tasks.c.recall == recalls.c.number)
        .lateral("tasks")
    )
    columns = more or [recalls.c[name] for name in RecallRow.model_fields if name in recalls.c]
    return select(*columns, tasks.c.open, tasks.c.answered, tasks.c.overdue, tasks.c.due).select_from(
        recalls.join(tasks, true())
    )


def _scopes(number: str) -> Any:
    return select(recall_scopes).where(recall_scopes.c.recall == number).order_by(recall_scopes.c.id)


def _all_of(row: Any) -> dict[str, bool]:
    return {"everything": not (row.lot_from or row.serial_from)}


async def add_scopes(
    connection: AsyncConnection, number: str, scopes: Sequence[RecallScope], at: datetime, by: str = "", why: str = ""
) -> int:
    """Add what is not there yet of what is meant; how many."""
    there = {tuple(row[name] for name in _SCOPE) for row in (await connection.execute(_scopes(number))).mappings()}
    fresh = [one for one in dict.fromkeys(scopes) if tuple(getattr(one, name) for name in _SCOPE) not in there]
    if fresh:
        rows = [one.model_dump() | {"recall": number, "by": by, "why": why, "at": at} for one in fresh]
        await connection.execute(insert(recall_scopes), rows)
    return len(fresh)


async def _keep(connection: AsyncConnection, notice: RecallNotice, at: datetime) -> RecallLoaded:
    number, content = notice.number, content_hash(notice)
    ended = notice.status == "terminated"
    told = {
        name: getattr(notice, name)
        for name in ("classification", "status", "source", "firm", "product", "event", "initiated")
    }
    told |= {"hash": content, "content": notice.model_dump(mode="json"), "changed_at": at}
    fresh = {
        "state": "closed" if ended else "scope",
        "uncertain": not notice.certain and not ended,
        "blocked": not ended,
        "at": at,
    }
    closed = {"closed_at": at, "closed_why": TERMINATED} if ended else {"woken_at": at}
    new = (
        upsert(recalls)
        .values(number=number, **told, **fresh, **closed)
        .on_conflict_do_nothing()
        .returning(recalls.c.number)
    )
    is_new = await connection.scalar(new) is not None
    row = await held(connection, number)
    assert row is not None
    outcome = "new" if is_new else "same" if row["hash"] == content else "changed"
    blocks = 0
    if outcome != "same":
        added = await add_scopes(connection, number, _at_facilities(notice), at)
        before = RecallNotice.model_validate(row["content"])
        says_more = bool(added) or (before.codes, before.uncertain) != (notice.codes, notice.uncertain)
        open_again = {"uncertain": True} if not is_new and says_more and not notice.certain else {}
        if not is_new:
            changed = update(recalls).where(recalls.c.number == number)
            await connection.execute(changed.values(**told, woken_at=at, **open_again))
        if (is_new and not ended) or row["blocked"]:
            blocks = await block(connection, number, at)
        await settled(connection, number, at)
    state = await connection.scalar(select(recalls.c.state).where(recalls.c.number == number))
    return RecallLoaded(
        number=number,
        outcome=outcome,
        state=state or "",
        classification=notice.classification,
        product=notice.product,
        scopes=len(notice.scopes),
        blocks=blocks,
        uncertain=notice.uncertain,
    )


def _at_facilities(notice: RecallNotice) -> list[RecallScope]:
    """What it means, for each facility it concerns where it does not concern all."""
    if not notice.facilities:
        return list(notice.scopes)
    return [
        scope if scope.facility else scope.model_copy(update={"facility": facility})
        for scope in notice.scopes
        for facility in notice.facilities
    ]


async def _met(connection: AsyncConnection, number: str) -> dict[str, int]:
    places = select(recall_tasks.c.kind, func.count().label("many")).where(recall_tasks.c.recall == number)
    kinds = {row.kind: row.many for row in await connection.execute(places.group_by(recall_tasks.c.kind))}
    units = select(func.coalesce(func.sum(recall_matches.c.quantity), 0)).where(
        recall_matches.c.recall == number, recall_matches.c.event == ""
    )
    counts = {
        "locations": kinds.get("location", 0),
        "procedures": kinds.get("procedure", 0),
        "other_uses": kinds.get("use", 0),
    }
    return counts | {"units": int(await connection.scalar(units) or 0)}


async def _unknown(connection: AsyncConnection, number: str) -> int:
    """Uses of the blocked items without the lot or serial that would say whether they are meant."""
    no_lot = and_(recall_blocks.c.lot_from != "", usage_events.c.lot == "")
    no_serial = and_(recall_blocks.c.serial_from != "", usage_events.c.serial == "")
    here = or_(recall_blocks.c.facility == "", recall_blocks.c.facility == usage_events.c.facility)
    of = and_(usage_events.c.item == recall_blocks.c.item, here, or_(no_lot, no_serial), usage_events.c.kind == "use")
    asked = (
        select(func.count(usage_events.c.id.distinct())).join(recall_blocks, of).where(recall_blocks.c.recall == number)
    )
    return int(await connection.scalar(asked) or 0)


def unknown_recall(number: str) -> Rejected:
    """There is no such recall."""
    return Rejected(f"there is no recall {number}", code="not-found", system="store")


def no_task(word: RecallWord, number: str) -> Rejected:
    """There is no such task."""
    return Rejected(f"recall {number} has no task {word.task}", code="not-found", system="store")
