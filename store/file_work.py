"""Which process works on which file of rows, and how far it is, by the database's clock: machines may differ on the time."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.folders import FileStanding
from store.database import transaction
from store.ids import new_id
from store.tables import file_work, messages

SILENT: Final = timedelta(seconds=30)  # without a sign of life; then a file is anybody's


class StoredFileWork:
    """Claims in our own database, in the name of one process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._own = new_id()

    async def claim(self, message: str) -> bool:
        """Take a file for this process alone; False: somebody has it, this process among them."""
        asked = upsert(file_work).values(message=message, owner=self._own, at=func.now(), rows=0, done=0)
        given = {"owner": asked.excluded.owner, "at": asked.excluded.at, "rows": 0, "done": 0}
        lost = file_work.c.at < func.now() - SILENT
        taken = asked.on_conflict_do_update(index_elements=["message"], set_=given, where=lost)
        async with transaction(self._engine) as connection:
            found = await connection.execute(taken.returning(file_work.c.message))
            return found.one_or_none() is not None

    async def going(self, message: str, standing: FileStanding) -> bool:
        """Say that we are at it, and how far; False: it is not ours any more."""
        mine = (file_work.c.message == message) & (file_work.c.owner == self._own)
        async with transaction(self._engine) as connection:
            done = await connection.execute(
                update(file_work).where(mine).values(at=func.now(), rows=standing.rows, done=standing.done)
            )
        return bool(done.rowcount)

    async def release(self, message: str) -> None:
        """Give it back."""
        mine = (file_work.c.message == message) & (file_work.c.owner == self._own)
        async with transaction(self._engine) as connection:
            await connection.execute(delete(file_work).where(mine))

    async def sources_at_work(self) -> set[str]:
        """The watched folders somebody works on a file of."""
        asked = select(messages.c.channel).join(file_work, file_work.c.message == messages.c.id)
        async with transaction(self._engine) as connection:
            return set(await connection.scalars(asked.where(file_work.c.at >= func.now() - SILENT)))

    async def standing(self, message: str) -> FileStanding | None:
        """How far a file is that somebody works on; None where nobody does."""
        asked = select(file_work.c.rows, file_work.c.done).where(file_work.c.message == message)
        alive = file_work.c.at >= func.now() - SILENT
        async with transaction(self._engine) as connection:
            row = (await connection.execute(asked.where(alive))).mappings().one_or_none()
        return FileStanding.model_validate(dict(row)) if row is not None else None
