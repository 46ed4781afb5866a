"""Two routers never have the same streams, and what one had is the other's when it is gone."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Unavailable
from store.shards import StoredShards


async def test_one_router_has_every_shard_and_two_have_half_each(engine: AsyncEngine) -> None:
    one, two = StoredShards(engine), StoredShards(engine)
    try:
        assert list(await one.hold()) == list(range(8))
        assert list(await two.hold()) == [], "it has to wait until the other gives some back"
        first = set(await one.hold())
        second = set(await two.hold())
        assert len(first) == len(second) == 4 and first | second == set(range(8))
        assert set(await one.hold()) == first and set(await two.hold()) == second
    finally:
        await one.release()
    assert list(await two.hold()) == list(range(8))
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
    assert list(await two.hold()) == list(range(8))
    with pytest.raises(Unavailable):
        await one.hold()
    assert list(await one.hold()) == []
    assert len(await two.hold()) == 4 and len(await one.hold()) == 4
    await one.release()
    await two.release()
