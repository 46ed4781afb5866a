"""What of recalls and expiry needs a person stands in the list of all that does, with what to press."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.recall import RecallScope
from store.attention import StoredAttention
from store.stuck import Stuck
from tests.store.recall_house import NOON, RecallHouse, lots, notice


@pytest.fixture
async def house(engine: AsyncEngine) -> RecallHouse:
    house = RecallHouse(engine)
    await house.open()
    return house


async def stuck(house: RecallHouse, what: str, hours: int) -> list[Stuck]:
    found = await StoredAttention(house.engine).stuck(NOON + timedelta(hours=hours))
    return [one for one in found if one.what == what]


async def test_tasks_past_the_time_of_their_class_are_one_line_of_their_recall(house: RecallHouse) -> None:
    await house.holds(3, "A1")
    await house.used("A1", procedure="p-1")
    number = await house.opened(*lots("A1"))
    assert await stuck(house, "recall task overdue", 23) == []
    (line,) = await stuck(house, "recall task overdue", 24)
    assert (line.name, line.count, line.owner, line.since) == (
        number,
        2,
        "materials management",
        NOON + timedelta(hours=24),
    )
    assert f"fascia recall show {number}" in line.press
    for task in await house.recalls.tasks(number, state="open", limit=9):
        outcome = "none-found" if task.kind == "location" else "not-implanted"
        await house.says(number, "answer", task=task.id, outcome=outcome, reason="looked")
    assert await stuck(house, "recall task overdue", 24) == []


async def test_a_notice_that_leaves_something_open_stays_until_a_person_has_read_it(house: RecallHouse) -> None:
    await house.load(notice(RecallScope(lot_from="A1")))
    (line,) = await stuck(house, "recall to be read", 0)
    assert "nothing of it is blocked yet" in line.why
    await house.says(line.name, "settle", reason="not our product")
    assert await stuck(house, "recall to be read", 0) == []


async def test_expired_stock_is_one_line(house: RecallHouse) -> None:
    await house.holds(3, "A1", expires=date(2026, 11, 19))
    await house.holds(3, "A2", expires=date(2026, 11, 20))
    (line,) = await stuck(house, "expired stock", 0)
    assert (line.count, line.name) == (1, "NGH/OR-1") and "2026-11-19" in line.why
