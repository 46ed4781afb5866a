"""The journal: every message in or out is here, byte for byte, before anybody is told that we have it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    RowMapping,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.errors import Rejected
from canonical.ports import CONFLICT, KeepResult, Kept, NewMessage
from store.case_tables import STOPPED, case_changes, cases
from store.database import at_once, transaction
from store.ids import new_id, now
from store.tables import Words, control_numbers, message_states, messages

STATES = ("received", "validated", "routed", "refused", "dead", "sent", "acknowledged")
LONGEST_KEY = 500
DOCUMENTS = ("x12", "erp_document")  # kinds of messages that go to a case as documents
_KEPT = [column for column in messages.c if column.name != "conflicts_with"]


def _keeping() -> Any:
    """Keep a message and note its first state, in one statement: nothing comes back where its key is taken."""
    new = upsert(messages).values({column.name: bindparam(column.name) for column in _GIVEN})
    kept = new.on_conflict_do_nothing().returning(*_KEPT).cte("kept")
    first = select(kept.c.id, kept.c.state, kept.c.reason, kept.c.at)
    noted = insert(message_states).from_select(["message", "state", "reason", "at"], first).cte("noted")
    return select(kept).add_cte(noted)


def _word(name: str) -> ColumnElement[str]:
    return bindparam(name, type_=Words)


def moving(which: ColumnElement[Any] | None = None, *, only_if: ColumnElement[bool] | None = None) -> Any:
    """Move a message and note it where that is news, as a part of a statement; for the values of :func:`moved`."""
    named = messages.c.id == (_word("of_message") if which is None else which)
    asked = select(messages.c.id, messages.c.state, messages.c.reason).where(named)
    before = (asked if only_if is None else asked.where(only_if)).with_for_update().cte("before")
    to_state, reason = _word("to_state"), _word("with_reason")
    again = and_(
        before.c.state == "acknowledged", to_state == "sent"
    )  # a send repeated after the partner's answer came
    given = {name: func.coalesce(func.nullif(_word(f"to_{name}"), ""), messages.c[name]) for name in _MOVED_WITH}
    values = {
        "state": case((again, before.c.state), else_=to_state),
        "reason": case((and_(again, reason == ""), before.c.reason), else_=reason),
    }
    changed = update(messages).where(messages.c.id == before.c.id).values(values | given)
    after = changed.returning(
        messages.c.id, messages.c.state, messages.c.reason, before.c.state.label("was"), before.c.reason.label("why")
    ).cte("after")
    news = select(after.c.id, after.c.state, after.c.reason, bindparam("moved_at", type_=DateTime(timezone=True)))
    news = news.where(or_(after.c.was != after.c.state, after.c.why != after.c.reason))
    return insert(message_states).from_select(["message", "state", "reason", "at"], news).cte("noted")


def moved(message: str, state: str, *, reason: str = "", **given: str) -> dict[str, Any]:
    """The values of :func:`moving`."""
    if state not in STATES:
        raise ValueError(f"{state} is not a state of a message")
    values = {f"to_{name}": given.get(name, "") for name in _MOVED_WITH}
    return values | {"of_message": message, "to_state": state, "with_reason": reason, "moved_at": now()}


_MOVED_WITH = ("case", "kind", "control_number", "answer")
_GIVEN = [column for column in messages.c if column.name not in ("duplicate_of", "answer")]
_KEEP = _keeping()  # built once, as all that runs for every message
MOVE = select(messages.c.id).where(messages.c.id == _word("of_message")).add_cte(moving())


def short_key(key: str) -> str:
    """A key an index can hold: one that is too long keeps its beginning and a hash of all of it."""
    data = key.encode("utf-8", "replace")
    return key if len(data) <= LONGEST_KEY else f"{key[:100]}#{hashlib.sha256(data).hexdigest()}"


def kept(row: RowMapping) -> Kept:
    """A row as a message."""
    return Kept.model_validate(dict(row))


async def keep_in(connection: AsyncConnection, message: NewMessage) -> KeepResult:
    """Keep a message in a transaction of the caller's; see :meth:`StoredJournal.keep`."""
    values = _values(message)
    new = await _insert(connection, values)
    return KeepResult(outcome="kept", message=new) if new else await _kept_before(connection, values)


