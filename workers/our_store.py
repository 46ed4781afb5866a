"""Opens our own store for a process, and says what to do where it cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Unavailable
from store import migrate
from store.database import open_engine
from workers.settings import Settings


@asynccontextmanager
async def our_store(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A database of the right shape, closed when the block ends; all that a door needs which only keeps.

    Raises:
        FasciaError: no address, no answer, or a database of another shape, with what to do about it.
    """
    address = settings.database_url.get_secret_value()
    if not address:
        raise Unavailable("no database address is set: run `fascia up` or set FASCIA_DATABASE_URL", system="store")
    database = open_engine(address, pool=settings.database_pool)
    try:
        await migrate.check_head(database)
        yield database
    finally:
        await database.dispose()
