"""What of verification needs a person stands in the attention list, and goes from it by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.monitoring import MonitoringStart
from store.attention import StoredAttention
from store.database import transaction
from store.monitoring import StoredMonitoring
from store.people_tables import source_states
from store.source_states import StoredSourceStates
from tests.store.exclusion_house import NOON, PeopleHouse, others


@pytest.fixture
def house(engine: AsyncEngine) -> PeopleHouse:
    return PeopleHouse(engine)


async def lines(house: PeopleHouse, days: float = 0) -> list[tuple[str, str, str]]:
    stuck = await StoredAttention(house.engine).stuck(NOON + timedelta(days=days))
    return [(one.what, one.name, one.why) for one in stuck]


async def test_a_source_that_is_down_shows_after_a_while_and_no_longer_once_it_answers(house: PeopleHouse) -> None:
    down = {"source": "IDFPR", "failures": 9, "opened_at": NOON, "probe_at": NOON, "error": "IDFPR did not answer"}
    async with transaction(house.engine) as connection:
        await connection.execute(insert(source_states).values(down))
    assert await lines(house) == []
    assert await lines(house, 0.1) == [("source down", "IDFPR", "IDFPR did not answer")]
    await StoredSourceStates(house.engine).answered("IDFPR")
    assert await lines(house, 0.1) == []


async def test_a_list_nobody_renewed_shows_until_its_source_was_looked_at(house: PeopleHouse) -> None:
    await house.load(others())
    assert await lines(house, 62) == []
    assert [line[:2] for line in await lines(house, 63)] == [("exclusion list stale", "LEIE")]
    await house.exclusions.replace("LEIE", others(), "first", "fascia", NOON + timedelta(days=63))
    assert await lines(house, 63) == []


async def test_a_month_left_unfinished_shows_until_another_is_done(house: PeopleHouse) -> None:
    monitoring = StoredMonitoring(house.engine)
    run = MonitoringStart(run="clinician_monitoring-1", as_of=NOON, phase="licences", owed=12)
    await monitoring.note(run)
    assert await lines(house) == []
    ((what, name, why),) = await lines(house, 2)
    assert (what, name) == ("monthly monitoring unfinished", "clinician_monitoring-1")
    assert why == "12 licences were not answered about"
    await monitoring.note(run.changed(phase="done", owed=0, lists_trouble="LEIE: cut off"))
    assert (await lines(house, 2))[0][2] == "LEIE: cut off"
    await monitoring.note(MonitoringStart(run="clinician_monitoring-2", as_of=NOON + timedelta(1), phase="done"))
    assert await lines(house, 2) == []
