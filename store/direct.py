"""One statement straight to the driver, for the few that run for every message: building and reading a result costs SQLAlchemy as
much as all that we do with it. An outage has the same name as everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import driven


async def fetch(engine: AsyncEngine, sql: str, given: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """The rows of a statement that is a transaction by itself; its parameters are ``$1``, ``$2``, ...

    Raises:
        Unavailable: as :func:`store.database.transaction`.
    """
    async with driven(engine) as driver:
        rows: list[Any] = await driver.fetch(sql, *given)
    return rows
