"""Verifications as they are kept: what changes wakes a case, what a person said holds while the source says the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.credentials import CheckKind, Evidence, EvidenceState
from store.database import transaction
from store.people_tables import appointments
from store.verifications import Answered, keep_in, keep_many_in
from tests.store.exclusion_house import NOON, PeopleHouse, key_of, listed, others, record_of

MONTH = timedelta(days=31)


@pytest.fixture
async def house(engine: AsyncEngine) -> PeopleHouse:
    house = PeopleHouse(engine)
    await house.employ(1, 2)
    return house


def said(state: EvidenceState, finding: str = "active", day: date = NOON.date(), **fields: object) -> Evidence:
    told = {"state": state, "finding": finding, "source": "IDFPR", "verified_on": day}
    return Evidence.model_validate(told | fields)


async def keep(
    house: PeopleHouse,
    evidence: Evidence,
    kind: CheckKind = "licence",
    subject: str = "IL",
    *,
    at: datetime = NOON,
    by: str = "",
) -> bool:
    """Keep it, and forget who was woken before."""
    async with transaction(house.engine) as connection:
        await connection.execute(update(appointments).values(woken_at=None))
        return await keep_in(connection, key_of(1), kind, subject, evidence, at, by=by)


async def test_evidence_is_kept_with_its_date_noted_in_the_trace_and_wakes_the_case(house: PeopleHouse) -> None:
    assert await keep(house, said("confirmed", expires_on=date(2028, 7, 31)))
    row = await house.kept(1, "licence", "IL")
    assert (row.state, row.verified_on, row.expires_on) == ("confirmed", NOON.date(), date(2028, 7, 31))
    assert await house.woken() == [key_of(1)]
    assert await house.trace(1) == ["verified licence:IL confirmed"]


async def test_the_same_again_renews_its_date_is_noted_and_wakes_nobody(house: PeopleHouse) -> None:
    await keep(house, said("confirmed"))
    later = NOON + MONTH
    assert not await keep(house, said("confirmed", day=later.date()), at=later)
    row = await house.kept(1, "licence", "IL")
    assert (row.verified_on, row.checked_at, row.changed_at) == (later.date(), later, NOON)
    assert await house.woken() == []
    assert len(await house.trace(1)) == 2


async def test_a_lapse_wakes_every_case_of_the_person(house: PeopleHouse) -> None:
    await keep(house, said("confirmed"))
    assert await keep(house, said("refuted", "expired"))
    assert await house.woken() == [key_of(1)]


async def test_what_a_person_cleared_stays_cleared_while_the_source_says_the_same(house: PeopleHouse) -> None:
    await keep(house, said("possible", "name-differs"))
    await keep(house, said("confirmed", "seen by a person"), by="E-MSO")
    later = NOON + MONTH
    assert not await keep(house, said("possible", "name-differs", day=later.date()), at=later)
    row = await house.kept(1, "licence", "IL")
    assert (row.state, row.by, row.verified_on) == ("confirmed", "E-MSO", later.date())


async def test_a_persons_word_does_not_hold_for_something_else_nor_against_a_no(house: PeopleHouse) -> None:
    await keep(house, said("possible", "name-differs"))
    await keep(house, said("confirmed", "seen by a person"), by="E-MSO")
    await keep(house, said("possible", "disciplined"))
    assert (await house.kept(1, "licence", "IL")).state == "possible"
    await keep(house, said("confirmed", "seen by a person"), by="E-MSO")
    await keep(house, said("refuted", "licence-suspended"))
    assert (await house.kept(1, "licence", "IL")).state == "refuted"


async def test_a_persons_word_ends_on_the_day_the_evidence_expires(house: PeopleHouse) -> None:
    await keep(house, said("unknown", "no-source"))
    await keep(house, said("confirmed", "a letter", expires_on=NOON.date()), by="E-MSO")
    await keep(house, said("unknown", "no-source"))
    row = await house.kept(1, "licence", "IL")
    assert (row.state, row.verified_on) == ("confirmed", NOON.date())
    await keep(house, said("unknown", "no-source", day=date(2026, 11, 21)), at=NOON + timedelta(1))
    assert (await house.kept(1, "licence", "IL")).state == "unknown"


async def test_a_persons_yes_without_a_day_takes_the_end_of_a_licence_from_nobody(house: PeopleHouse) -> None:
    await keep(house, said("confirmed", expires_on=date(2027, 3, 1)))
    await keep(house, said("confirmed", "by-person"), by="E-MSO")
    assert (await house.kept(1, "licence", "IL")).expires_on == date(2027, 3, 1), (
        "warnings and the lapse come by that day"
    )
    await keep(house, said("confirmed", "by-person", expires_on=date(2028, 3, 1)), by="E-MSO")
    assert (await house.kept(1, "licence", "IL")).expires_on == date(2028, 3, 1)


async def test_a_row_of_a_list_that_a_person_said_is_somebody_else_is_not_asked_about_again(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1)])

    async def held(at: datetime = NOON) -> None:
        found = await house.exclusions.check_in_lists(record_of(1), (), at)
        await keep(house, found, "exclusion", "", at=at)

    await held()
    assert (await house.kept(1)).state == "possible"
    await keep(house, said("confirmed", "another birth name"), "exclusion", "", by="E-MSO")
    await house.load([*others(30), listed(1)], "next month")  # the row has another place in it
    await held(NOON + MONTH)
    assert (await house.kept(1)).state == "confirmed"
    await house.load([*others(30), listed(1), replace(listed(1), excluded_on=date(2026, 12, 20))], "a new row")
    await held(NOON + MONTH)
    assert (await house.kept(1)).state == "possible"


async def test_who_a_person_said_is_on_the_list_stays_so_until_the_row_is_gone(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1)])
    evidence = await house.exclusions.check_in_lists(record_of(1), (), NOON)
    await keep(house, evidence, "exclusion", "")
    await keep(house, said("refuted", "confirmed on the site"), "exclusion", "", by="E-MSO")
    await keep(house, evidence, "exclusion", "")
    assert (await house.kept(1)).state == "refuted"
    await house.load(others(), "reinstated")
    await keep(house, await house.exclusions.check_in_lists(record_of(1), (), NOON), "exclusion", "")
    assert (await house.kept(1)).state == "confirmed"


async def test_many_are_kept_at_once_each_with_a_whole_trace(house: PeopleHouse) -> None:
    answered = [
        Answered(person=key_of(number), kind=kind, subject=subject, evidence=said("confirmed"))
        for number in (2, 1)
        for kind, subject in (("npi", ""), ("licence", "IL"))
    ]
    async with transaction(house.engine) as connection:
        assert await keep_many_in(connection, answered, NOON) == [key_of(1), key_of(2)]
    for number in (1, 2):
        assert await house.trace(number) == ["verified licence:IL confirmed", "verified npi confirmed"]


async def test_no_name_stands_in_the_trace(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1)])
    evidence = await house.exclusions.check_in_lists(record_of(1), (), NOON)
    assert "family" not in evidence.model_dump_json().casefold()
    await keep(house, evidence, "exclusion", "")
    assert await house.trace(1) == ["verified exclusion possible"]
