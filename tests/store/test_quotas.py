"""A key's quota holds over all processes that serve it, and who is told to wait is told how long."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.quota import Leases
from store.database import open_engine
from store.quotas import SECONDS, STEPS, StoredQuotas, _wait


async def grow_older(engine: AsyncEngine, seconds: int) -> None:
    """Let the calls counted so far be that much longer ago."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE quotas SET step = step - :steps"), {"steps": seconds // SECONDS})


async def test_two_processes_share_one_quota(engine: AsyncEngine, server: str) -> None:
    other = open_engine(f"{server}/fascia")
    doors = [StoredQuotas(engine), StoredQuotas(other)]
    waits = await asyncio.gather(*(doors[number % 2].count("key-1", 30) for number in range(100)))
    await other.dispose()
    assert waits.count(0) == 30
    assert all(0 < wait <= STEPS * SECONDS for wait in waits if wait)
    assert await doors[0].count("key-2", 30) == 0, "another key has its own"


async def test_calls_counted_together_are_counted_all_or_none(engine: AsyncEngine) -> None:
    quotas = StoredQuotas(engine)
    assert [await quotas.count("k", 10, 4) for _ in range(2)] == [0, 0]
    assert await quotas.count("k", 10, 3) > 0
    assert await quotas.count("k", 10, 2) == 0 and await quotas.count("k", 10) > 0


async def test_two_processes_that_count_ahead_share_one_quota(engine: AsyncEngine, server: str) -> None:
    other = open_engine(f"{server}/fascia")
    doors = [Leases(StoredQuotas(engine)), Leases(StoredQuotas(other))]
    waits = await asyncio.gather(*(doors[number % 2].count("key-1", 300) for number in range(700)))
    await other.dispose()
    assert 290 <= waits.count(0) <= 300 and min(wait for wait in waits if wait) > 0


async def test_a_call_counts_for_a_minute_and_no_longer(engine: AsyncEngine) -> None:
    quotas = StoredQuotas(engine)
    assert [await quotas.count("k", 2) for _ in range(2)] == [0, 0]
    await grow_older(engine, 50)
    assert await quotas.count("k", 2) > 0
    await grow_older(engine, 10)
    assert [bool(await quotas.count("k", 2)) for _ in range(3)] == [False, False, True]


async def test_calls_grow_old_one_by_one(engine: AsyncEngine) -> None:
    quotas = StoredQuotas(engine)
    for _ in range(3):
        assert await quotas.count("k", 3) == 0
        await grow_older(engine, 20)
    assert [bool(await quotas.count("k", 3)) for _ in range(2)] == [False, True], "only the first is a minute old"


async def test_a_call_that_was_refused_is_not_counted_so_who_waits_as_told_is_served(engine: AsyncEngine) -> None:
    quotas = StoredQuotas(engine)
    assert await quotas.count("k", 1) == 0
    for _ in range(5):
        wait = await quotas.count("k", 1)
    await grow_older(engine, -(-int(wait) // SECONDS) * SECONDS)
    assert await quotas.count("k", 1) == 0


async def test_a_clock_that_was_set_back_shuts_nobody_out(engine: AsyncEngine) -> None:
    quotas = StoredQuotas(engine)
    assert await quotas.count("k", 1) == 0
    await grow_older(engine, -3600)
    assert [bool(await quotas.count("k", 1)) for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("calls", "per_minute", "wait"),
    [([2], 2, 60), ([1, 0, 0, 1], 2, 45), ([1, 0, 0, 1], 1, 60), ([0] * 11 + [5], 3, 5)],
)
def test_the_wait_is_until_enough_calls_are_a_minute_old(calls: list[int], per_minute: int, wait: float) -> None:
    assert _wait(1000, calls, 1000.0, per_minute) == wait


def test_a_count_that_another_call_moved_on_before_it_was_read_lets_the_next_one_pass() -> None:
    """Counting and reading are two statements: a minute may begin anew in between."""
    assert _wait(100, [1] + [0] * (STEPS - 1), 100.5, 60) == 1.0


# ---- what senders send, a second's worth at a time --------------------------------------------------------------------------


async def test_what_a_sender_may_send_is_counted_once_for_all_doors(engine: AsyncEngine, server: str) -> None:
    other = open_engine(f"{server}/fascia")
    doors = [StoredQuotas(engine), StoredQuotas(other)]
    began = time.monotonic()
    told = await asyncio.gather(*(doors[number % 2].take("WARD", 600, 10) for number in range(40)))
    came_due = 10 * (time.monotonic() - began)
    await other.dispose()
    assert 50 <= sum(granted for granted, _ in told) <= 51 + came_due, (
        "five seconds' worth, and what came due meanwhile"
    )
    assert all(0 < wait <= 1.0 for granted, wait in told if not granted)
    assert (await doors[0].take("LAB", 600, 10))[0] == 10, "another sender has its own"


async def test_a_sender_is_given_again_what_its_pace_allows_and_no_more(engine: AsyncEngine) -> None:
    doors = StoredQuotas(engine)
    while (await doors.take("WARD", 60, 100))[0]:
        pass
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE allowances SET paid_until = clock_timestamp() + interval '1.99 seconds'"))
    assert (await doors.take("WARD", 60, 100))[0] == 3, "of five seconds three are free"
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE allowances SET paid_until = paid_until - interval '1 day'"))
    assert (await doors.take("WARD", 60, 100))[0] == 5, "a night of silence is not saved up"


async def test_a_slow_quota_lets_one_through_at_once_and_a_clock_set_back_makes_nobody_wait_for_it(
    engine: AsyncEngine,
) -> None:
    doors = StoredQuotas(engine)
    assert (await doors.take("WARD", 1, 1))[0] == 1
    granted, wait = await doors.take("WARD", 1, 1)
    assert granted == 0 and 50 < wait <= 60
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE allowances SET paid_until = paid_until + interval '1 day'"))
    assert (await doors.take("WARD", 1, 1))[1] <= 60
