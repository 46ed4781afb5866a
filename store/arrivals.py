"""Which file came last under a name: only the same content as that one is the same file again."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.folders import Arrival
from store.database import transaction
from store.tables import messages

ROWS = "%\\_rows"  # parts set apart are no files


class StoredArrivals:
    """Files of watched folders, as the journal has them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def last(self, sender: str, source: str, name: str) -> Arrival | None:
        """The last file of this name from a source; None for the first one."""
        asked = (
            select(messages.c.id, messages.c.key, messages.c.hash)
            .where(messages.c.sender == sender, messages.c.sender != "", messages.c.direction == "in")
            .where(messages.c.channel == source, messages.c.control_number == name, messages.c.version_of == "")
            .where(messages.c.kind.like("csv\\_%"), messages.c.kind.not_like(ROWS))
            .order_by(messages.c.id.desc())
            .limit(1)
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(asked)).mappings().one_or_none()
        return Arrival.model_validate(dict(row)) if row is not None else None
