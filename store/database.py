"""The way to our own database: every use is one transaction, and an outage has the platform's name for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from canonical.errors import Unavailable

# 40001 and 40P01: two transactions in each other's way; 53300, 57P0x: too many connections, or the server goes down.
_REPEATABLE = frozenset({"40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03"})


def open_engine(url: str, *, pool: int = 10) -> AsyncEngine:
    """The one engine of a process. Connections are tested before use, so a restarted server costs nobody a failure."""
    return create_async_engine(url, pool_size=pool, max_overflow=pool, pool_pre_ping=True, pool_timeout=10)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed whole, or not at all.

    Raises:
        Unavailable: the database does not answer, or another transaction stood in the way; harmless to repeat.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except (OSError, PoolTimeout) as down:
        raise Unavailable(f"our own database does not answer ({type(down).__name__})", system="store") from down
    except DBAPIError as failed:
        if not _passes(failed):
            raise
        raise Unavailable(f"our own database does not answer ({_state(failed)})", system="store") from failed


def _passes(failed: DBAPIError) -> bool:
    lost = failed.connection_invalidated or isinstance(failed, OperationalError | InterfaceError)
    return lost or _state(failed) in _REPEATABLE or _state(failed).startswith("08")


def _state(failed: DBAPIError) -> str:
    return str(getattr(failed.orig, "sqlstate", None) or getattr(failed.orig, "pgcode", None) or "connection lost")
