"""A database that goes away and comes back costs nobody more than a repeat."""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Malformed, Unavailable
from store.cases import StoredCases
from store.database import driven, open_engine, transaction
from tests.store.build import SEAL_KEY, change


async def _cut_all(server: str) -> None:
    outside = open_engine(f"{server}/postgres", pool=1)
    async with outside.connect() as connection:
        cut = text("select pid, pg_terminate_backend(pid) from pg_stat_activity where datname = 'fascia'")
        cut_off = list(await connection.scalars(cut))
        left = text("select count(*) from pg_stat_activity where pid = any(:pids)")
        async with asyncio.timeout(60):
            while await connection.scalar(left, {"pids": cut_off}):
                await connection.commit()  # what is active is looked at once a transaction
                await asyncio.sleep(0.02)
    await outside.dispose()


async def test_connections_the_server_closed_cost_nobody_a_failure(server: str, engine: AsyncEngine) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    await asyncio.gather(*(cases.status("c") for _ in range(5)))
    await _cut_all(server)
    assert await asyncio.gather(*(cases.status("c") for _ in range(5))) == [None] * 5


async def test_a_transaction_cut_in_the_middle_is_unavailable_and_leaves_nothing(
    server: str, engine: AsyncEngine
) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    with pytest.raises(Unavailable):
        async with transaction(engine) as connection:
            await connection.execute(text("insert into counters (scope, last) values ('half', 1)"))
            await _cut_all(server)
            await connection.execute(text("select 1"))
    async with transaction(engine) as connection:
        assert await connection.scalar(text("select count(*) from counters")) == 0
    await cases.record(change("c"))
    assert await cases.status("c") is not None


async def test_a_transaction_whose_lost_connection_nobody_minded_is_unavailable_and_leaves_nothing(
    server: str, engine: AsyncEngine
) -> None:
    with pytest.raises(Unavailable):
        async with transaction(engine) as connection:
            await connection.execute(text("insert into counters (scope, last) values ('minded', 1)"))
            await _cut_all(server)
            with contextlib.suppress(DBAPIError):
                await connection.execute(text("select 1"))
    async with transaction(engine) as connection:
        assert await connection.scalar(text("select count(*) from counters")) == 0


@pytest.mark.parametrize(
    ("state", "words"), [("53100", "disk full"), ("XX000", 'could not extend file "base/1/2": File too large')]
)
async def test_a_disk_without_room_is_unavailable_and_not_the_fault_of_who_writes(
    engine: AsyncEngine, state: str, words: str
) -> None:
    raised = f"DO $$ BEGIN RAISE EXCEPTION '{words}' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(Unavailable):
        async with transaction(engine) as connection:
            await connection.execute(text(raised))
    with pytest.raises(Unavailable):
        async with driven(engine) as driver:
            await driver.execute(raised)


async def test_what_no_column_takes_is_the_fault_of_who_writes_it_by_the_drivers_own_call_too(
    engine: AsyncEngine,
) -> None:
    with pytest.raises(asyncpg.DataError):
        async with driven(engine) as driver:
            await driver.fetch("SELECT $1::int", "no number")
    async with driven(engine) as driver:
        assert await driver.fetchval("SELECT 1") == 1


async def test_a_driver_that_lost_its_way_with_its_server_is_an_outage_and_is_left_to_nobody(
    engine: AsyncEngine,
) -> None:
    backends = []
    with pytest.raises(Unavailable):
        async with driven(engine) as driver:
            backends.append(await driver.fetchval("SELECT pg_backend_pid()"))
            raise asyncpg.InternalClientError
    async with driven(engine) as driver:
        backends.append(await driver.fetchval("SELECT pg_backend_pid()"))
    assert backends[0] != backends[1]


async def test_who_is_cancelled_in_the_middle_leaves_no_transaction_open_to_those_after(engine: AsyncEngine) -> None:
    begun = asyncio.Event()

    async def never_ends() -> None:
        async with driven(engine) as driver, driver.transaction():
            await driver.execute("insert into counters (scope, last) values ('half', 1)")
            begun.set()
            await driver.execute("select pg_sleep(2)")

    async def breaks_off() -> None:
        async with driven(engine) as driver:
            await driver.execute("begin")
            await driver.execute("insert into counters (scope, last) values ('other half', 1)")
            raise KeyError

    cut = asyncio.create_task(never_ends())
    await begun.wait()
    await asyncio.sleep(0.05)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    with pytest.raises(KeyError):
        await breaks_off()
    open_ones = "select count(*) from pg_stat_activity where datname = 'fascia' and state like 'idle in transaction%'"
    async with driven(engine) as driver:
        assert not driver.is_in_transaction()
        async with asyncio.timeout(60):
            while await driver.fetchval(open_ones):
                await asyncio.sleep(0.02)
        assert await driver.fetchval("select count(*) from counters") == 0


async def test_another_error_inside_the_server_is_not_taken_for_an_outage(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError):
        async with transaction(engine) as connection:
            await connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'odd' USING ERRCODE = 'XX000'; END $$"))


async def test_what_was_to_be_written_is_in_no_failures_text(engine: AsyncEngine) -> None:
    """Failures go to our logs; whom a statement is about stays in our store."""
    with pytest.raises(DBAPIError) as failed:
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT 1 / 0 WHERE :name <> ''"), {"name": "Quetzalcoatlus"})
    assert "Quetzalcoatlus" not in str(failed.value)


def test_an_address_of_another_kind_of_database_is_refused() -> None:
    for url in ("", "nonsense", "mysql://u@h/d"):
        with pytest.raises(Malformed):
            open_engine(url)