def _values(message: NewMessage) -> dict[str, Any]:
    at = message.at or now()
    return {
        **message.model_dump(exclude={"at"}),
        "id": new_id(at),
        "at": at,
        "key": short_key(message.key),
        "hash": hashlib.sha256(message.data).hexdigest(),
        "size": len(message.data),
        "state": "received" if message.direction == "in" else "validated",
        "reason": "",
        "conflicts_with": "",
    }


async def _kept_before(connection: AsyncConnection, values: dict[str, Any]) -> KeepResult:
    """Its key is taken: by the same bytes, or by others."""
    same_key = select(*_KEPT).where(messages.c.direction == values["direction"], messages.c.key == values["key"])
    row = (await connection.execute(same_key.where(messages.c.conflicts_with == ""))).mappings().one()
    first = kept(row)
    if first.hash == values["hash"]:
        return KeepResult(outcome="duplicate", message=first, first=first)
    why = f"{CONFLICT}: message {first.id} has this number with other content"
    other = await _insert(connection, values | {"conflicts_with": first.id, "reason": why})
    if other is None:
        again = await connection.execute(same_key.where(messages.c.hash == values["hash"]))
        other = kept(again.mappings().one())
    return KeepResult(outcome="conflict", message=other, first=first)


async def _insert(connection: AsyncConnection, values: dict[str, Any]) -> Kept | None:
    row = (await connection.execute(_KEEP, values)).mappings().one_or_none()
    return kept(row) if row is not None else None


async def _note(connection: AsyncConnection, message: str, state: str, reason: str, at: datetime) -> None:
    await connection.execute(insert(message_states).values(message=message, state=state, reason=reason, at=at))


async def mark_in(
    connection: AsyncConnection,
    message: str,
    state: str,
    *,
    reason: str = "",
    case: str = "",
    kind: str = "",
    control_number: str = "",
    answer: str = "",
) -> None:
    """Move a message in a transaction of the caller's; see :meth:`StoredJournal.mark`."""
    values = moved(message, state, reason=reason, case=case, kind=kind, control_number=control_number, answer=answer)
    if await connection.scalar(MOVE, values) is None:
        raise _unknown(message)


def _unknown(message: str) -> Rejected:
    return Rejected(f"the journal has no message {message}", code="not-found", system="store")


