"""Rows for the tests of the store."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical, content_hash
from store.register_reading import other_names
from store.tables import register, register_keys


async def put(
    engine: AsyncEngine, kind: str, facility: str, code: str, record: Canonical, valid_from: date = date(2000, 1, 1)
) -> None:
    """A record of the register, whoever its authority is."""
    names = [{"kind": kind, "facility": facility, "key": key, "code": code} for key in other_names(record)]
    async with engine.begin() as connection:
        await connection.execute(
            insert(register).values(
                kind=kind,
                facility=facility,
                code=code,
                valid_from=valid_from,
                document=record.model_dump_json(),
                source="test",
                hash=content_hash(record),
                loaded_at=datetime.now(UTC),
            )
        )
        if names:
            await connection.execute(insert(register_keys), names)
