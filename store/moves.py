"""Moves messages from state to state, one or many in one statement, and notes each move that is news."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import asyncpg
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.errors import Rejected
from canonical.messages import Move
from store.ids import now
from store.tables import Words, fit, message_states, messages

STATES: Final = (
    *("received", "validated", "routed", "refused", "dead", "corrected", "skipped"),
    *("sent", "acknowledged"),
)
_REFUSED: Final = literal_column("'refused'", Text)  # from the start it is so without a move: its first move notes both
_MOVED_WITH: Final = ("case", "kind", "control_number", "answer")


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
    # Named once more, so that the planner looks into one partition only.
    changed = update(messages).where(messages.c.id == before.c.id, named).values(values | given)
    was = (before.c.state.label("was"), before.c.reason.label("why"), messages.c.at.label("kept_at"))
    after = changed.returning(messages.c.id, messages.c.state, messages.c.reason, *was).cte("after")
    is_news = or_(after.c.was != after.c.state, after.c.why != after.c.reason)
    told = exists().where(message_states.c.message == after.c.id)
    first = select(after.c.id, after.c.was.label("state"), after.c.why.label("reason"), after.c.kept_at.label("at"))
    first = first.add_columns(literal_column("0").label("place")).where(after.c.was == _REFUSED, is_news, ~told)
    at = bindparam("moved_at", type_=DateTime(timezone=True))
    then = select(after.c.id, after.c.state, after.c.reason, at, literal_column("1")).where(is_news)
    news = union_all(first, then).subquery("news")
    noted = select(news.c.id, news.c.state, news.c.reason, news.c.at).order_by(news.c.place)
    return insert(message_states).from_select(["message", "state", "reason", "at"], noted).cte("noted")


def moved(message: str, state: str, *, reason: str = "", **given: str) -> dict[str, Any]:
    """The values of :func:`moving`."""
    _known_state(state)
    values = {f"to_{name}": given.get(name, "") for name in _MOVED_WITH}
    return values | {"of_message": message, "to_state": state, "with_reason": reason, "moved_at": now()}


MOVE: Final = select(messages.c.id).where(messages.c.id == _word("of_message")).add_cte(moving())

# Rows are locked in the order of their ids by everybody who moves many. The bounds let the planner leave out partitions.
_MANY: Final = """
    WITH given AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
        AS g (id, state, reason, "case", kind, owner)),
    before AS (
        SELECT m.id, m.state, m.reason FROM messages m
        WHERE m.id = ANY ($1::text[]) AND m.id BETWEEN $7::text AND $8::text ORDER BY m.id FOR UPDATE),
    after AS (
        UPDATE messages m SET
            state = CASE WHEN b.state = 'acknowledged' AND g.state = 'sent' THEN b.state ELSE g.state END,
            reason = CASE WHEN b.state = 'acknowledged' AND g.state = 'sent' AND g.reason = '' THEN b.reason
                ELSE g.reason END,
            "case" = coalesce(nullif(g.case, ''), m.case), kind = coalesce(nullif(g.kind, ''), m.kind),
            owner = coalesce(nullif(g.owner, ''), m.owner)
        FROM before b JOIN given g ON g.id = b.id
        WHERE m.id = b.id AND m.id BETWEEN $7::text AND $8::text
        RETURNING m.id, m.state, m.reason, m.at, b.state AS was, b.reason AS why),
    noted AS (
        INSERT INTO message_states (message, state, reason, at)
        SELECT id, state, reason, at FROM (
            SELECT id, was AS state, why AS reason, at, 0 AS place FROM after
            WHERE was = 'refused' AND (was <> state OR why <> reason)
            AND NOT EXISTS (SELECT FROM message_states s WHERE s.message = after.id)
            UNION ALL
            SELECT id, state, reason, $9::timestamptz, 1 FROM after WHERE was <> state OR why <> reason) AS news
        ORDER BY id, place)
    SELECT id FROM after
"""


_NAMES: Final = ("ids", "states", "reasons", "cases", "kinds", "owners", "lowest", "highest", "at")
_MANY_NAMED: Final = text(re.sub(r"\$(\d)::\S+?(?=[,)\s])", lambda at: f":{_NAMES[int(at[1]) - 1]}", _MANY)).bindparams(
    *(bindparam(name, type_=ARRAY(Text)) for name in _NAMES[:6]),
    *(bindparam(name, type_=Text) for name in _NAMES[6:8]),
    bindparam("at", type_=DateTime(timezone=True)),
)


def _known_state(state: str) -> None:
    if state not in STATES:
        raise ValueError(f"{state} is not a state of a message")


def unknown(message: str) -> Rejected:
    """There is no such message."""
    return Rejected(f"the journal has no message {message}", code="not-found", system="store")


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
        raise unknown(message)


async def mark_many_in(connection: AsyncConnection, moves: Sequence[Move]) -> None:
    """Move many messages in a transaction of the caller's; see :meth:`StoredJournal.mark_many`."""
    for values in _rounds(moves):
        found = set(await connection.scalars(_MANY_NAMED, dict(zip(_NAMES, values, strict=True))))
        _all_known(values[0], found)


async def mark_many_by(driver: asyncpg.Connection[asyncpg.Record], moves: Sequence[Move]) -> None:
    """The same in a transaction of the driver's own, for who moves very many."""
    for values in _rounds(moves):
        _all_known(values[0], {row[0] for row in await driver.fetch(_MANY, *values)})


def _rounds(moves: Sequence[Move]) -> Iterator[tuple[Any, ...]]:
    """Values of :data:`_MANY`, none of which moves a message twice: such moves are made one after the other."""
    for move in moves:
        _known_state(move.state)
    left = list(moves)
    while left:
        now_moved: dict[str, Move] = {}
        later = []
        for move in left:
            if move.message in now_moved:
                later.append(move)
            else:
                now_moved[move.message] = move
        yield _values([now_moved[name] for name in sorted(now_moved)])
        left = later


def _values(moves: Sequence[Move]) -> tuple[Any, ...]:
    ids = [fit(move.message) for move in moves]
    given = zip(
        *((move.state, fit(move.reason), fit(move.case), fit(move.kind), fit(move.owner)) for move in moves),
        strict=True,
    )
    return (ids, *map(list, given), ids[0], ids[-1], now())


def _all_known(ids: Sequence[str], found: Collection[str]) -> None:
    missing = next((one for one in ids if one not in found), None)
    if missing is not None:
        raise unknown(missing)
