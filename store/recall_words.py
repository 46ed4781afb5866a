"""People's words to recalls: what became of a task, what a notice means, and when a recall ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import content_hash
from canonical.cases import REASON_KEPT, Actor
from canonical.errors import Rejected
from canonical.parties import Employee
from canonical.recall import MAY_ANSWER, OUTCOMES, RecallTaken, RecallWord, recall_case
from store.case_tables import decisions
from store.database import transaction
from store.decisions import REASON
from store.recall_matching import block
from store.recall_tables import recall_tasks, recall_words, recalls
from store.recalls import RecallDesk, add_scopes, held, no_task, settled, stands, unknown_recall
from store.register_reading import all_codes
from store.usage_tables import recall_blocks

Who = Callable[[str, Actor], Awaitable[Employee | None]]  # who is behind an actor at a facility


class StoredRecalls(RecallDesk):
    """The port :class:`canonical.recall_ports.Recalls`; ``who`` finds people as decisions do."""

    def __init__(self, engine: AsyncEngine, who: Who) -> None:
        super().__init__(engine)
        self._who = who

    async def facility_of(self, number: str, word: RecallWord, as_of: datetime) -> str:
        """Whose people decide: the task's facility; of the whole recall, one where this actor may.

        Raises:
            Rejected: there is no such task of this recall.
        """
        async with transaction(self._engine) as connection:
            if word.task:
                asked = select(recall_tasks.c.facility).where(
                    recall_tasks.c.id == word.task, recall_tasks.c.recall == number
                )
                facility = await connection.scalar(asked)
                if facility is None:
                    raise no_task(word, number)
                return str(facility)
            sites = await all_codes(connection, "facility", as_of.date())
        for site in sites:
            person = await self._who(site, word.actor)
            if person is not None and person.active and MAY_ANSWER & set(person.roles):
                return site
        return sites[0] if sites else "unknown"

    async def take(self, number: str, word: RecallWord, by: str, as_of: datetime) -> RecallTaken:
        """Carry a checked word out: once under its id.

        Raises:
            Rejected: it does not fit as things stand (answered otherwise, unknown, tasks open).
        """
        content = content_hash(word, without=frozenset({"reason", "actor", "seal"}))
        async with transaction(self._engine) as connection:
            if await held(connection, number) is None:
                raise unknown_recall(number)
            asked = select(recall_words).where(recall_words.c.recall == number, recall_words.c.id == word.id)
            before = (await connection.execute(asked)).one_or_none()
            if before is not None and before.hash != content:
                raise Rejected(f"word {word.id} was given with other content", code="conflict", system="store")
            message = before.message if before else await self._carry_out(connection, number, word, by, as_of)
            if before is None:
                row = {
                    "recall": number,
                    "id": word.id,
                    "verb": word.verb,
                    "hash": content,
                    "by": by,
                    "message": message,
                    "at": as_of,
                }
                await connection.execute(insert(recall_words).values(row))
                await settled(connection, number, as_of)
            return RecallTaken(taken=True, message=message, standing=await stands(connection, number, as_of))

    async def _carry_out(
        self, connection: AsyncConnection, number: str, word: RecallWord, by: str, at: datetime
    ) -> str:
        why = await _reason(connection, number, word)
        match word.verb:
            case "answer":
                return await _answer(connection, number, word, by, why, at)
            case "scope":
                return await _scope(connection, number, word, by, why, at)
            case "settle":
                await _change(connection, number, uncertain=False, changed_at=at)
                return "what the notice leaves open was looked at"
            case "close" | "lift":
                return await _close(connection, number, word, by, why, at)


async def _reason(connection: AsyncConnection, number: str, word: RecallWord) -> str:
    """The words of the reason, which a door has kept in our store and sent a note in place of."""
    if word.reason != REASON_KEPT:
        return word.reason
    kept = (decisions.c.case == recall_case(number), decisions.c.kind == REASON, decisions.c.decision == word.id)
    asked = select(decisions.c.content).where(*kept).order_by(decisions.c.id).limit(1)
    return await connection.scalar(asked) or REASON_KEPT


async def _change(connection: AsyncConnection, number: str, **values: Any) -> None:
    await connection.execute(update(recalls).where(recalls.c.number == number).values(**values))


async def _answer(connection: AsyncConnection, number: str, word: RecallWord, by: str, why: str, at: datetime) -> str:
    asked = (
        select(recall_tasks).where(recall_tasks.c.id == word.task, recall_tasks.c.recall == number).with_for_update()
    )
    task = (await connection.execute(asked)).mappings().one_or_none()
    if task is None:
        raise no_task(word, number)
    if task["state"] != "open":
        raise Rejected(f"task {word.task} was answered: {task['outcome']}", code="not-open", system="store")
    allowed = OUTCOMES[task["kind"]]
    if word.outcome not in allowed:
        what = f"{word.outcome} is no answer of a {task['kind']}: {', '.join(allowed)}"
        raise Rejected(what, code="data-invalid", system="store")
    found = word.found
    if task["kind"] == "location":
        if word.outcome == "none-found":
            if found:
                raise Rejected("none found, and yet a quantity: which of them?", code="data-invalid", system="store")
            found = 0
        elif not found:
            raise Rejected(f"{word.outcome}: how many? (--found)", code="data-missing", system="store")
        if found != task["expected"] and not why.strip():
            said = f"{found} found where the books have {task['expected']}: say why"
            raise Rejected(said, code="data-missing", system="store")
    values = {
        "state": "answered",
        "outcome": word.outcome,
        "found": found,
        "reason": why,
        "answered_at": at,
        "answered_by": by,
    }
    await connection.execute(update(recall_tasks).where(recall_tasks.c.id == word.task).values(values))
    late = " after its time" if at > task["due"] else ""
    return f"{word.outcome}{f' ({found})' if found is not None else ''}{late}"


async def _scope(connection: AsyncConnection, number: str, word: RecallWord, by: str, why: str, at: datetime) -> str:
    """What a person says is meant; what was meant without a product stays as the notice wrote it."""
    if open_ends := [str(one) for one in word.scopes if not one.certain]:
        raise Rejected(f"not certain yet: {open_ends[0]}", code="data-missing", system="store")
    added = await add_scopes(connection, number, word.scopes, at, by, why)
    await _change(
        connection, number, uncertain=False, blocked=True, woken_at=at, closed_at=None, closed_by="", closed_why=""
    )
    await connection.execute(
        update(recall_blocks).where(recall_blocks.c.recall == number).values(active=True, changed_at=at)
    )
    blocks = await block(connection, number, at)
    return f"{added} scopes added, {blocks} blocked"


async def _close(connection: AsyncConnection, number: str, word: RecallWord, by: str, why: str, at: datetime) -> str:
    waiting = select(recall_tasks.c.id).where(recall_tasks.c.recall == number, recall_tasks.c.state == "open")
    if word.verb == "close" and await connection.scalar(waiting.limit(1)) is not None:
        raise Rejected("tasks of it are not answered yet: see `fascia recall show`", code="not-open", system="store")
    if word.verb == "close":
        await _change(connection, number, closed_at=at, closed_by=by, closed_why=why, uncertain=False)
        return "closed; what it blocks stays blocked"
    settled_by = {"state": "answered", "outcome": "recall-lifted", "answered_at": at, "answered_by": by, "reason": why}
    left = (recall_tasks.c.recall == number) & (recall_tasks.c.state == "open")
    await connection.execute(update(recall_tasks).where(left).values(settled_by))
    lifted = (
        update(recall_blocks)
        .where(recall_blocks.c.recall == number, recall_blocks.c.active)
        .values(active=False, changed_at=at)
    )
    many = (await connection.execute(lifted)).rowcount
    values = {
        "closed_at": at,
        "closed_by": by,
        "closed_why": why,
        "uncertain": False,
        "blocked": False,
        "woken_at": None,
    }
    await _change(connection, number, **values)
    return f"lifted: {many} blocks ended"
