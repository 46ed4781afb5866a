"""Keeps messages in one statement for many: each is new, the same as one before, or disagrees with one before.

The first message under a key has it in ``message_keys``, for as long as its sender's policy says. PostgreSQL decides who is
first, whichever processes and doors ask at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    LargeBinary,
    SmallInteger,
    Text,
    bindparam,
    insert,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import maker
from canonical.messages import KeepResult, Kept, NewMessage
from store.database import at_once, driven, transaction
from store.ids import now
from store.kept import KEPT, conflict_with, kept, kept_new, row_of, without_bytes
from store.tables import message_conflicts, message_keys, message_states, messages

Row = Mapping[str, Any]

_TYPES: Final[Mapping[str, Any]] = {
    "size": BigInteger(),
    "at": DateTime(timezone=True),
    "occurred": DateTime(timezone=True),
    "until": DateTime(timezone=True),
    "priority": SmallInteger(),
    "slot": SmallInteger(),
    "packing": SmallInteger(),
    "payload": LargeBinary(),
}
_WRITTEN: Final = [
    column.name for column in messages.c if column.name not in ("duplicate_of", "answer", "parked", "owner")
]
_GIVEN: Final = [*_WRITTEN, "until"]


def _keeping() -> Any:
    arrays = ", ".join(f":{name}" for name in _GIVEN)
    columns = ", ".join(f'"{name}"' for name in _GIVEN)
    written = ", ".join(f'"{name}"' for name in _WRITTEN)
    # Keys are taken in one order by everybody, or two batches could wait for each other.
    sql = f"""
        WITH given AS (SELECT * FROM unnest({arrays}) AS g ({columns})),
        taken AS (
            INSERT INTO message_keys AS k (direction, key, hash, message, at, until)
            SELECT direction, key, hash, id, at, until FROM given
            WHERE key <> '' AND conflicts_with = '' ORDER BY direction, key COLLATE "C"
            ON CONFLICT (direction, key) DO UPDATE
            SET hash = excluded.hash, message = excluded.message, at = excluded.at, until = excluded.until
            WHERE k.until < excluded.at
            RETURNING message)
        INSERT INTO messages ({written}) SELECT {written} FROM given
        WHERE key = '' OR conflicts_with <> '' OR id IN (SELECT message FROM taken)
        ON CONFLICT (id) DO NOTHING
        RETURNING id"""  # noqa: S608 only names of our own columns
    types: dict[str, Any] = {name: ARRAY(_TYPES[name] if name in _TYPES else Text()) for name in _GIVEN}
    return text(sql).bindparams(*(bindparam(name, type_=type_) for name, type_ in types.items()))


_KEEP: Final = _keeping()  # built once, as all that runs for every message

# What a door brings by the thousand says nothing in most columns, and comes in one way: such a batch is written with half of them,
# by the driver's own call. A statement for it costs PostgreSQL and us less than half of the one for everything.
_USUAL: Final = {"direction": "in", "state": "received"} | dict.fromkeys(
    ("partner", "reason", "case", "conflicts_with", "channel", "version_of", "replay_of", "note"), ""
)
_VARIES: Final = [name for name in _GIVEN if name not in _USUAL]
_usual, _varying = itemgetter(*_USUAL), itemgetter(*_VARIES)
_AS_USUAL: Final = tuple(_USUAL.values())


def _usually() -> str:
    types = {BigInteger: "bigint", SmallInteger: "smallint", DateTime: "timestamptz", LargeBinary: "bytea"}
    of = {name: types[type(_TYPES[name])] if name in _TYPES else "text" for name in _VARIES}
    arrays = ", ".join(f"${number}::{of[name]}[]" for number, name in enumerate(_VARIES, start=1))
    columns = ", ".join(f'"{name}"' for name in _VARIES)
    written = ", ".join(f'"{name}"' for name in _VARIES if name != "until")
    return f"""
        WITH given AS (SELECT * FROM unnest({arrays}) AS g ({columns})),
        taken AS (
            INSERT INTO message_keys AS k (direction, key, hash, message, at, until)
            SELECT 'in', key, hash, id, at, until FROM given WHERE key <> '' ORDER BY key COLLATE "C"
            ON CONFLICT (direction, key) DO UPDATE
            SET hash = excluded.hash, message = excluded.message, at = excluded.at, until = excluded.until
            WHERE k.until < excluded.at
            RETURNING message)
        INSERT INTO messages ({written}, direction, state) SELECT {written}, 'in', 'received' FROM given
        WHERE key = '' OR id IN (SELECT message FROM taken)
        RETURNING id"""  # noqa: S608 only names of our own columns


_KEEP_USUAL: Final = _usually()


async def keep_many(engine: AsyncEngine, new: Sequence[NewMessage]) -> list[KeepResult]:
    """Keep messages in their order; durable when this returns. See :meth:`StoredJournal.keep_many`."""
    rows = [row_of(message) for message in new]
    firsts = _firsts(rows)
    if rows and all(_usual(row) == _AS_USUAL for row in rows):
        values = zip(*map(_varying, firsts), strict=True)
        async with driven(engine) as driver:
            written = {found[0] for found in await driver.fetch(_KEEP_USUAL, *values)}
    else:
        async with at_once(engine) as connection:
            written = await _write(connection, firsts)
    if len(written) == len(rows):
        return [_new(row, message) for row, message in zip(rows, new, strict=True)]
    async with transaction(engine) as connection:
        return await _told(connection, new, rows, written)


async def keep_in(connection: AsyncConnection, message: NewMessage) -> KeepResult:
    """Keep one message in a transaction of the caller's."""
    rows = [row_of(message)]
    written = await _write(connection, rows)
    return (await _told(connection, [message], rows, written, again=False))[0]