class StoredJournal:
    """The journal in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def keep(self, message: NewMessage) -> KeepResult:
        """Keep a message whole, or find that it is here already: one key, one first message, whichever door it came by.

        What comes in starts as received, what goes out as validated (we made it). Other bytes under a key that is taken
        are a conflict and kept under an id of their own, once.
        """
        values = _values(message)
        async with at_once(self._engine) as connection:
            new = await _insert(connection, values)
        if new is not None:
            return KeepResult(outcome="kept", message=new)
        async with transaction(self._engine) as connection:
            result = await _kept_before(connection, values)
            if result.outcome == "duplicate" and message.direction == "in":
                first = result.message
                await _note(connection, first.id, first.state, f"received again by {message.door}", message.at or now())
            return result

    async def mark(
        self, message: str, state: str, *, reason: str = "", case: str = "", kind: str = "", control_number: str = ""
    ) -> None:
        """Move a message to a state, with the reason; each change stays in its history.

        Raises:
            Rejected: there is no such message.
        """
        async with at_once(self._engine) as connection:
            await mark_in(
                connection, message, state, reason=reason, case=case, kind=kind, control_number=control_number
            )

    async def answered(self, message: str, answer: str) -> None:
        """Link the message that answers this one (its 997, TA1 or reply).

        Raises:
            Rejected: there is no such message.
        """
        linked = update(messages).where(messages.c.id == message).values(answer=answer).returning(messages.c.id)
        async with transaction(self._engine) as connection:
            if await connection.scalar(linked) is None:
                raise _unknown(message)

    async def acknowledged(self, partner: str, kind: str, number: str, *, by: str, reason: str = "") -> str | None:
        """Find what we sent under this number (kind TA1: interchange, 997: group), and note that ``by`` answers it."""
        column = control_numbers.c.interchange if kind == "TA1" else control_numbers.c.group
        if not number.isdecimal():
            return None
        async with transaction(self._engine) as connection:
            found = await connection.scalar(
                select(messages.c.id)
                .join(
                    control_numbers,
                    (control_numbers.c.partner == messages.c.partner)
                    & (func.ltrim(messages.c.control_number, "0") == cast(control_numbers.c.interchange, Text)),
                )
                .where(messages.c.direction == "out", messages.c.partner == partner, column == int(number))
                .order_by(messages.c.id.desc())
                .limit(1)
            )
            if found is not None:
                await mark_in(connection, found, "acknowledged", reason=reason, answer=by)
            return found

    async def read(self, message: str) -> Kept | None:
        """The message with its bytes, or None."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(*_KEPT).where(messages.c.id == message))).mappings().one_or_none()
        return kept(row) if row is not None else None

    async def history(self, message: str) -> Sequence[tuple[str, str, datetime]]:
        """Every state the message had: which, why, since when."""
        asked = select(message_states).where(message_states.c.message == message).order_by(message_states.c.id)
        async with transaction(self._engine) as connection:
            return [(row.state, row.reason, row.at) for row in await connection.execute(asked)]

    async def route_again(self, case: str, overlap: timedelta = timedelta(hours=1)) -> int:
        """Let what was routed to a case since its last word be routed once more; gives how many messages that are.

        A run that ended may never have looked at it, and its successor passes over what was seen. ``overlap``: a case's
        own moments are those of its last task. An interchange for several cases names none: the supplier's go again.
        """
        said = case_changes.c.business_state.not_in(STOPPED)
        last = select(func.max(case_changes.c.at)).where(case_changes.c.case == case, said).scalar_subquery()
        supplier = select(cases.c.supplier).where(cases.c.case == case, cases.c.supplier != "").scalar_subquery()
        since = and_(
            message_states.c.message == messages.c.id,
            message_states.c.state == "routed",
            or_(last.is_(None), message_states.c.at >= last - overlap),
        )
        asked = select(messages.c.id).where(
            messages.c.direction == "in",
            messages.c.state == "routed",
            messages.c.kind.in_(DOCUMENTS),
            or_(messages.c.case == case, and_(messages.c.case == "", messages.c.partner == supplier)),
            exists().where(since),
        )
        async with transaction(self._engine) as connection:
            found = list(await connection.scalars(asked.order_by(messages.c.at, messages.c.id)))
            for message in found:
                await mark_in(connection, message, "validated", reason=f"brought again to {case}")
        return len(found)

    async def kept_under(self, prefix: str) -> Sequence[Kept]:
        """What came in under keys that begin so, in the order it was kept; conflicts left out."""
        asked = (
            select(*_KEPT)
            .where(messages.c.direction == "in", messages.c.key.startswith(prefix, autoescape=True))
            .where(messages.c.key != "", messages.c.conflicts_with == "")
            .order_by(messages.c.at, messages.c.id)
        )
        async with transaction(self._engine) as connection:
            return [kept(row) for row in (await connection.execute(asked)).mappings()]

    async def unrouted(self, older_than: datetime, limit: int = 100) -> Sequence[Kept]:
        """What was kept but not yet routed, oldest first, for the sweep."""
        asked = (
            select(*_KEPT)
            .where(messages.c.direction == "in", messages.c.state.in_(("received", "validated")))
            .where(messages.c.at < older_than)
            .order_by(messages.c.at, messages.c.id)
            .limit(limit)
        )
        async with transaction(self._engine) as connection:
            return [kept(row) for row in (await connection.execute(asked)).mappings()]
