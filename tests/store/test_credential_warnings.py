"""Warnings as credentials come near their expiry: at 90, 60 and 30 days, each once."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.credentials import ClinicianPolicy, Evidence
from store import credential_warnings as credential_warnings_of
from store.credential_warnings import StoredCredentialWarnings
from store.database import transaction
from store.people_tables import credential_warnings, privileges
from store.verifications import keep_in
from tests.store.build import put
from tests.store.exclusion_house import NOON, PeopleHouse, key_of


@pytest.fixture
async def house(engine: AsyncEngine) -> PeopleHouse:
    house = PeopleHouse(engine)
    await house.employ(1)
    return house


async def licensed(house: PeopleHouse, days: int, number: int = 1) -> None:
    """A licence that expires so many days from now."""
    until = NOON.date() + timedelta(days=days)
    evidence = Evidence(state="confirmed", finding="active", verified_on=NOON.date(), expires_on=until)
    async with transaction(house.engine) as connection:
        await keep_in(connection, key_of(number), "licence", "IL", evidence, NOON)


async def told(house: PeopleHouse) -> list[tuple[str, int]]:
    async with transaction(house.engine) as connection:
        rows = await connection.execute(select(credential_warnings).order_by(credential_warnings.c.days.desc()))
        return [(row.name, row.days) for row in rows]


async def warn(house: PeopleHouse, at: datetime) -> int:
    return await StoredCredentialWarnings(house.engine).warn(at)


async def test_it_is_told_once_at_each_of_ninety_sixty_and_thirty_days(house: PeopleHouse) -> None:
    await licensed(house, 100)
    warned = [await warn(house, NOON + timedelta(days=day)) for day in range(101)]
    assert [day for day, many in enumerate(warned) if many] == [10, 40, 70]
    assert await told(house) == [("licence:IL", 90), ("licence:IL", 60), ("licence:IL", 30)]
    assert (await house.trace(1))[1:] == ["warned licence:IL"] * 3


async def test_one_that_is_known_late_is_told_once_at_the_nearest(house: PeopleHouse) -> None:
    await licensed(house, 20)
    assert (await warn(house, NOON), await warn(house, NOON)) == (1, 0)
    assert await told(house) == [("licence:IL", 30)]


async def test_a_renewal_begins_anew_and_what_is_over_is_no_warning(house: PeopleHouse) -> None:
    await licensed(house, 20)
    await warn(house, NOON)
    await licensed(house, 85)
    assert await warn(house, NOON) == 1
    await licensed(house, -1)
    assert await warn(house, NOON) == 0


async def test_the_facilitys_own_numbers_hold_and_its_case_is_woken(house: PeopleHouse) -> None:
    await put(house.engine, "clinician_policy", "NGH", "NGH", ClinicianPolicy(facility="NGH", warn_days=(14,)))
    await licensed(house, 20)
    assert await warn(house, NOON) == 0
    assert await warn(house, NOON + timedelta(days=6)) == 1
    assert await house.woken() == [key_of(1)]


async def test_everybody_is_asked_for_once_however_many_there_are_and_warned_of(
    house: PeopleHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of several facilities, and of more than one transaction notes."""
    monkeypatch.setattr(credential_warnings_of, "MOST", 2)
    await house.employ(*range(2, 6))
    await house.employ(6, 7, facility="SGH")
    await put(house.engine, "clinician_policy", "SGH", "SGH", ClinicianPolicy(facility="SGH", warn_days=(30,)))
    for number in range(1, 8):
        await licensed(house, 50 if number == 7 else 20, number)
    asked: list[str] = []
    event.listen(house.engine.sync_engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    assert await warn(house, NOON) == 6, "whom SGH warns of at 30 days is not due at 50"
    assert len([one for one in asked if "UNION ALL" in one]) == 1
    assert await warn(house, NOON) == 0


async def test_privileges_for_good_are_warned_of_and_temporary_ones_are_not(house: PeopleHouse) -> None:
    until = NOON + timedelta(days=25)
    granted = {"person": key_of(1), "facility": "NGH", "scope": {}, "state": "granted", "until": until}
    granted |= {"requested_at": NOON, "temporary": False}
    async with transaction(house.engine) as connection:
        await connection.execute(
            insert(privileges), [granted | {"id": "p-1"}, granted | {"id": "p-2", "temporary": True}]
        )
    assert await warn(house, NOON) == 1
    assert await told(house) == [("privilege:p-1", 30)]


async def test_who_has_left_is_not_warned_of(house: PeopleHouse) -> None:
    await house.employ(2, state="ended")
    await licensed(house, 20, number=2)
    assert await warn(house, NOON) == 0


async def test_what_expires_is_listed_the_soonest_first(house: PeopleHouse) -> None:
    await house.employ(2)
    await licensed(house, 20)
    await licensed(house, -3, number=2)
    await warn(house, NOON)
    found = await StoredCredentialWarnings(house.engine).expiring(NOON.date(), within=30)
    assert [(one.person, one.days, one.warned) for one in found] == [(key_of(2), -3, None), (key_of(1), 20, 30)]
    assert found[1].expires == date(2026, 12, 10)
