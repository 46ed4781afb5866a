"""Stock is warned of as it comes near its date, once at each threshold, and the first expired is to be taken first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.usage import UsagePolicy
from store.database import transaction
from store.expiry import StoredExpiry
from store.recall_tables import expiry_warnings
from tests.store.build import put
from tests.store.recall_house import NOON, RecallHouse
from workers.loops.expiry import ExpiryWarnings

TODAY = NOON.date()


@pytest.fixture
async def house(engine: AsyncEngine) -> RecallHouse:
    house = RecallHouse(engine)
    await house.open()
    return house


async def warned(house: RecallHouse) -> list[tuple[str, int]]:
    async with transaction(house.engine) as connection:
        rows = await connection.execute(select(expiry_warnings.c.lot, expiry_warnings.c.days))
        return sorted((row.lot, row.days) for row in rows)


async def test_each_balance_is_warned_of_once_at_each_threshold_it_passes(house: RecallHouse) -> None:
    expiry = StoredExpiry(house.engine)
    await house.holds(4, "A1", expires=TODAY + timedelta(days=91))
    await house.holds(4, "A2", expires=TODAY + timedelta(days=20))
    await house.holds(0, "A3", expires=TODAY + timedelta(days=20))
    await house.holds(4, "A4")
    assert await expiry.warn(NOON) == 1 and await warned(house) == [("A2", 30)]  # short-dated: told once, not thrice
    assert await expiry.warn(NOON) == 0
    for day, days in ((1, 90), (31, 60), (61, 30)):
        assert await expiry.warn(NOON + timedelta(days=day - 0.6)) == 0
        assert await expiry.warn(NOON + timedelta(days=day)) == 1
        assert ("A1", days) in await warned(house)


async def test_a_facility_warns_when_its_policy_says(house: RecallHouse) -> None:
    await put(house.engine, "usage_policy", "NGH", "NGH", UsagePolicy(facility="NGH", warn_days=(10,)))
    await house.holds(4, "A1", expires=TODAY + timedelta(days=20))
    await house.holds(4, "B1", expires=TODAY + timedelta(days=20), facility="SGH")
    await StoredExpiry(house.engine).warn(NOON)
    assert await warned(house) == [("B1", 30)]


async def test_what_expires_is_listed_soonest_first_with_the_warning_given(house: RecallHouse) -> None:
    expiry = StoredExpiry(house.engine)
    await house.holds(4, "A1", expires=TODAY + timedelta(days=29))
    await house.holds(2, "A2", expires=TODAY - timedelta(days=2), location="ICU")
    await house.holds(9, "A3", expires=TODAY + timedelta(days=91))
    await expiry.warn(NOON)
    found = await expiry.expiring(TODAY, within=90)
    assert [(one.lot, one.days, one.warned) for one in found] == [("A2", -2, 30), ("A1", 29, 30)]
    assert [one.lot for one in await expiry.expiring(TODAY, within=365, location="OR-1", facility="NGH")] == [
        "A1",
        "A3",
    ]


async def test_a_day_is_warned_of_once_and_a_missed_day_is_made_up_for(house: RecallHouse) -> None:
    now = datetime(2026, 11, 20, 3, tzinfo=UTC)

    class Days:
        asked: list[datetime] = []  # noqa: RUF012

        async def warn(self, as_of: datetime) -> int:
            self.asked.append(as_of)
            return 0

    days = Days()
    loop = ExpiryWarnings(days, lambda: now)
    await loop.once()
    await loop.once()
    assert days.asked == [now]
    now += timedelta(days=3)
    await loop.once()
    assert len(days.asked) == 2
