"""The way to our own database: what the server closed is replaced before anybody meets it, and a use is one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store import database
from store.database import at_once, open_engine, transaction


@pytest.fixture
async def own(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection, of this test alone."""
    made = open_engine(engine.url.render_as_string(hide_password=False), pool=1)
    yield made
    await made.dispose()


async def _session(engine: AsyncEngine) -> int:
    async with at_once(engine) as connection:
        return int(await connection.scalar(text("select pg_backend_pid()")) or 0)


async def test_a_connection_the_server_closed_costs_nobody_a_failure(own: AsyncEngine, engine: AsyncEngine) -> None:
    before = await _session(own)
    async with transaction(engine) as connection:
        await connection.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": before})
    assert await _session(own) != before


async def test_a_busy_connection_is_used_again_and_one_that_rested_long_is_asked_first(
    own: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await _session(own)
    assert await _session(own) == before
    monkeypatch.setattr(database, "IDLE", -1.0)
    assert await _session(own) == before


async def test_a_single_statement_is_kept_without_a_commit_of_its_own(own: AsyncEngine, engine: AsyncEngine) -> None:
    async with at_once(own) as connection:
        await connection.execute(text("insert into counters (scope, last) values ('one statement', 7)"))
    async with transaction(engine) as connection:
        assert await connection.scalar(text("select last from counters where scope = 'one statement'")) == 7
    async with transaction(own) as connection:  # and the next use is a transaction again
        await connection.execute(text("update counters set last = 8 where scope = 'one statement'"))
        await connection.rollback()
    async with at_once(engine) as connection:
        assert await connection.scalar(text("select last from counters where scope = 'one statement'")) == 7
