"""The loop that wakes recalls: new notices soon, what they have met since less often, and nothing is lost while Temporal is away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from canonical.errors import Unavailable
from workers.loops.recalls import RecallWakes

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Waiting:
    """Recalls to wake, until each has been."""

    def __init__(self, *numbers: str) -> None:
        self.numbers, self.looks = list(numbers), []  # type: tuple[list[str], list[bool]]

    async def wake(self, at: datetime, *, look: bool = True) -> Sequence[str]:
        self.looks.append(look)
        return list(self.numbers)


class Runs:
    def __init__(self, waiting: Waiting) -> None:
        self.waiting, self.away = waiting, False
        self.woken: list[str] = []

    async def wake(self, number: str) -> None:
        if self.away:
            raise Unavailable("Temporal does not answer", system="temporal")
        self.woken.append(number)
        self.waiting.numbers.remove(number)


async def test_what_recalls_have_met_is_looked_for_every_half_minute_and_new_ones_are_woken_in_each_round() -> None:
    waiting, now = Waiting("Z-1"), NOON
    runs = Runs(waiting)
    loop = RecallWakes(waiting, runs, lambda: now)
    for seconds in (0, 5, 25, 30, 35):
        now = NOON + timedelta(seconds=seconds)
        waiting.numbers.append(f"at {seconds}")
        await loop.once()
    assert waiting.looks == [True, False, False, True, False]
    assert runs.woken == ["Z-1", "at 0", "at 5", "at 25", "at 30", "at 35"]


async def test_while_temporal_is_away_they_wait_and_the_loop_goes_on() -> None:
    waiting = Waiting("Z-1", "Z-2")
    runs = Runs(waiting)
    loop = RecallWakes(waiting, runs, lambda: NOON)
    runs.away = True
    await loop.once()
    assert runs.woken == [] and waiting.numbers == ["Z-1", "Z-2"]
    runs.away = False
    await loop.once()
    assert runs.woken == ["Z-1", "Z-2"]
