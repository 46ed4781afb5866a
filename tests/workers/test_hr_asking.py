"""An HR system that does not answer is left alone for a minute, and none is asked faster than it allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from canonical.errors import Rejected, Unavailable
from canonical.hr_ports import HrChanges
from tests.fakes.hr import FakeHr
from workers.hr_asking import OPEN_AFTER, OPEN_FOR, GuardedHr, Paced

T0 = datetime(2026, 11, 2, 8, tzinfo=UTC)


class Counted(FakeHr):
    """Counts the rounds that reach it; ``refuses``: it answers, with a no."""

    rounds, refuses = 0, False

    async def changes_since(self, since: datetime) -> HrChanges:
        self.rounds += 1
        if self.refuses:
            raise Rejected("no rights", code="not-allowed", system="hr")
        return await super().changes_since(since)


async def test_after_five_silences_it_is_asked_nothing_for_a_minute_and_then_one_question_finds_out() -> None:
    hr, clock = Counted(away=True), [T0]
    guarded = GuardedHr(hr, lambda: clock[0])
    for _ in range(OPEN_AFTER + 20):
        with pytest.raises(Unavailable):
            await guarded.changes_since(T0)
    assert hr.rounds == OPEN_AFTER
    clock[0] += OPEN_FOR
    for _ in range(5):
        with pytest.raises(Unavailable):
            await guarded.changes_since(T0)
    assert hr.rounds == OPEN_AFTER + 1, "still silent: another minute"
    clock[0] += OPEN_FOR
    hr.away = False
    for _ in range(3):
        await guarded.changes_since(T0)
    assert hr.rounds == OPEN_AFTER + 4


async def test_a_no_is_an_answer() -> None:
    hr = Counted()
    hr.refuses = True
    guarded = GuardedHr(hr, lambda: T0)
    for _ in range(OPEN_AFTER * 2):
        with pytest.raises(Rejected):
            await guarded.changes_since(T0)
    assert hr.rounds == OPEN_AFTER * 2


async def test_calls_go_no_faster_than_allowed_and_not_slower_after_a_pause() -> None:
    clock, waited = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        waited.append(round(seconds, 3))
        clock[0] += seconds

    paced = Paced(4, lambda: clock[0], sleep)
    for _ in range(3):
        await paced(None)
    assert waited == [0.25, 0.25]
    clock[0] += timedelta(minutes=1).total_seconds()
    await paced(None)
    assert waited == [0.25, 0.25]
