"""A door says which case it will start: the claim is there, and waits for the run.

What asks for one case is kept and announced by one statement and one commit, many at a time. That is the usual way, of what is new
under a number nobody asked under; whatever is not is kept here and announced by itself, where it is looked at closely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import case_parts
from canonical.messages import Asking, KeepResult
from canonical.ports import Announcement
from store.database import at_once, driven, transaction
from store.ids import now
from store.keep import keep_many
from store.kept import kept_new, row_of, slot_of
from store.moves import moved, moving
from store.tables import Words, claims, fit, messages

OURS: Final = "fascia"  # the source of what we start ourselves


def _announcing() -> Any:
    """Claim for a run to come and mark the message, in one statement: nothing comes back where the claim is there."""
    columns = ("case", "process", "facility", "source", "number", "hash", "message", "content", "run", "at")
    new = upsert(claims).values({name: bindparam(f"new_{name}", type_=claims.c[name].type) for name in columns})
    claimed = new.on_conflict_do_nothing().returning(claims.c.case).cte("claimed")
    return select(claimed.c.case).add_cte(moving(only_if=exists(select(claimed.c.case))))


# What is routed already does not go back.
_VALIDATE: Final = (
    select(messages.c.id)
    .where(messages.c.id == bindparam("of_message", type_=Words))
    .add_cte(moving(only_if=messages.c.state == "received"))
)
_ANNOUNCE: Final = _announcing()  # built once: it runs for every case

# What such a message says of itself, and its claim. What says more is kept by the general way: an array costs its time for each.
_TYPES: Final = {
    "size": "bigint",
    "at": "timestamptz",
    "priority": "smallint",
    "packing": "smallint",
    "payload": "bytea",
}
_GIVEN: Final = (
    *("id", "door", "partner", "sender", "kind", "control_number", "key", "hash", "size", "trace", "at", "priority"),
    *("packing", "payload"),
)
_ASKED: Final = ("asked_case", "asked_hash", "process", "facility", "source", "number")
_ELSE: Final = {
    "direction": "in",
    "state": "received",
    **dict.fromkeys(("reason", "case", "stream", "channel", "version_of", "replay_of", "note"), ""),
    "occurred": None,
    "until": None,
}


def _keeping() -> str:
    given = [*_GIVEN, *_ASKED]
    arrays = ", ".join(f"${place}::{_TYPES.get(name, 'text')}[]" for place, name in enumerate(given, 1))
    columns = ", ".join(given)
    written = ", ".join(_GIVEN)
    # Keys are taken before claims, and each in one order by everybody, or two batches could wait for each other.
    return f"""
        WITH given AS (SELECT * FROM unnest({arrays}) AS g ({columns})),
        taken AS (
            INSERT INTO message_keys (direction, key, hash, message, at)
            SELECT 'in', key, hash, id, at FROM given ORDER BY key COLLATE "C" ON CONFLICT DO NOTHING
            RETURNING message),
        new AS (SELECT * FROM given WHERE id IN (SELECT message FROM taken)),
        claimed AS (
            INSERT INTO claims ("case", process, facility, source, number, hash, message, at)
            SELECT asked_case, process, facility, source, number, asked_hash, id, at FROM new
            ORDER BY asked_case COLLATE "C", id ON CONFLICT DO NOTHING
            RETURNING message),
        noted AS (
            INSERT INTO message_states (message, state, reason, at)
            SELECT id, 'validated', '', at FROM new JOIN claimed ON message = id)
        INSERT INTO messages ({written}, direction, slot, state, "case")
        SELECT {written}, 'in', {slot_of("")}, CASE WHEN message IS NULL THEN 'received' ELSE 'validated' END,
            CASE WHEN message IS NULL THEN '' ELSE asked_case END
        FROM new LEFT JOIN claimed ON message = id
        RETURNING id, state"""  # noqa: S608 only names of our own columns


_KEEP: Final = _keeping()


class StoredAnnouncements:
    """Announcements in our own database. Two doors at once are decided by the claim's own row."""

    _engine: AsyncEngine

    async def foreseen(self, case: str, content_hash: str) -> Announcement:
        """What announcing a case would say; nothing is claimed."""
        asked = select(claims.c.hash, claims.c.run, claims.c.generation).where(claims.c.case == case)
        async with transaction(self._engine) as connection:
            held = (await connection.execute(asked)).one_or_none()
        if held is None:
            return Announcement(outcome="new", case=case)
        outcome = "same" if held.hash in ("", content_hash) else "conflict"
        return Announcement(outcome=outcome, case=case, started=held.run is not None or held.generation > 1)

    async def announce(self, case: str, content_hash: str, message: str, content: str = "") -> Announcement:
        """A door says it will start this case: the claim is there, and waits for the run; its message is validated."""
        marked = moved(message, "validated", case=case)
        new = named(case) | {"hash": content_hash, "message": message, "content": content}
        values = {f"new_{name}": value for name, value in (new | {"run": None, "at": now()}).items()}
        async with at_once(self._engine) as connection:
            if await connection.scalar(_ANNOUNCE, values | marked) is not None:
                return Announcement(outcome="new", case=case)
        async with transaction(self._engine) as connection:
            held = await held_in(connection, case)
            if held["hash"] not in ("", content_hash):
                return Announcement(outcome="conflict", case=case)
            if content and not held["content"]:  # announced before this was kept
                await connection.execute(update(claims).where(claims.c.case == case).values(content=content))
            await connection.execute(_VALIDATE, marked)
        return Announcement(outcome="same", case=case, started=held["run"] is not None or held["generation"] > 1)

    async def keep_asking(self, asking: Sequence[Asking]) -> list[KeepResult]:
        """Keep messages in their order, each as the journal would, and announce what each asks for; durable when this returns.

        Whose message is kept and validated, its case is announced. Any other case was asked for before, or its message was
        kept before: announce it by itself, and hear what is there.
        """
        rows = [_row(one) for one in asking]
        plain = _firsts(rows)
        written: dict[str, str] = {}
        if plain:
            async with driven(self._engine) as driver:
                written = {row["id"]: row["state"] for row in await driver.fetch(_KEEP, *_arrays(plain))}
        known = [one for one, row in zip(asking, rows, strict=True) if row["id"] not in written]
        others = iter(await keep_many(self._engine, known) if known else ())
        return [
            _kept(row, one, written[row["id"]]) if row["id"] in written else next(others)
            for one, row in zip(asking, rows, strict=True)
        ]


