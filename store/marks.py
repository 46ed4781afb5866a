"""How far each watcher has come, so that one that was away goes on where it stopped; and when a process last said it is alive."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import extract, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import transaction
from store.tables import marks

ALIVE = "alive/"


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

    async def beat(self, name: str) -> None:
        """A process says that it is alive, by the database's clock: machines may differ on the time."""
        asked = upsert(marks).values(name=f"{ALIVE}{name}", at=func.now())
        async with transaction(self._engine) as connection:
            await connection.execute(
                asked.on_conflict_do_update(index_elements=["name"], set_={"at": asked.excluded.at})
            )

    async def silent_for(self, name: str) -> float | None:
        """Seconds since such a process last said that it is alive; None where none ever did."""
        age = select(extract("epoch", func.now() - marks.c.at)).where(marks.c.name == f"{ALIVE}{name}")
        async with transaction(self._engine) as connection:
            found = await connection.scalar(age)
        return None if found is None else float(found)
