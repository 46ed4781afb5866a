"""Emergencies HR says: whom they block, in which transaction, and what stands in nobody's way."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import transaction
from store.people_tables import hr_events, revocation_blocks
from tests.store.people_house import NOW, Hr

LATER = NOW - timedelta(days=10)


@pytest.fixture
def hr(engine: AsyncEngine) -> Hr:
    return Hr(engine)


async def test_an_emergency_blocks_the_person_in_the_same_transaction_also_when_its_event_is_parked(hr: Hr) -> None:
    first = await hr.one(hr.event("1"))
    late: dict[str, Any] = {"effective": date(2062, 1, 1), "said_at": NOW, "emergency": True, "reason": "CAUSE-4"}
    assert (await hr.one(hr.event("2", "terminate", **late))).state == "parked"
    (block,) = await hr.rows(revocation_blocks)
    assert (block["person"], block["by"], block["reason"]) == (first.person, "hr:hr", "CAUSE-4")
    await hr.one(hr.event("3", "terminate", said_at=NOW, emergency=True))
    assert len(await hr.rows(revocation_blocks)) == 1
    assert [one.did for one in await hr.trace(first.person)].count("blocked") == 1


async def test_an_emergency_blocks_also_where_a_later_hire_hires_nobody(hr: Hr) -> None:
    """A hire of a position that starts in decades is parked: it takes nobody out of what HR says at once."""
    held = await hr.one(hr.event("1"))
    parked = await hr.one(hr.event("2", position={"role": "rn", "starts": date(2062, 1, 1)}, said_at=NOW))
    assert parked.state == "parked"
    await hr.one(hr.event("3", "terminate", said_at=LATER, emergency=True, effective=date(2026, 3, 9)))
    assert [row["person"] for row in await hr.rows(revocation_blocks)] == [held.person]


async def test_what_was_said_by_a_clock_far_ahead_is_parked_and_stands_in_no_emergencys_way(hr: Hr) -> None:
    held = await hr.one(hr.event("1"))
    ahead = await hr.one(hr.event("2", said_at=NOW + timedelta(days=400)))
    (row,) = await hr.rows(hr_events, hr_events.c.number == "2")
    assert ahead.state == "parked" and "the clock of its HR system is ahead" in row["reason"]
    assert (await hr.one(hr.event("3", "update", said_at=NOW + timedelta(hours=20)))).state != "parked"
    await hr.one(hr.event("4", "terminate", said_at=LATER, emergency=True, effective=date(2026, 3, 9)))
    assert [row["person"] for row in await hr.rows(revocation_blocks)] == [held.person]


async def test_a_hire_from_a_clock_far_ahead_that_was_taken_before_stands_in_no_emergencys_way(hr: Hr) -> None:
    held = await hr.one(hr.event("1"), hr.event("2", said_at=LATER))
    async with transaction(hr.engine) as connection:  # as it was kept before such ones were parked
        ahead = update(hr_events).where(hr_events.c.number == "2")
        await connection.execute(ahead.values(said_at=NOW + timedelta(days=400)))
    await hr.one(hr.event("3", "terminate", said_at=NOW, emergency=True, effective=date(2026, 3, 10)))
    assert [row["person"] for row in await hr.rows(revocation_blocks)] == [held.person]


async def test_an_emergency_from_a_clock_far_ahead_blocks_by_what_was_received(hr: Hr) -> None:
    ahead: dict[str, Any] = {"said_at": NOW + timedelta(days=400), "emergency": True}
    known = await hr.one(hr.event("1", record={"npi": "1234567893"}))
    assert (await hr.one(hr.event("2", "terminate", "X-9", record={"npi": "1234567893"}, **ahead))).state == "parked"
    assert {row["person"] for row in await hr.rows(revocation_blocks)} == {known.person}, "by their NPI"
    assert (await hr.one(hr.event("3", "terminate", "P-2", **ahead))).state == "parked"
    late = await hr.one(hr.event("4", person="P-2", given="Bo", family="Other", record={"birth_date": "1970-01-01"}))
    assert {row["person"] for row in await hr.rows(revocation_blocks)} == {known.person, late.person}


async def test_an_emergency_that_ends_nothing_is_parked_and_blocks_nobody(hr: Hr) -> None:
    await hr.one(hr.event("1"))
    assert (await hr.one(hr.event("2", "update", said_at=NOW, emergency=True))).state == "parked"
    assert await hr.rows(revocation_blocks) == []


async def test_an_emergency_before_the_hire_blocks_once_the_hire_comes_and_one_of_before_a_new_hire_does_not(
    hr: Hr,
) -> None:
    ended = hr.event("2", "terminate", emergency=True, effective=date(2026, 3, 9), said_at=LATER)
    assert (await hr.one(ended)).state == "waiting" and await hr.rows(revocation_blocks) == []
    hired = await hr.one(hr.event("1"))
    (block,) = await hr.rows(revocation_blocks)
    assert block["person"] == hired.person
    back = await hr.one(
        hr.event("4", person="P-2", given="Bo", record={"npi": "1", "birth_date": "1970-01-01"}, said_at=LATER)
    )
    old: dict[str, Any] = {"emergency": True, "effective": date(2025, 1, 1), "said_at": LATER - timedelta(days=400)}
    await hr.one(hr.event("5", "terminate", "P-2", **old))
    assert back.person not in {row["person"] for row in await hr.rows(revocation_blocks)}


async def test_an_emergency_that_describes_somebody_else_blocks_whose_number_it_has_and_a_person_says_who_leaves(
    hr: Hr,
) -> None:
    hired = await hr.one(hr.event("1"))
    other = {"name": {"family": "Haddad", "given": "Omar"}, "birth_date": "1990-01-01"}
    told = await hr.one(hr.event("2", "terminate", said_at=NOW, emergency=True, record=other))
    assert [row["person"] for row in await hr.rows(revocation_blocks)] == [hired.person]
    assert (told.state, told.person) == ("possible", "")
    (row,) = await hr.rows(hr_events, hr_events.c.number == "2")
    assert (row["reason"], row["candidates"]) == ("number-given-anew", [hired.person])
    same = await hr.one(hr.event("3", "terminate", said_at=NOW, emergency=True))  # says nothing of who it is
    assert same.person == hired.person
