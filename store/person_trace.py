"""The trace of a person: who did, saw, decided and sent what, when and by which rules, each entry bound to the one before.

Written in the transaction that does the deed. It outlives Temporal's histories and holds codes, dates, counts and hashes: no name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field
from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.base import Canonical
from canonical.credentials import RULES_VERSION
from store.ids import now
from store.people_tables import people, person_trace


class Entry(Canonical):
    """One deed: a verb (``heard``, ``verified``, ``decided``, ``wrote``, ...), what it was about, and who did it."""

    did: str
    what: str = ""
    by: str = "fascia"
    facility: str = ""
    content: dict[str, Any] = Field(default_factory=dict)
    rules: str = RULES_VERSION


def link_hash(before: str, person: str, link: int, entry: Entry, at: datetime) -> str:
    """SHA-256 over the hash before and all the entry says, in a fixed form."""
    said = [before, person, link, entry.model_dump(mode="json"), at.astimezone(UTC).isoformat()]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def note_in(connection: AsyncConnection, person: str, *entries: Entry, at: datetime | None = None) -> None:
    """Add entries to a person's trace; those of one person come one after another (its row is locked until the transaction ends).

    A person nobody has heard of (a revocation by key alone) has a row from then on.
    """
    if not entries:
        return
    moment = at or now()
    fresh = {"person": person, "content": {}, "at": moment, "changed_at": moment}
    await connection.execute(upsert(people).values(fresh).on_conflict_do_nothing())
    last = (await connection.execute(_last(person))).one()
    number, before, rows = last.links, last.link, []
    for entry in entries:
        number += 1
        found = link_hash(before, person, number, entry, moment)
        place = {"person": person, "link": number, "before": before, "hash": found, "at": moment}
        rows.append(entry.model_dump(mode="json") | place)
        before = found
    await connection.execute(insert(person_trace), rows)
    await connection.execute(update(people).where(people.c.person == person).values(links=number, link=before))


def _last(person: str) -> Any:
    return select(people.c.links, people.c.link).where(people.c.person == person).with_for_update()


class TraceRow(Entry):
    """An entry as it is kept, with its place in the chain."""

    link: int
    before: str
    hash: str
    at: datetime


async def trace_in(connection: AsyncConnection, person: str) -> Sequence[TraceRow]:
    """A person's trace, in order."""
    asked = select(person_trace).where(person_trace.c.person == person).order_by(person_trace.c.link)
    return [TraceRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]


def broken_at(person: str, rows: Sequence[TraceRow], links: int, last: str) -> int | None:
    """The first entry that is not as it was written, or that is missing; None where all are there and right."""
    before = ""
    for number, row in enumerate(rows, start=1):
        entry = Entry.model_validate(row.model_dump(include=set(Entry.model_fields)))
        right = row.link == number and row.before == before
        if not right or row.hash != link_hash(before, person, number, entry, row.at):
            return number
        before = row.hash
    return None if len(rows) == links and before == last else len(rows) + 1
