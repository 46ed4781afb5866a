"""Locations are woken many at once, each by one wake until it answers; one that cannot be woken keeps no other waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from canonical.errors import Rejected, Unavailable
from canonical.stock import WakeDue
from canonical.stock_ports import PlaceStands
from workers.loops.usage_wakes import REPEAT_AFTER, UsageWakes

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class Locations:
    """Locations with something to do, in memory; ``woken_at`` as our store has it."""

    def __init__(self, *names: str) -> None:
        self.with_work = [WakeDue(facility="NGH", location=name) for name in names]
        self.woken_at: dict[WakeDue, datetime] = {}

    async def stands(self, facility: str, location: str) -> PlaceStands:
        raise AssertionError("not asked by the loop")

    async def due(self, at: datetime, repeat_before: datetime, most: int = 1000) -> Sequence[WakeDue]:
        return [
            place
            for place in self.with_work
            if self.woken_at.get(place, datetime.min.replace(tzinfo=UTC)) < repeat_before
        ]

    async def woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        self.woken_at |= dict.fromkeys(places, at)

    async def not_woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        for place in places:
            if self.woken_at.get(place) == at:
                del self.woken_at[place]


class Temporal:
    """Notes who was woken; ``no`` holds what a location's wake fails with, ``takes`` how long a call lasts."""

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.no: dict[str, Exception] = {}
        self.takes = 0.0
        self.at_once = self.most_at_once = 0

    async def wake(self, facility: str, location: str) -> str:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.takes)
            if location in self.no:
                raise self.no[location]
        finally:
            self.at_once -= 1
        self.woken.append(location)
        return "run"


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


def house(*names: str) -> tuple[Locations, Temporal, Clock, UsageWakes]:
    places, temporal, clock = Locations(*names), Temporal(), Clock()
    return places, temporal, clock, UsageWakes(places, temporal, clock)


async def test_a_location_has_one_unanswered_wake() -> None:
    places, temporal, clock, wakes = house("OR-1", "OR-2")
    for _ in range(5):
        await wakes.once()
        clock.passes(seconds=1)
    assert sorted(temporal.woken) == ["OR-1", "OR-2"]
    del places.woken_at[WakeDue(facility="NGH", location="OR-1")]  # it has answered, and there is more
    await wakes.once()
    assert sorted(temporal.woken) == ["OR-1", "OR-1", "OR-2"]


async def test_a_wake_nobody_answers_is_repeated_after_ten_minutes() -> None:
    _, temporal, clock, wakes = house("OR-1")
    await wakes.once()
    clock.passes(seconds=REPEAT_AFTER.total_seconds())
    await wakes.once()
    assert temporal.woken == ["OR-1"]
    clock.passes(seconds=1)
    await wakes.once()
    assert temporal.woken == ["OR-1", "OR-1"]


async def test_a_wake_that_was_noted_by_a_process_that_died_is_sent_by_the_next_one_at_its_first_look() -> None:
    places, temporal, clock, wakes = house("OR-1")
    await places.woken(places.with_work, START)
    clock.passes(minutes=1)
    await wakes.once()
    assert temporal.woken == ["OR-1"]


async def test_many_are_woken_at_once_and_not_all_of_them() -> None:
    _, temporal, _, wakes = house(*(f"W-{number}" for number in range(100)))
    temporal.takes = 0.01
    async with asyncio.timeout(60):
        await wakes.once()
    assert len(temporal.woken) == 100 and 1 < temporal.most_at_once <= 32


@pytest.mark.parametrize("no", [Rejected("not this one"), Unavailable("not now"), RuntimeError("a mistake of ours")])
async def test_one_that_cannot_be_woken_keeps_no_other_from_it_and_is_tried_again_later(no: Exception) -> None:
    places, temporal, clock, wakes = house("BAD", "OR-1")
    temporal.no["BAD"] = no
    with capture_logs() as logs:
        for _ in range(20):
            await wakes.once()
            places.woken_at.pop(WakeDue(facility="NGH", location="OR-1"))
            clock.passes(seconds=0.5)
    assert temporal.woken == ["OR-1"] * 20
    told = [log for log in logs if log["event"] == "location cannot be woken"]
    assert 1 <= len(told) <= 4, "shown, and tried less and less often"
    del temporal.no["BAD"]
    clock.passes(minutes=1)
    await wakes.once()
    assert temporal.woken[-2:].count("BAD") == 1


async def test_while_temporal_is_away_the_loop_says_so_and_everybody_is_due_again() -> None:
    places, temporal, clock, wakes = house("OR-1", "OR-2")
    temporal.no = {"OR-1": Unavailable("away"), "OR-2": Unavailable("away")}
    with pytest.raises(Unavailable):
        await wakes.once()
    assert places.woken_at == {}
    temporal.no = {}
    clock.passes(seconds=10)
    await wakes.once()
    assert sorted(temporal.woken) == ["OR-1", "OR-2"]
