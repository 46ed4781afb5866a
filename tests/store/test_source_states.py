"""A source's rate and breaker, shared by all workers."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Throttled, Unavailable
from store.database import transaction
from store.people_tables import source_states
from store.source_states import OPEN_AFTER, StoredSourceStates


@pytest.fixture
def states(engine: AsyncEngine) -> StoredSourceStates:
    return StoredSourceStates(engine)


async def test_questions_of_all_workers_stand_in_one_line(engine: AsyncEngine) -> None:
    workers = [StoredSourceStates(engine) for _ in range(3)]
    began = time.monotonic()
    turns = await asyncio.gather(*(worker.turn("NPPES", 10, 1) for worker in workers for _ in range(4)))
    took = time.monotonic() - began
    waits = sorted(turn.wait for turn in turns)
    assert waits[-1] + took >= 1.09  # twelve questions of ten a second: the last leaves after eleven tenths
    assert all(later - sooner > 0.1 - took for sooner, later in itertools.pairwise(waits) if sooner > 0)


async def test_who_would_wait_long_comes_again_later_and_takes_no_place(states: StoredSourceStates) -> None:
    slow = 0.1  # a second: no place comes free while this test asks
    for _ in range(2):
        await states.turn("SLOW", slow, 1)
    for _ in range(3):
        with pytest.raises(Throttled) as told:
            await states.turn("SLOW", slow, 1)
        assert told.value.retry_after > 0
    assert (await states.turn("OTHER", 1, 1)).wait == 0


async def test_five_failures_in_a_row_open_the_breaker_and_one_question_finds_out(
    states: StoredSourceStates, engine: AsyncEngine
) -> None:
    for _ in range(OPEN_AFTER):
        await states.turn("BOARD", 1000, 1)
        await states.failed("BOARD", "BOARD did not answer", datetime.now(UTC))
    with pytest.raises(Unavailable, match="is down since"):
        await states.turn("BOARD", 1000, 1)
    assert [state.source for state in await states.down()] == ["BOARD"]
    async with transaction(engine) as connection:  # its rest is over
        past = datetime.now(UTC) - timedelta(seconds=1)
        await connection.execute(update(source_states).values(probe_at=past))
    tried = await asyncio.gather(*(states.turn("BOARD", 1000, 1) for _ in range(4)), return_exceptions=True)
    assert sum(not isinstance(one, Unavailable) for one in tried) == 1
    await states.answered("BOARD")
    assert (await states.turn("BOARD", 1000, 1)).failures == 0
    assert await states.down() == []
