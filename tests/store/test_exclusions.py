"""Exclusion lists: replaced whole or not at all, and who may be on them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.credentials import ClinicianRole, Evidence
from canonical.errors import Rejected
from canonical.people import ClinicianRecord, PersonName
from store.database import transaction
from store.exclusions import StoredExclusions, editions_in, held_in
from store.people_tables import exclusions
from tests.store.exclusion_house import BORN, NOON, NPI, PeopleHouse, listed, others, record_of

ROLE = ClinicianRole(code="physician")


@pytest.fixture
def house(engine: AsyncEngine) -> PeopleHouse:
    return PeopleHouse(engine)


async def found(house: PeopleHouse, record: ClinicianRecord) -> Evidence:
    return await house.exclusions.check(record, "", ROLE, NOON)


async def test_before_any_list_was_loaded_nobody_is_clear(house: PeopleHouse) -> None:
    evidence = await found(house, record_of(1))
    assert (evidence.state, evidence.finding) == ("unknown", "list-missing")


async def test_who_is_not_listed_is_confirmed_by_the_edition_that_says_so(house: PeopleHouse) -> None:
    loaded = await house.load(others())
    evidence = await found(house, record_of(1))
    assert (evidence.state, evidence.finding, evidence.hits) == ("confirmed", "not-listed", ())
    assert evidence.verified_on == NOON.date()
    assert evidence.reference.startswith(f"LEIE:{loaded.id}:")


async def test_a_real_npi_on_the_list_decides(house: PeopleHouse) -> None:
    await house.load([*others(), listed(7, npi=NPI, family="somebody", given="else")])
    evidence = await found(house, record_of(1, npi=NPI))
    assert (evidence.state, evidence.finding, len(evidence.hits)) == ("refuted", "excluded", 1)


async def test_the_same_name_and_birth_date_may_be_the_person(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1), listed(1, given="bea")])
    evidence = await found(house, record_of(1))
    assert (evidence.state, evidence.finding, len(evidence.hits)) == ("possible", "name-on-list", 1)
    assert (await found(house, record_of(1, birth_date=BORN + timedelta(1)))).state == "confirmed"


async def test_without_a_birth_date_on_either_side_the_name_alone_may_be_the_person(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1, birth_date=None)])
    assert (await found(house, record_of(1))).state == "possible"
    assert (await found(house, record_of(1, birth_date=None))).state == "possible"


async def test_a_former_name_an_accent_or_an_initial_hides_nobody(house: PeopleHouse) -> None:
    await house.load([*others(), listed(0, family="oconnornunez", given="j")])
    name = PersonName(family="Smith", given="José María")
    record = record_of(1, name=name, former_family="O'Connor-Núñez")
    assert (await found(house, record)).state == "possible"


async def test_another_real_npi_makes_a_bare_name_somebody_else(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1, birth_date=None, npi="1993999998")])
    assert (await found(house, record_of(1, npi=NPI))).state == "confirmed"
    assert (await found(house, record_of(1))).state == "possible"


async def test_a_waiver_of_a_state_is_for_a_person_to_judge(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1, npi=NPI, waiver_state="IL", waived_on=NOON.date())])
    assert (await found(house, record_of(1, npi=NPI))).finding == "excluded-waived"
    both = [listed(1, npi=NPI, waiver_state="IL"), listed(1, npi=NPI, kind="1128b4")]
    await house.load([*others(), *both], "and another exclusion")
    assert (await found(house, record_of(1, npi=NPI))).state == "refuted"


async def test_a_full_edition_replaces_the_one_before_and_who_was_reinstated_is_clear(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1)])
    loaded = await house.load(others(), "second")
    assert (loaded.outcome, loaded.rows, loaded.before) == ("new", 20, 21)
    assert (await found(house, record_of(1))).state == "confirmed"
    async with transaction(house.engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(exclusions)) == 20


async def test_the_same_file_again_changes_nothing_but_when_it_was_seen(house: PeopleHouse) -> None:
    first = await house.load(others())
    later = NOON + timedelta(days=30)
    again = await house.exclusions.replace("LEIE", others(), "first", "E-MSO", later)
    assert (again.outcome, again.id) == ("same", first.id)
    assert [edition.seen_at for edition in await house.exclusions.editions()] == [later]


@pytest.mark.parametrize(("many", "code"), [(0, "list-empty"), (17, "list-truncated")])
async def test_an_empty_or_much_smaller_list_is_refused_and_the_one_before_stays(
    house: PeopleHouse, many: int, code: str
) -> None:
    await house.load([*others(19), listed(1)])
    with pytest.raises(Rejected) as refused:
        await house.load(others(many), "cut off")
    assert refused.value.code == code
    assert (await found(house, record_of(1))).state == "possible"


async def test_a_person_who_knows_why_may_let_a_smaller_list_in(house: PeopleHouse) -> None:
    await house.load(others(20))
    assert (await house.load(others(5), "smaller", smaller=True)).rows == 5


async def test_a_load_that_breaks_off_leaves_the_list_before_in_force(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1)])
    broken = [
        *others(),
        listed(1, kind=None),
    ]  # a value no column takes: the database refuses it in the middle of the copy
    with pytest.raises(Exception, match="kind"):
        await house.load(broken, "broken")
    assert (await found(house, record_of(1))).state == "possible"
    assert [edition.file_hash for edition in await house.exclusions.editions()] == ["first"]


async def test_two_loads_of_one_edition_at_once_are_one(house: PeopleHouse) -> None:
    loaded = await asyncio.gather(*(house.load(others(200)) for _ in range(5)))
    assert sorted(one.outcome for one in loaded) == ["new", "same", "same", "same", "same"]


async def test_who_is_looked_up_while_the_list_is_replaced_meets_one_edition_whole(house: PeopleHouse) -> None:
    """Never none of them, never half of one: everybody looked up in between is on the list, which both editions say."""
    await house.load([*others(), listed(1)])
    stop = asyncio.Event()

    async def replace() -> None:
        for number in range(12):
            await house.load([*others(), listed(1, row=number)], f"edition {number}")
        stop.set()

    async def look() -> list[str]:
        states: list[str] = []
        while not stop.is_set():
            states.append((await found(house, record_of(1))).state)
        return states

    _, *looked = await asyncio.gather(replace(), look(), look(), look())
    assert {state for states in looked for state in states} == {"possible"}


async def test_a_replacement_waits_for_who_holds_people_against_the_list(house: PeopleHouse) -> None:
    await house.load([*others(), listed(1)])
    async with transaction(house.engine) as connection:
        editions = await editions_in(connection, hold=True)
        loading = asyncio.create_task(house.load(others(), "second"))
        await asyncio.sleep(0.3)
        assert not loading.done()
        held = await held_in(connection, {"p": record_of(1)}, editions, (), NOON)
        assert held["p"].state == "possible"
    assert (await loading).outcome == "new"


async def test_of_two_lists_the_worse_answer_holds_and_one_never_loaded_is_missed(house: PeopleHouse) -> None:
    await house.load(others())
    other = StoredExclusions(house.engine)
    both = await other.check_in_lists(record_of(1), ("LEIE", "SAM"), NOON)
    assert (both.state, both.finding) == ("unknown", "list-missing")
    await other.replace("SAM", [listed(1)], "sam", "E-MSO", NOON)
    both = await other.check_in_lists(record_of(1), ("LEIE", "SAM"), NOON)
    assert (both.state, both.source) == ("possible", "SAM+LEIE")


async def test_a_list_nobody_renewed_for_two_months_shows_as_stale(house: PeopleHouse) -> None:
    await house.load(others())
    (fresh,) = await house.exclusions.rows(NOON.date() + timedelta(days=62))
    (old,) = await house.exclusions.rows(NOON.date() + timedelta(days=63))
    assert (fresh.stale, old.stale) == (False, True)