def _new(row: Row, message: NewMessage) -> KeepResult:
    return _result({"outcome": "kept", "message": kept_new(row, message.data)})


_result: Final = maker(KeepResult)


def _firsts(rows: Sequence[Row]) -> Sequence[Row]:
    """Of several under one key only the first: one statement cannot find a key taken by itself."""
    seen: set[tuple[str, str]] = set()
    firsts = []
    for row in rows:
        key = (row["direction"], row["key"])
        if key not in seen or not row["key"]:
            seen.add(key)
            firsts.append(row)
    return firsts


async def _write(connection: AsyncConnection, rows: Sequence[Row]) -> set[str]:
    """Write what is new; gives the ids of what was."""
    if not rows:
        return set()
    values = {name: [row[name] for row in rows] for name in _GIVEN}
    return set(await connection.scalars(_KEEP, values))


async def _told(
    connection: AsyncConnection,
    new: Sequence[NewMessage],
    rows: Sequence[Row],
    written: set[str],
    *,
    again: bool = True,
) -> list[KeepResult]:
    """What became of each message; those whose key was taken are the same as the first, or kept apart from it."""
    known = [row for row in rows if row["key"] and row["id"] not in written]
    firsts = await _first_messages(connection, known) if known else {}
    results, seen_again = [], []
    for message, row in zip(new, rows, strict=True):
        first = firsts.get((row["direction"], row["key"]))
        # A row of its own id, or without a key, was written by an attempt before this one.
        if row["id"] in written or first is None or first.id == row["id"]:
            results.append(_new(row, message))
            continue
        if first.hash != row["hash"]:
            results.append(await _apart(connection, row, message, first))
            continue
        results.append(KeepResult(outcome="duplicate", message=first, first=first))
        if again and message.direction == "in":
            why = f"received again by {row['door']}"
            seen_again.append({"message": first.id, "state": first.state, "reason": why, "at": message.at or now()})
    if seen_again:
        await connection.execute(insert(message_states), seen_again)
    return results


async def _first_messages(connection: AsyncConnection, rows: Sequence[Row]) -> dict[tuple[str, str], Kept]:
    keys = {(row["direction"], row["key"]) for row in rows}
    asked = select(message_keys).where(tuple_(message_keys.c.direction, message_keys.c.key).in_(keys))
    taken = {(row["direction"], row["key"]): row for row in (await connection.execute(asked)).mappings()}
    ids = [row["message"] for row in taken.values()]
    found = await connection.execute(select(*KEPT).where(messages.c.id.in_(ids)))
    by_id = {row["id"]: kept(row) for row in found.mappings()}
    return {key: by_id.get(row["message"]) or without_bytes(*key, dict(row)) for key, row in taken.items()}


async def _apart(connection: AsyncConnection, row: Row, message: NewMessage, first: Kept) -> KeepResult:
    """Other bytes under a key that is taken are kept under an id of their own, once."""
    table = message_conflicts
    claimed = upsert(table).values(first=first.id, hash=row["hash"], message=row["id"]).on_conflict_do_nothing()
    if await connection.scalar(claimed.returning(table.c.message)) is None:
        where = (table.c.first == first.id) & (table.c.hash == row["hash"])
        other = await connection.scalar(select(table.c.message).where(where))
        asked = await connection.execute(select(*KEPT).where(messages.c.id == other))
        there = asked.mappings().one_or_none()
        gone = {"message": other, "hash": row["hash"], "at": row["at"]}
        before = kept(there) if there is not None else without_bytes(row["direction"], row["key"], gone)
        return KeepResult(outcome="conflict", message=before, first=first)
    apart = {**row, "conflicts_with": first.id, "reason": conflict_with(first.id)}
    await _write(connection, [apart])
    return KeepResult(outcome="conflict", message=kept_new(apart, message.data), first=first)
