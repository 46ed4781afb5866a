"""The monthly look at everybody in our own database: ten thousand people, and a list that is replaced in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.credentials import Evidence
from canonical.monitoring import LicenceAnswer, MonitoringBatch, MonitoringStart
from store.database import transaction
from store.monitoring import StoredMonitoring
from store.people_tables import verifications
from store.verifications import Answered, keep_many_in
from tests.store.exclusion_house import NOON, PeopleHouse, key_of, listed, others, record_of

MANY = 10_000
LIST = ("LEIE",)


@pytest.fixture
async def house(engine: AsyncEngine) -> AsyncIterator[PeopleHouse]:
    yield PeopleHouse(engine)
    async with transaction(engine) as connection:  # many rows: quicker than the deletes that come before each test
        await connection.execute(text("TRUNCATE people, appointments, verifications, person_trace, exclusions"))


async def held(monitoring: StoredMonitoring, many: int = 500, *, in_the_middle: object = None) -> tuple[int, int]:
    """A pass as the workflow makes it; how many were held in all, and how often it began anew."""
    after, lists, total, again, before = "", "", 0, 0, in_the_middle
    while True:
        found = await monitoring.hold(MonitoringBatch(as_of=NOON, after=after, lists=lists, many=many), LIST)
        if lists and found.lists != lists:
            after, lists, again = "", found.lists, again + 1
            continue
        after, lists, total = found.after, found.lists, total + found.many
        if not after:
            return total, again
        if callable(before) and total >= MANY / 2:
            await before()
            before = None


async def states(house: PeopleHouse, kind: str = "exclusion") -> dict[str, int]:
    asked = select(verifications.c.state, func.count()).where(verifications.c.kind == kind)
    async with transaction(house.engine) as connection:
        rows = (await connection.execute(asked.group_by(verifications.c.state))).all()
    return dict(rows)


async def test_ten_thousand_people_meet_the_edition_that_came_in_the_middle(house: PeopleHouse) -> None:
    """One was excluded and one reinstated by it, both looked at before it came: both stand as the new edition says."""
    await house.employ(*range(MANY))
    first = [*others(2000), listed(3), listed(7000)]
    second = [*others(2000), listed(5), listed(8000), listed(7000)]
    await house.load(first)
    monitoring = StoredMonitoring(house.engine)

    async def replaced() -> None:
        await house.load(second, "second")

    total, again = await held(monitoring, in_the_middle=replaced)
    assert again == 1
    assert MANY < total <= 2 * MANY
    assert await states(house) == {"confirmed": MANY - 3, "possible": 3}
    assert [(await house.kept(number)).state for number in (3, 5, 7000, 8000)] == ["confirmed", *["possible"] * 3]
    (edition,) = await house.exclusions.editions()
    asked = select(func.count()).where(verifications.c.reference.like(f"LEIE:{edition.id}:%"))
    async with transaction(house.engine) as connection:
        assert await connection.scalar(asked) == MANY
    assert (await house.trace(3)) == ["verified exclusion possible", "verified exclusion confirmed"]


async def test_a_batch_made_again_says_the_same_and_wakes_nobody_more(house: PeopleHouse) -> None:
    await house.employ(1, 2, 3)
    await house.load([*others(), listed(2)])
    batch = MonitoringBatch(as_of=NOON, many=2)
    monitoring = StoredMonitoring(house.engine)
    first, again = await monitoring.hold(batch, LIST), await monitoring.hold(batch, LIST)
    assert (first.many, first.differing, first.after) == (2, 2, key_of(2))
    assert again == first.changed(differing=0)


async def test_who_has_left_is_held_against_nothing(house: PeopleHouse) -> None:
    await house.employ(1)
    await house.employ(2, state="ended")
    await house.load(others())
    assert (await StoredMonitoring(house.engine).hold(MonitoringBatch(as_of=NOON), LIST)).many == 1


async def test_two_runs_at_once_lose_nothing_and_block_nobody(house: PeopleHouse) -> None:
    await house.employ(*range(400))
    await house.load([*others(), listed(7)])
    monitoring = StoredMonitoring(house.engine)
    await asyncio.wait_for(asyncio.gather(*(held(monitoring, 50) for _ in range(4))), 60)
    assert await states(house) == {"confirmed": 399, "possible": 1}
    assert len(await house.trace(7)) == 4


async def verified(house: PeopleHouse, *numbers: int, state: str = "IL", days_ago: int = 31) -> None:
    at = NOON - timedelta(days=days_ago)
    evidence = Evidence(state="confirmed", finding="active", verified_on=at.date(), expires_on=date(2027, 7, 31))
    answered = [Answered(person=key_of(one), kind="licence", subject=state, evidence=evidence) for one in numbers]
    async with transaction(house.engine) as connection:
        await keep_many_in(connection, answered, at)


async def test_licences_come_in_the_order_of_keys_until_each_was_asked_about(house: PeopleHouse) -> None:
    await house.employ(1, 2, 3)
    await verified(house, 1, 2, 3)
    await verified(house, 1, state="WI")
    monitoring = StoredMonitoring(house.engine)
    first = await monitoring.licences(MonitoringBatch(as_of=NOON, many=1), None)
    rest = await monitoring.licences(MonitoringBatch(as_of=NOON, after=f"{key_of(1)}/IL", many=9), None)
    assert [(one.person, one.state) for one in (*first, *rest)] == [
        *((key_of(1), state) for state in ("IL", "WI")),
        *((key_of(number), "IL") for number in (2, 3)),
    ]
    assert (first[0].record, first[0].role) == (record_of(1), "physician")
    lapsed = Evidence(state="refuted", finding="expired", verified_on=NOON.date())
    assert await monitoring.keep([LicenceAnswer(person=key_of(2), state="IL", evidence=lapsed)], NOON) == 1
    assert key_of(2) in await house.woken()
    left = await monitoring.licences(MonitoringBatch(as_of=NOON), ["IL"])
    assert [one.person for one in left] == [key_of(1), key_of(3)]


async def test_how_far_a_run_has_come_is_kept_under_its_own_name(house: PeopleHouse) -> None:
    monitoring = StoredMonitoring(house.engine)
    run = MonitoringStart(run="clinician_monitoring-2026-12", as_of=NOON, phase="licences", held=10, owed=2)
    await monitoring.note(run)
    await monitoring.note(run.changed(phase="done", owed=0, lists_trouble="LEIE: cut off"))
    (row,) = await monitoring.runs()
    assert (row.state, row.held, row.owed, row.trouble) == ("done", 10, 0, "LEIE: cut off")
    assert row.ended_at is not None