def _row(one: Asking) -> dict[str, Any]:
    claim = {name: fit(value) for name, value in named(one.asks).items()}
    return row_of(one) | claim | {"case": one.case, "asked_case": claim["case"], "asked_hash": one.content_hash}


def _kept(row: Mapping[str, Any], one: Asking, state: str) -> KeepResult:
    stands = {"state": state, "case": row["asked_case"]} if state == "validated" else {}
    return KeepResult.model_construct(outcome="kept", message=kept_new({**row, **stands}, one.data), first=None)


def _firsts(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What the one statement takes; of several under one key only the first, since it cannot find a key taken by itself."""
    firsts: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["key"] and all(row[name] == value for name, value in _ELSE.items()):
            firsts.setdefault(row["key"], row)
    return list(firsts.values())


def _arrays(rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    return [[row[name] for row in rows] for name in (*_GIVEN, *_ASKED)]


def named(case: str) -> dict[str, Any]:
    """A claim's own columns, as the case's name says them."""
    process, *rest = case_parts(case)
    facility, source, number = (rest[0], *rest[1:]) if len(rest) == 3 else (rest[0], OURS, rest[-1])
    return {"case": case, "process": process, "facility": facility, "source": source, "number": number}


async def held_in(connection: AsyncConnection, case: str) -> Any:
    """The claim's row, ours until this transaction ends."""
    return (await connection.execute(select(claims).where(claims.c.case == case).with_for_update())).mappings().one()
