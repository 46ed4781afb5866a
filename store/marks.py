"""How far each watcher has come, so that one that was away goes on where it stopped."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import transaction
from store.tables import marks


class StoredMarks:
    """Marks in our own database. A mark never goes back."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def mark(self, name: str) -> datetime | None:
        """How far the watcher of this name has come; None before its first round."""
        async with transaction(self._engine) as connection:
            return await connection.scalar(select(marks.c.at).where(marks.c.name == name))

    async def set_mark(self, name: str, at: datetime) -> None:
        """The watcher has everything up to this moment."""
        asked = upsert(marks).values(name=name, at=at)
        async with transaction(self._engine) as connection:
            await connection.execute(
                asked.on_conflict_do_update(
                    index_elements=["name"], set_={"at": asked.excluded.at}, where=marks.c.at < asked.excluded.at
                )
            )
