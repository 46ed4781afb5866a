"""Lists of people and of what HR said of them, page by page: nobody twice, nobody left out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import Block
from store.access_blocks import blocking_in
from store.database import transaction
from store.people_listing import StoredPeopleLists
from store.people_tables import revocation_blocks
from tests.store.people_house import NOW, Hr


@pytest.fixture
def hr(engine: AsyncEngine) -> Hr:
    return Hr(engine)


async def test_somebody_at_two_facilities_is_on_both_pages_where_the_page_ends_between_them(hr: Hr) -> None:
    await hr.say(hr.event("1"))
    await hr.say(hr.event("2", facility="SGH"))
    await hr.say(hr.event("3", person="P-2", family="Other", given="Bo", record={"birth_date": "1970-01-01"}))
    lists, met, after = StoredPeopleLists(hr.engine), list[tuple[str, str]](), ""
    while page := await lists.people(after=after, limit=1):
        (row,) = page
        met.append((row["person"], row["facility"]))
        after = f"{row['person']}/{row['facility']}"
    assert len(met) == 3 and met == sorted(set(met))


async def test_a_block_on_a_key_nobody_has_is_listed_with_since_when_by_whom_and_why(hr: Hr) -> None:
    await hr.say(hr.event("1"))
    (person,) = await hr.everybody()
    lists = StoredPeopleLists(hr.engine)
    assert await lists.people(blocked=True) == []
    async with transaction(hr.engine) as connection:
        for key, lifted in ((person, None), ("0000-nobody", None), ("0000-was-lifted", NOW)):
            asked = Block(person=key, since=NOW, by="E-HR", reason="keys taken", id=f"call-{key}")
            await blocking_in(connection, asked)
            if lifted:
                mine = revocation_blocks.c.person == key
                await connection.execute(update(revocation_blocks).where(mine).values(lifted_at=lifted))
    rows = await lists.people(blocked=True)
    assert [(row["person"], row["facility"]) for row in rows] == [("0000-nobody", ""), (person, "NGH")]
    assert {(row["blocked_since"], row["blocked_by"], row["blocked_reason"]) for row in rows} == {
        (NOW, "E-HR", "keys taken")
    }
    first = await lists.people(blocked=True, limit=1)
    assert await lists.people(blocked=True, after=f"{first[0]['person']}/", limit=5) == rows[1:]
    assert [row["person"] for row in await lists.people(blocked=True, facility="NGH")] == [person]
    assert [row["blocked"] for row in await lists.people()] == [True]


async def test_events_of_a_source_are_found_by_its_senders_name_in_capitals_too(hr: Hr) -> None:
    await hr.say(hr.event("1", source="hris"))
    for name in ("hris", "HRIS"):
        assert [row["number"] for row in await StoredPeopleLists(hr.engine).events(source=name)] == ["1"]
    assert await StoredPeopleLists(hr.engine).events(source="OTHER") == []


async def test_what_was_said_of_a_person_goes_on_in_the_order_it_was_said(hr: Hr) -> None:
    await hr.say(hr.event("1"))
    for number, days in (("2", 3), ("3", 9), ("4", 6)):  # heard in another order than said
        await hr.say(hr.event(number, "update", said_at=NOW - timedelta(days=days), position={"title": number}))
    (person,) = await hr.everybody()
    lists, met, after = StoredPeopleLists(hr.engine), list[str](), ""
    while page := await lists.events(person=person, after=after, limit=2):
        met += [row["number"] for row in page]
        after = page[-1]["id"]
    assert met == ["1", "3", "4", "2"]
