"""A door says which case it will start: the claim is there, and waits for the run.

What asks for one case is kept and announced by one statement and one commit, many at a time. That is the usual way, of what is new
under a number nobody asked under; whatever is not is kept here and announced by itself, where it is looked at closely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, bindparam, exists, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import case_parts
from canonical.messages import Asking, KeepResult
from canonical.ports import Announcement
from store.database import at_once, transaction
from store.ids import now
from store.keep import keep_many
from store.kept import kept_new, row_of
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

_WRITTEN: Final = [one.name for one in messages.c if one.name not in ("duplicate_of", "answer", "parked", "owner")]
_CLAIMED: Final = ("process", "facility", "source", "number")
_ASKED: Final = [*(f"asked_{name}" for name in ("case", "hash", *_CLAIMED)), "until"]


def _keeping() -> Any:
    given = [*_WRITTEN, *_ASKED]
    arrays, columns = ", ".join(f":{name}" for name in given), ", ".join(f'"{name}"' for name in given)
    written = ", ".join(f'"{name}"' for name in _WRITTEN)
    with_claim = {"state": "CASE WHEN c.message IS NULL THEN g.state ELSE 'validated' END"}
    with_claim["case"] = 'CASE WHEN c.message IS NULL THEN g."case" ELSE g.asked_case END'
    as_written = ", ".join(with_claim.get(name, f'g."{name}"') for name in _WRITTEN)
    # Keys are taken before claims, and each in one order by everybody, or two batches could wait for each other.
    sql = f"""
        WITH given AS (SELECT * FROM unnest({arrays}) AS g ({columns})),
        taken AS (
            INSERT INTO message_keys AS k (direction, key, hash, message, at, until)
            SELECT direction, key, hash, id, at, until FROM given
            WHERE key <> '' ORDER BY direction, key COLLATE "C"
            ON CONFLICT (direction, key) DO UPDATE
            SET hash = excluded.hash, message = excluded.message, at = excluded.at, until = excluded.until
            WHERE k.until < excluded.at
            RETURNING message),
        new AS (SELECT * FROM given WHERE key = '' OR id IN (SELECT message FROM taken)),
        claimed AS (
            INSERT INTO claims ("case", process, facility, source, number, hash, message, at)
            SELECT asked_case, asked_process, asked_facility, asked_source, asked_number, asked_hash, id, at FROM new
            ORDER BY asked_case COLLATE "C", id ON CONFLICT DO NOTHING
            RETURNING message),
        noted AS (
            INSERT INTO message_states (message, state, reason, at)
            SELECT g.id, 'validated', '', g.at FROM new g JOIN claimed c ON c.message = g.id)
        INSERT INTO messages ({written})
        SELECT {as_written} FROM new g LEFT JOIN claimed c ON c.message = g.id
        RETURNING id, state"""  # noqa: S608 only names of our own columns
    types = {name: messages.c[name].type if name in messages.c else messages.c.id.type for name in given}
    types["until"] = messages.c.at.type
    plain = {name: type_.impl if isinstance(type_, Words) else type_ for name, type_ in types.items()}
    return text(sql).bindparams(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in plain.items()))


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
        async with at_once(self._engine) as connection:
            written = dict((await connection.execute(_KEEP, _arrays(_firsts(rows)))).tuples().all())
        known = [one for one, row in zip(asking, rows, strict=True) if row["id"] not in written]
        others = iter(await keep_many(self._engine, known) if known else ())
        return [
            _kept(row, one, written[row["id"]]) if row["id"] in written else next(others)
            for one, row in zip(asking, rows, strict=True)
        ]


def _row(one: Asking) -> dict[str, Any]:
    claim = named(one.asks)
    asked = {f"asked_{name}": fit(claim[name]) for name in _CLAIMED}
    return row_of(one) | asked | {"asked_case": fit(one.asks), "asked_hash": one.content_hash}


def _kept(row: Mapping[str, Any], one: Asking, state: str) -> KeepResult:
    stands = {"state": state, "case": row["asked_case"]} if state == "validated" else {}
    return KeepResult.model_construct(outcome="kept", message=kept_new({**row, **stands}, one.data), first=None)


def _firsts(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of several under one key only the first: one statement cannot find a key taken by itself."""
    firsts: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        firsts.setdefault((row["direction"], row["key"] or row["id"]), row)
    return list(firsts.values())


def _arrays(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in (*_WRITTEN, *_ASKED)}


def named(case: str) -> dict[str, Any]:
    """A claim's own columns, as the case's name says them."""
    process, *rest = case_parts(case)
    facility, source, number = (rest[0], *rest[1:]) if len(rest) == 3 else (rest[0], OURS, rest[-1])
    return {"case": case, "process": process, "facility": facility, "source": source, "number": number}


async def held_in(connection: AsyncConnection, case: str) -> Any:
    """The claim's row, ours until this transaction ends."""
    return (await connection.execute(select(claims).where(claims.c.case == case).with_for_update())).mappings().one()
