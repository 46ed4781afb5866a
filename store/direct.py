"""One statement straight to the driver, for the few that run for every message: building and reading a result costs SQLAlchemy as
much as all that we do with it. An outage has the same name as everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import named


async def fetch(engine: AsyncEngine, sql: str, given: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """The rows of a statement that is a transaction by itself; its parameters are ``$1``, ``$2``, ...

    Raises:
        Unavailable: as :func:`store.database.transaction`.
    """
    async with named():
        pooled = await engine.raw_connection()
        try:
            rows: Sequence[Sequence[Any]] = await pooled.driver_connection.fetch(sql, *given)  # type: ignore[union-attr]
        except asyncpg.PostgresError as failed:
            raise DBAPIError(sql, None, failed) from failed
        except asyncpg.InterfaceError as failed:
            kind = (
                DBAPIError if isinstance(failed, ValueError) else InterfaceError
            )  # a value no column takes, or no answer
            raise kind(sql, None, failed) from failed
        finally:
            pooled.close()
    return rows
