"""Writes records of the register: one kind by one writer at a time, each with the other names it goes by."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.base import Canonical, content_hash
from store.ids import now
from store.register_reading import other_names
from store.tables import register, register_keys


async def alone(connection: AsyncConnection, kind: str) -> None:
    """Who writes records of a kind writes them whole, from what it read before: another's word must not come in between."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"fascia/register/{kind}", 0))))


async def write(
    connection: AsyncConnection, kind: str, facility: str, code: str, since: date, record: Canonical, source: str
) -> None:
    """One version of a record, in place of what was there under the same name and day, in a transaction of the caller's."""
    row = {
        "kind": kind,
        "facility": facility,
        "code": code,
        "valid_from": since,
        "document": record.model_dump_json(),
        "source": source,
        "hash": content_hash(record),
        "loaded_at": now(),
    }
    asked = upsert(register).values(row)
    await connection.execute(
        asked.on_conflict_do_update(index_elements=["kind", "facility", "code", "valid_from"], set_=row)
    )
    about = {"kind": kind, "facility": facility, "code": code}
    names = [about | {"key": key} for key in sorted(other_names(record))]
    if names:
        await connection.execute(upsert(register_keys).values(names).on_conflict_do_nothing())
