"""Exclusion lists: replaced whole or not at all, and who may be on them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.credentials import ClinicianRole, Evidence, VerificationSource
from canonical.errors import Rejected
from canonical.people import ClinicianRecord, PersonName
from cli.exits import Stop
from cli.our_exclusions import OurExclusions
from store.authority import HOSPITAL
from store.database import transaction
from store.exclusions import StoredExclusions, editions_in, held_in
from store.people_tables import exclusions
from store.register import StoredRegister
from tests.store.exclusion_house import BORN, NOON, NPI, PeopleHouse, listed, others, record_of
from workers.wiring import Wiring

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


async def test_an_edition_older_than_the_one_in_force_is_taken_by_a_persons_word_alone(house: PeopleHouse) -> None:
    old = [listed(at, excluded_on=date(2026, 9, 20)) for at in range(1, 1100)]
    now = [*old, listed(2000, excluded_on=date(2026, 10, 20))]
    await house.load(now)
    with pytest.raises(Rejected, match="older edition") as refused:
        await house.load(old, "before")
    assert refused.value.code == "list-older"
    assert (await found(house, record_of(2000))).state == "possible"
    assert (await house.load(old, "before", smaller=True)).rows == len(old)


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


@pytest.mark.parametrize("former", [PersonName(family="Abara", given="Jo"), PersonName(family="Abara")])
async def test_no_name_of_theirs_however_long_ago_hides_anybody(house: PeopleHouse, former: PersonName) -> None:
    """Married twice: the name before the one before is on the list."""
    await house.load([*others(), listed(0, family="abara", given="joan")])
    names = (PersonName(family="Brandt", given="Jo"), former)
    record = record_of(1, name=PersonName(family="Smith", given="Joan"), former_family="Brandt", other_names=names)
    assert (await found(house, record)).state == "possible"
    assert (await found(house, record.model_copy(update={"other_names": names[:1]}))).state == "confirmed"


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


async def test_a_file_that_is_only_tried_out_is_judged_as_if_loaded_and_nothing_is_kept(house: PeopleHouse) -> None:
    first = await house.load(others())
    tried = await house.load([*others(), listed(1)], "second", keep=False)
    assert (tried.outcome, tried.rows, tried.before) == ("new", 21, 20)
    with pytest.raises(Rejected, match="lacks 3 of the 20 rows"):
        await house.load(others(17), "cut off", keep=False)
    assert (await found(house, record_of(1))).state == "confirmed"
    assert [one.id for one in await house.exclusions.editions()] == [first.id]
    async with transaction(house.engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(exclusions)) == 20


@pytest.mark.parametrize(("many", "code"), [(0, "list-empty"), (17, "list-truncated")])
async def test_an_empty_or_much_smaller_list_is_refused_and_the_one_before_stays(
    house: PeopleHouse, many: int, code: str
) -> None:
    await house.load([*others(19), listed(1)])
    with pytest.raises(Rejected) as refused:
        await house.load(others(many), "cut off")
    assert refused.value.code == code
    assert (await found(house, record_of(1))).state == "possible"


@pytest.mark.parametrize("share", [0.95, 0.994])
async def test_a_list_cut_at_a_rows_end_near_its_own_end_is_refused_though_others_were_added(
    house: PeopleHouse, share: float
) -> None:
    """As many rows as before, and each whole: only who is not on it any more tells."""
    await house.load([*others(1999), listed(1)])
    kept = int(2000 * share)
    added = [replace(listed(at), excluded_on=date(2026, 11, 1)) for at in range(5000, 7000 - kept)]
    with pytest.raises(Rejected, match=f"lacks {2000 - kept} of the 2000 rows") as refused:
        await house.load([*added, *others(kept)], "cut off")
    assert refused.value.code == "list-truncated"
    assert "--smaller" in refused.value.message
    assert (await found(house, record_of(1))).state == "possible"
    assert (await house.load([*added, *others(kept)], "cut off", smaller=True)).rows == 2000


async def test_a_list_whose_last_few_rows_are_gone_was_cut_off_and_one_that_lost_as_many_elsewhere_was_not(
    house: PeopleHouse,
) -> None:
    await house.load(others(2400))
    with pytest.raises(Rejected, match="lacks the last 10 of the 2400 rows"):
        await house.load(others(2390), "cut off")
    reinstated = [row for row in others(2400) if not 1000 <= row.row < 1010]
    assert (await house.load(reinstated, "next month")).rows == 2390


async def test_how_much_a_list_may_lose_and_has_at_least_is_said_by_its_row_of_the_register(house: PeopleHouse) -> None:
    row = VerificationSource(code="LEIE", kind="exclusion", adapter="leie", may_lose=0.2, least_rows=90)
    loaded = await StoredRegister(house.engine).load("verification_source", [row], HOSPITAL, "")
    assert loaded.loaded == 1, loaded
    with pytest.raises(Rejected, match="has 80 rows where there are 90 at least"):
        await house.load(others(80), "the first, cut off")
    await house.load(others(120))
    assert (await house.load(others(96), "a fifth is gone")).rows == 96
    with pytest.raises(Rejected, match=r"20\.0% at most"):
        await house.load([*others(70), *(listed(at) for at in range(50))], "more than a fifth")


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

    async def renew() -> None:
        for number in range(12):
            await house.load([*others(), listed(1, row=number)], f"edition {number}")
        stop.set()

    async def look() -> list[str]:
        states: list[str] = []
        while not stop.is_set():
            states.append((await found(house, record_of(1))).state)
        return states

    _, *looked = await asyncio.gather(renew(), look(), look(), look())
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


async def test_an_edition_of_a_list_nobody_knows_is_not_kept_beside_the_one_it_was_meant_for(
    house: PeopleHouse,
) -> None:
    desk = OurExclusions(cast(Wiring, SimpleNamespace(database=house.engine)), Actor(id="ops", known_by="os_user"))
    with pytest.raises(Stop, match="no exclusion list LIEE") as refused:
        await desk.load("LIEE", b"", "", smaller=False, dry_run=False)
    assert "LEIE" in refused.value.hint, "the ones there are, are named"
    assert await desk.rows(9) == []
