"""What of verification needs a person stands in the attention list, and goes from it by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import date, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.credentials import VerificationSource
from canonical.exclusions import Listed
from canonical.monitoring import ListsRefreshed, MonitoringStart
from canonical.people import OWNER
from store.attention import StoredAttention
from store.authority import HOSPITAL
from store.clinician_register import StoredClinicianRegister
from store.database import transaction
from store.monitoring import StoredMonitoring
from store.people_tables import source_states
from store.register import StoredRegister
from store.source_states import StoredSourceStates
from tests.store.exclusion_house import NOON, PeopleHouse, listed, others
from workers.exclusion_lists import ListFetcher


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


class Fetched:
    """A source whose file holds these rows."""

    def __init__(self, rows: Sequence[Listed], name: str) -> None:
        self._rows, self._name = rows, name

    async def fetch(self, as_of: date) -> tuple[str, Sequence[Listed]]:
        return self._name, self._rows

    def file_of(self, source: VerificationSource) -> tuple[AbstractAsyncContextManager[None], Fetched]:
        return nullcontext(), self


async def test_a_list_that_lost_its_end_on_the_way_stands_in_the_list_until_one_is_taken(house: PeopleHouse) -> None:
    """Five of a hundred rows are missing, and their place is filled by new ones."""
    await house.load(others(1000))
    row = VerificationSource(code="LEIE", kind="exclusion", adapter="leie", url="https://lists.example/leie")
    register = StoredRegister(house.engine)
    assert (await register.load("verification_source", [row], HOSPITAL, "")).loaded == 1

    async def refresh(rows: Sequence[Listed], name: str) -> ListsRefreshed:
        known = StoredClinicianRegister(house.engine)
        return await ListFetcher(known, cast(Any, Fetched(rows, name)), house.exclusions).refresh(NOON)

    cut = [*others(950), *(listed(at) for at in range(80))]
    refreshed = await refresh(cut, "cut off")
    assert (refreshed.loaded, "lacks 50 of the 1000 rows" in refreshed.trouble) == ((), True)
    (stuck,) = await StoredAttention(house.engine).stuck(NOON)
    assert (stuck.what, stuck.name, stuck.owner) == ("exclusion list refused", "LEIE", OWNER)
    assert "lacks 50 of the 1000 rows in force" in stuck.why
    assert "fascia exclusions load FILE --source LEIE --smaller --reason" in stuck.press
    assert [edition.rows for edition in await house.exclusions.editions()] == [1000]
    await refresh([*others(1000), *(listed(at) for at in range(80))], "whole")
    assert await lines(house) == []
    await refresh(cut, "cut off")
    await house.load(cut, "cut off", smaller=True)  # a person's word
    assert await lines(house) == []


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
