"""Keeping and announcing by one commit: all of it is there or none, whoever else is at it, and an outage is named as such."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Unavailable
from store.cases import StoredCases
from store.database import open_engine
from store.journal import StoredJournal
from tests.store.build import SEAL_KEY, requisition
from tests.store.contract_asking import asking


async def test_many_doors_at_once_under_crossing_keys_and_numbers_make_one_message_and_one_claim_of_each(
    engine: AsyncEngine, server: str
) -> None:
    other = open_engine(f"{server}/fascia")
    doors = [StoredCases(engine, SEAL_KEY), StoredCases(other, SEAL_KEY)]
    batches = [[asking(requisition(f"R-{(n * step) % 8}"), f"k-{n}") for n in range(8)] for step in (1, 3, 5, 7)]
    brought = await asyncio.gather(*(doors[n % 2].keep_asking(batches[n % 4]) for n in range(12)))
    await other.dispose()
    outcomes = Counter(result.outcome for results in brought for result in results)
    assert outcomes["kept"] == 8
    validated = {one.message.case for results in brought for one in results if one.message.state == "validated"}
    async with engine.connect() as connection:
        claimed = set(await connection.scalars(text('SELECT "case" FROM claims')))
        by_kept = await connection.scalar(text("SELECT count(*) FROM claims JOIN messages m ON m.id = claims.message"))
    assert claimed == validated and by_kept == len(claimed)


async def test_where_the_message_cannot_be_written_its_case_is_not_announced(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE messages ADD CONSTRAINT no_r2 CHECK (key <> 'k-2')"))
    try:
        with pytest.raises(Exception, match="no_r2"):
            await StoredCases(engine, SEAL_KEY).keep_asking([asking(requisition(f"R-{n}"), f"k-{n}") for n in (1, 2)])
        async with engine.connect() as connection:
            for table in ("messages", "message_keys", "message_states", "claims"):
                assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE messages DROP CONSTRAINT no_r2"))


async def test_a_connection_that_was_cut_is_an_outage_once_and_then_replaced(engine: AsyncEngine, server: str) -> None:
    own = open_engine(f"{server}/fascia", pool=1)
    cases = StoredCases(own, SEAL_KEY)
    await cases.keep_asking([asking(requisition("R-1"), "k-1")])
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'fascia'"
    async with engine.connect() as connection:
        await connection.execute(text("LOCK TABLE claims"))
        waiting = asyncio.create_task(cases.keep_asking([asking(requisition("R-2"), "k-2")]))
        while not await connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            await asyncio.sleep(0.01)
        await connection.execute(text(cut))
        with pytest.raises(Unavailable):
            await waiting
    (again,) = await cases.keep_asking([asking(requisition("R-2"), "k-2")])
    assert (again.outcome, again.message.state) == ("kept", "validated")
    assert await StoredJournal(own).history(again.message.id) != []
    await own.dispose()


async def test_what_was_kept_and_announced_says_so_in_its_history(engine: AsyncEngine) -> None:
    (result,) = await StoredCases(engine, SEAL_KEY).keep_asking([asking(requisition(), "k")])
    assert [state for state, _, _ in await StoredJournal(engine).history(result.message.id)] == [
        "received",
        "validated",
    ]
