"""Calls are counted ahead a second's worth at most: a busy key costs few questions, and no quota is passed by more than that."""

from __future__ import annotations

import asyncio

from canonical.errors import Unavailable
from gateway.quota import Leases


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Counts:
    """One minute's count, for all doors."""

    def __init__(self) -> None:
        self.calls = 0
        self.questions = 0
        self.away = False

    async def count(self, key: str, per_minute: int, calls: int = 1) -> float:
        self.questions += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        if self.calls + calls > per_minute:
            return 42.0
        self.calls += calls
        return 0.0


async def test_a_busy_key_costs_a_few_questions() -> None:
    counts, clock = Counts(), Clock()
    door = Leases(counts, clock=clock)
    assert not any([await door.count("k", 60_000) for _ in range(1000)])
    assert counts.questions <= 12 and counts.calls <= 2000


async def test_two_doors_together_let_through_what_one_may_whatever_they_took_ahead() -> None:
    counts, clock = Counts(), Clock()
    doors = [Leases(counts, clock=clock) for _ in range(2)]
    through = 0
    for _ in range(60):
        told = await asyncio.gather(*(doors[n % 2].count("k", 600) for n in range(40)))
        through += told.count(0.0)
        clock.now += 1.0
    assert counts.calls == 600, "counted to the last"
    assert 580 <= through <= 600, "what one holds while the other asks in vain is a second's worth at most"


async def test_whatever_the_pauses_no_minute_sees_more_than_the_quota_and_a_seconds_worth() -> None:
    counts, clock = Counts(), Clock()
    door = Leases(counts, clock=clock)
    for _ in range(25):
        assert await door.count("k", 600) == 0.0
    clock.now, counts.calls = clock.now + 120.0, 0  # a new minute, with what was counted ahead in an old one
    assert 600 <= [await door.count("k", 600) for _ in range(800)].count(0.0) <= 600 + 600 // 60


async def test_a_key_of_few_calls_is_counted_call_by_call() -> None:
    counts, clock = Counts(), Clock()
    door = Leases(counts, clock=clock)
    for number in range(1, 61):
        assert await door.count("k", 60) == 0.0 and counts.calls == number
    assert await door.count("k", 60) == 42.0


async def test_a_door_that_was_killed_takes_a_seconds_worth_with_it_at_most() -> None:
    counts, clock = Counts(), Clock()
    killed = Leases(counts, clock=clock)
    used = 0
    for _ in range(25):
        used += await killed.count("k", 600) == 0.0
    assert used == 25 and counts.calls - used <= 600 // 60
    before, after = counts.calls, Leases(counts, clock=clock)
    assert [await after.count("k", 600) for _ in range(700)].count(0.0) == 600 - before


async def test_while_our_database_is_away_a_call_is_not_let_through_uncounted() -> None:
    counts, clock = Counts(), Clock()
    door = Leases(counts, clock=clock)
    counts.away = True
    told = await asyncio.gather(*(door.count("k", 60) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in told)
    counts.away = False
    assert await door.count("k", 60) == 0.0
