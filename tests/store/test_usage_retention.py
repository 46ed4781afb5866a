"""Rounds that are long over are forgotten with the journal's upkeep; what a case may still ask for stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from store.retention import StoredRetention
from store.usage_conflicts import StoredConflicts
from store.usage_tables import usage_conflicts, usage_rounds
from tests.store.usage_rows_house import conflict, use

NOW = datetime.now(UTC)
OLD, NEW = NOW - timedelta(days=31), NOW - timedelta(days=29)


async def test_old_rounds_go_but_not_open_ones_nor_the_newest_of_a_location(engine: AsyncEngine) -> None:
    rounds = [("OR-1", 1, "recorded", OLD), ("OR-1", 2, "taken", OLD), ("OR-1", 3, "refused", OLD)]
    rounds += [("OR-1", 4, "recorded", NEW), ("OR-2", 7, "recorded", OLD), ("OR-2", 8, "recorded", OLD)]
    async with engine.begin() as connection:
        for location, number, state, at in rounds:
            row = {"facility": "NGH", "location": location, "round": number, "state": state, "taken": {}}
            await connection.execute(insert(usage_rounds).values(row | {"at": at, "changed_at": at}))
    deleted = await StoredRetention(engine).clean([], NOW, at_once=1)
    assert deleted.rounds == 3
    async with engine.begin() as connection:
        left = (await connection.execute(select(usage_rounds.c.location, usage_rounds.c.round))).all()
    assert sorted(map(tuple, left)) == [("OR-1", 2), ("OR-1", 4), ("OR-2", 8)]


async def test_settled_conflicts_go_and_open_ones_stay_however_old(engine: AsyncEngine) -> None:
    old, still_open, new = [await conflict(engine, await use(engine, f"T-{n}"), item="ITM-2") for n in range(3)]
    async with engine.begin() as connection:
        for one, state, at in ((old, "dismissed", OLD), (still_open, "open", OLD), (new, "dismissed", NEW)):
            which = usage_conflicts.c.id == one
            await connection.execute(update(usage_conflicts).where(which).values(state=state, at=at))
    await StoredRetention(engine).clean([], NOW)
    assert {row.id for row in await StoredConflicts(engine).list(everything=True)} == {still_open, new}
