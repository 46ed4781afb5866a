"""Two routers never have the same streams, and what one had is the other's when it is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Unavailable
from store.shards import StoredShards
from workers.loops.pace import turns

SILENT = 2.0  # long enough for a busy machine to say a word in time
EVERY = range(8)


async def comes_to_hold(router: StoredShards, shards: Iterable[int], within: float = 120.0) -> None:
    """What another had is free as soon as our database knows that its connection is gone; that is at once, and not before."""
    async with asyncio.timeout(within):
        while list(await router.hold()) != list(shards):
            await asyncio.sleep(0.05)


async def test_one_router_has_every_shard_and_two_have_half_each(engine: AsyncEngine) -> None:
    one, two = StoredShards(engine), StoredShards(engine)
    try:
        await comes_to_hold(one, EVERY)  # whoever had some before has just gone
        assert list(await two.hold()) == [], "it has to wait until the other gives some back"
        first = set(await one.hold())
        second = set(await two.hold())
        assert len(first) == len(second) == 4 and first | second == set(range(8))
        assert set(await one.hold()) == first and set(await two.hold()) == second
    finally:
        await one.release()
    await comes_to_hold(two, EVERY)
    await two.release()


async def test_routers_of_another_name_have_their_own_shards(engine: AsyncEngine) -> None:
    one, other = StoredShards(engine, "router a", of=2), StoredShards(engine, "router b", of=2)
    assert list(await one.hold()) == list(await other.hold()) == [0, 1]
    await one.release()
    await other.release()


async def test_a_router_whose_connection_is_gone_has_nothing_and_begins_anew(engine: AsyncEngine) -> None:
    one, two = StoredShards(engine), StoredShards(engine)
    await one.hold()
    async with engine.begin() as connection:
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'")
        )
    await comes_to_hold(two, EVERY)
    with pytest.raises(Unavailable):
        await one.hold()
    assert list(await one.hold()) == []
    assert len(await two.hold()) == 4 and len(await one.hold()) == 4
    await one.release()
    await two.release()


async def test_a_router_that_stands_still_keeps_its_shards_no_longer_than_agreed(engine: AsyncEngine) -> None:
    frozen, alive = StoredShards(engine, silent=SILENT), StoredShards(engine)
    await comes_to_hold(frozen, EVERY)
    began = time.monotonic()
    while time.monotonic() < began + SILENT * 1.2:  # while it says that it is there, it has them
        await asyncio.sleep(0.1)
        await frozen.beat()
    assert list(await alive.hold()) == []
    await comes_to_hold(alive, EVERY, within=SILENT + 120.0)  # nothing of the other runs any more
    with pytest.raises(Unavailable):
        await frozen.hold()
    await frozen.release()
    await alive.release()


async def test_a_process_that_stands_still_in_its_turn_gives_it_up_and_one_that_works_long_does_not(
    engine: AsyncEngine,
) -> None:
    mine, another = turns(engine, silent=SILENT), turns(engine)
    async with mine("sweep") as at_work:
        assert at_work
        await asyncio.sleep(SILENT * 1.2)
        async with another("sweep") as also:
            assert not also, "it works, and says so"
    with pytest.raises(Unavailable):
        async with mine("sweep") as at_work:
            assert at_work
            time.sleep(SILENT * 1.2)  # noqa: ASYNC251 nothing of it runs
            async with asyncio.timeout(120):
                while True:
                    async with another("sweep") as now_theirs:
                        if now_theirs:
                            break
                    await asyncio.sleep(0.05)
