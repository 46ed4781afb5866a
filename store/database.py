"""The way to our own database: every use is one transaction, and an outage has the platform's name for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from canonical.errors import Malformed, Unavailable

# 40001 and 40P01: two transactions in each other's way; 53300, 57P0x: too many connections, or the server goes down;
# 53100, 53200, 58030: no room on its disk or in its memory, or the disk fails; 25006: it is a stand-by for now.
_REPEATABLE = frozenset(
    {"25006", "40001", "40P01", "53100", "53200", "53300", "55P03", "57P01", "57P02", "57P03", "58030"}
)


IDLE = 30.0  # seconds a connection may rest before it is asked whether it still stands


def open_engine(url: str, *, pool: int = 10) -> AsyncEngine:
    """The one engine of a process, with up to twice ``pool`` connections, made when needed and then kept.

    A connection the server closed is seen as such without a question; one that rested long is asked first. So a restarted
    server costs nobody a failure, and busy connections no extra round trips.

    Raises:
        Malformed: not the address of a PostgreSQL database.
    """
    engine = create_async_engine(
        _address(url),
        pool_size=2 * pool,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,  # a failed statement's text goes to our logs, and what was to be written may name somebody
    )
    event.listen(engine.sync_engine, "checkout", _stands)
    event.listen(engine.sync_engine, "checkin", _rests)
    return engine


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise Malformed("the database's address cannot be read", code="configuration", system="store") from None
    if address.get_backend_name() not in ("postgresql", "postgres"):
        raise Malformed(
            f"our own database is PostgreSQL, not {address.get_backend_name()}", code="configuration", system="store"
        )
    return address.set(drivername="postgresql+asyncpg")


def _rests(_: Any, record: Any) -> None:
    record.info["rests_since"] = time.monotonic()


def _stands(connection: Any, record: Any, _: Any) -> None:
    """Before a connection is used: one that is gone is replaced by the pool when we say so."""
    gone = connection.driver_connection.is_closed()
    if not gone and time.monotonic() - record.info.get("rests_since", time.monotonic()) > IDLE:
        try:
            connection.ping()
        except Exception:  # whatever it is, a new connection is the answer
            gone = True
    if gone:
        raise DisconnectionError("the server closed this connection")


@asynccontextmanager
async def at_once(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """For one statement, which is a transaction by itself: one round trip instead of three.

    Raises:
        Unavailable: as :func:`transaction`.
    """
    async with named(), engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed whole, or not at all.

    Raises:
        Unavailable: the database does not answer, or another transaction stood in the way; harmless to repeat.
    """
    async with named(), engine.begin() as connection:
        yield connection


@asynccontextmanager
async def driven(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """The driver's own connection, for one statement that runs for every message: nothing of it is put together each time.

    Who leaves it in the middle of something, cancelled or with a transaction open, leaves it to nobody else: it is closed.

    Raises:
        Unavailable: as :func:`transaction`.
    """
    async with named(), engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        whole = False
        try:
            yield driver
            whole = not driver.is_in_transaction()
        except asyncpg.InternalClientError:
            raise  # it does not know how it stands with its server
        except Exception:
            whole = driver.is_closed() or not driver.is_in_transaction()
            raise
        finally:
            if not whole:
                driver.terminate()


@asynccontextmanager
async def named() -> AsyncIterator[None]:
    """An outage, under the platform's name for it."""
    try:
        yield
    except (OSError, PoolTimeout) as down:
        raise Unavailable(f"our own database does not answer ({type(down).__name__})", system="store") from down
    # An earlier statement of the transaction lost the connection and nobody said so, or the driver lost it between two states.
    except (PendingRollbackError, asyncpg.InternalClientError) as lost:
        raise Unavailable("our own database does not answer (connection lost)", system="store") from lost
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as failed:
        if not _driver_passes(failed):
            raise
        state = getattr(failed, "sqlstate", None) or "connection lost"
        raise Unavailable(f"our own database does not answer ({state})", system="store") from failed
    except DBAPIError as failed:
        if not _passes(failed):
            raise
        raise Unavailable(f"our own database does not answer ({_state(failed)})", system="store") from failed


def _passes(failed: DBAPIError) -> bool:
    if isinstance(getattr(failed.orig, "__cause__", None), ValueError):
        return False  # a value no column takes: the driver calls that a fault of the connection
    lost = failed.connection_invalidated or isinstance(failed, OperationalError | InterfaceError)
    return lost or _repeatable(_state(failed), str(failed.orig))


def _driver_passes(failed: asyncpg.PostgresError | asyncpg.InterfaceError) -> bool:
    """The same of what the driver itself raises, see :func:`driven`."""
    if isinstance(failed, asyncpg.InterfaceError):
        return not isinstance(failed, ValueError)
    return _repeatable(failed.sqlstate or "08", str(failed))


def _repeatable(state: str, words: str) -> bool:
    return state in _REPEATABLE or state.startswith("08") or _no_room(state, words)


def _no_room(state: str, words: str) -> bool:
    """PostgreSQL has no name for a quota, or a limit on the size of files: it tells of an internal error, and in words of which."""
    return state == "XX000" and ("could not extend" in words or "could not write" in words)


def _state(failed: DBAPIError) -> str:
    return str(getattr(failed.orig, "sqlstate", None) or getattr(failed.orig, "pgcode", None) or "connection lost")
