"""Blocks and grants in our own store: one comes first, two looks far enough apart confirm, two people lift."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import BlockWord, TargetSeen
from canonical.onboarding_rules import stand
from store import people_wakes
from store.access import StoredAccess
from store.access_attention import stuck
from store.clinician_register import StoredClinicianRegister
from store.database import transaction
from store.ids import now
from store.people import StoredPeople
from store.people_applying import apply_in
from store.people_tables import appointments, people
from store.people_wakes import StoredPeopleWakes, StoredRegisterDays
from store.person_trace import broken_at, trace_in
from store.tables import register
from tests.access_house import CANARY, OFF, ON, AccessHouse, target
from tests.store.build import put


@pytest.fixture
async def house(engine: AsyncEngine) -> AccessHouse:
    house = AccessHouse(engine)
    await house.open(target("idp"), target("plan", "scheduling"), target("keys", "manual"))
    await house.works()
    return house


async def test_a_grant_and_a_block_at_once_come_one_after_the_other(house: AccessHouse) -> None:
    """Whichever is first: the grant is empty, or whoever revokes sees that it is under way."""
    for _ in range(15):
        wanted, _ = await asyncio.gather(house.access.begin(house.person, "idp", now()), house.block(""))
        marked = (await house.state("idp")).asked_at is not None
        assert marked or not wanted.active
        for by in ("E-1", "E-2"):
            await house.access.lift(BlockWord(person=house.person, reason="a test", id="w"), by, now())
        await house.access.refused(house.person, "idp", "forbidden", "again", now(), gave=True)


async def test_after_a_block_every_grant_is_empty(house: AccessHouse) -> None:
    assert (await house.access.begin(house.person, "idp", now())).groups == ("clinical", "staff")
    await house.block()
    begun = await house.access.begin(house.person, "idp", now())
    assert (begun.active, begun.groups, begun.record.name.family) == (False, (), "")
    assert (await house.access.standing(house.person, now())).blocked


async def test_two_looks_confirm_when_they_are_far_enough_apart(house: AccessHouse) -> None:
    await house.block()
    assert (await house.look()).times == 1
    assert (await house.look(later=19)).times == 1, "too soon: a write sent before the first may still arrive"
    assert (await house.look(later=21)).confirmed


async def test_one_that_is_seen_on_begins_anew(house: AccessHouse) -> None:
    await house.block()
    assert (await house.look()).times == 1
    assert (await house.look(ON, later=21)).times == 0
    assert (await house.look(later=22)).times == 1
    assert not (await house.look(TargetSeen(present=True, groups=("staff",)), later=60)).confirmed


async def test_no_look_counts_while_a_grant_may_still_be_on_its_way(house: AccessHouse) -> None:
    await house.access.begin(house.person, "idp", now())
    await house.block()
    early = await house.look()
    assert (early.times, early.waits_until is not None) == (0, True)
    assert (await house.look(later=4)).times == 1, "its time-out and what it may take to settle are over"
    assert (await house.look(later=30)).confirmed


async def test_a_write_that_crossed_takes_back_what_was_seen_off_before_it(house: AccessHouse) -> None:
    wanted = await house.access.begin(house.person, "idp", now())
    await house.block()
    await house.look(later=10)
    off = wanted.model_copy(update={"active": False, "groups": (), "held": ()})
    assert await house.access.wrote(house.person, "idp", off, OFF, now(), crossed=True) == "off"
    state = await house.state("idp")
    assert (state.offs, state.asked_at) == (0, None)


async def test_a_look_or_a_taking_that_is_refused_ends_no_grant_that_may_still_be_on_its_way(
    house: AccessHouse,
) -> None:
    await house.access.begin(house.person, "idp", now())
    await house.access.refused(house.person, "idp", "unauthenticated", "it does not know us", now())
    await house.block()
    await house.access.refused(house.person, "idp", "unauthenticated", "it does not know us", now())
    assert (await house.look()).times == 0, "what was sent before the block was never answered"


async def test_the_end_of_a_second_write_is_not_that_of_the_first_which_never_answered(house: AccessHouse) -> None:
    await house.access.begin(house.person, "idp", now())
    await house.access.refused(house.person, "idp", "unavailable", "it took too long", now(), gave=True)
    wanted = await house.access.begin(house.person, "idp", now())
    await house.access.wrote(house.person, "idp", wanted, ON.changed(as_wanted=True), now())
    await house.block()
    assert (await house.look()).times == 0, "the first may still be carried out"
    assert (await house.look(later=4)).times == 1


async def test_undoing_a_write_that_never_answered_does_not_end_it(house: AccessHouse) -> None:
    wanted = await house.access.begin(house.person, "idp", now())
    await house.block()
    off = wanted.model_copy(update={"active": False, "groups": (), "held": ()})
    await house.access.wrote(house.person, "idp", off, OFF, now(), crossed=True, heard=False)
    assert (await house.look()).times == 0, "it may be carried out after it was undone"


async def test_who_looks_writes_and_blocks_at_once_never_wait_for_each_other(engine: AsyncEngine) -> None:
    """Each takes what it locks in one order: else one of them would be given up just when access must end."""
    house = AccessHouse(engine)
    await house.open(target("idp"), target("plan", "scheduling"))
    await house.works()
    access = StoredAccess(engine, apply_in)
    for turn in range(12):
        await house.block(f"call-{turn}")
        await asyncio.gather(
            access.standing(house.person, now()),
            access.begin(house.person, "idp", now()),
            access.begin(house.person, "plan", now()),
            *(access.seen_off(house.person, code, seen, now(), 1) for code in ("idp", "plan") for seen in (ON, OFF)),
            *(access.refused(house.person, code, "unavailable", f"turn {turn}", now()) for code in ("idp", "plan")),
            access.revocation(house.person, now()),
        )
        for by in ("E-1", "E-2"):
            await access.lift(BlockWord(person=house.person, reason="a test", id="w"), by, now())


async def test_of_two_who_ask_at_once_that_a_block_be_lifted_one_is_the_second(house: AccessHouse) -> None:
    await house.block()
    word = BlockWord(person=house.person, reason="mistaken", id="w")
    told = await asyncio.gather(*(house.access.lift(word, by, now()) for by in ("E-1", "E-2")))
    assert sorted(one.lifted for one in told) == [False, True]


async def test_a_confirmed_revocation_begins_anew_when_something_is_switched_on_outside(house: AccessHouse) -> None:
    await house.block()
    for code in ("idp", "plan"):
        await house.look(code=code)
        await house.look(code=code, later=21)
    assert (await house.access.revocation(house.person, now())).confirmed
    wakes = StoredPeopleWakes(house.engine)
    assert await wakes.revocations(now()) == []
    await house.access.saw(house.person, "idp", ON, now() + timedelta(seconds=60))
    assert [one.process for one in await wakes.revocations(now())] == ["clinician_revocation"]
    assert "revocation not confirmed" in {one.what for one in await stuck(house.engine, now())}


async def test_whose_case_of_access_has_lost_its_clock_is_woken_when_a_look_is_due(house: AccessHouse) -> None:
    """Its run was stopped with Temporal's tools: nobody else would ever look whether what was taken away is still off."""
    wanted = await house.access.begin(house.person, "idp", now())
    await house.access.wrote(house.person, "idp", wanted, ON.changed(as_wanted=True), now())
    stands = await house.access.standing(house.person, now())
    wakes = StoredPeopleWakes(house.engine)

    async def woken(before: datetime) -> list[str]:
        return [one.person for one in await wakes.due(before) if one.process == "clinician_access"]

    assert stands.next_at is not None
    assert await woken(stands.next_at) == []
    assert await woken(stands.next_at + timedelta(seconds=1)) == [house.person]


async def test_who_changes_now_waits_behind_nobody_whose_case_does_not_answer(
    house: AccessHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_wakes, "MOST", 2)
    async with transaction(house.engine) as connection:
        for number in range(5):
            row = {"person": f"person-stuck-{number}", "content": {}, "at": now(), "changed_at": now()}
            await connection.execute(insert(people).values(row | {"woken_at": now()}))
        await people_wakes.wake_access_in(connection, house.person, now())
    woken = [one.person for one in await StoredPeopleWakes(house.engine).due(now() - timedelta(minutes=1))]
    assert woken == ["person-stuck-0", "person-stuck-1", house.person, "person-stuck-4"]


async def test_a_row_loaded_for_a_later_day_holds_from_it_and_wakes_whom_it_concerns_then(house: AccessHouse) -> None:
    at, day = now(), timedelta(days=1)
    gone = target("plan", "scheduling", active=False)
    await put(house.engine, "access_target", "", "plan", gone, valid_from=(at + day).date())
    assert (await house.row("plan", at)).active
    assert not (await house.row("plan", at + day)).active
    assert (await house.access.wanted(house.person, "plan", at)).active
    assert not (await house.access.wanted(house.person, "plan", at + day)).active
    days, wakes = StoredRegisterDays(house.engine), StoredPeopleWakes(house.engine)
    assert await days.warn(at) == 0
    woken = [one.person for one in await wakes.due(at)]
    assert house.person not in woken, woken
    assert (await days.warn(at + day), await days.warn(at + 3 * day)) == (1, 0)
    assert {one.process for one in await wakes.due(at + day) if one.person == house.person} >= {"clinician_access"}


async def test_what_was_seen_off_for_one_block_counts_for_no_other(house: AccessHouse) -> None:
    await house.block()
    await house.look()
    assert (await house.look(later=21)).confirmed
    for by in ("E-1", "E-2"):
        await house.access.lift(BlockWord(person=house.person, reason="a test", id="w"), by, now())
    await house.block("call-2")
    standing = await house.access.revocation(house.person, now())
    assert [one.times for one in standing.targets] == [0, 0, 0]
    assert (await house.look()).times == 1


async def test_it_is_confirmed_once_every_target_is_that_we_can_see(house: AccessHouse) -> None:
    await house.block()
    for code in ("idp", "plan"):
        assert not (await house.access.revocation(house.person, now())).confirmed
        await house.look(code=code)
        await house.look(code=code, later=21)
    standing = await house.access.revocation(house.person, now())
    assert standing.confirmed
    assert {one.target: one.confirmed for one in standing.targets} == {"idp": True, "plan": True, "keys": False}
    assert (await house.look(ON, code="keys")).confirmed, "keys are asked back; whether they come, a task says"


async def given_and_put_out_of_use(house: AccessHouse) -> None:
    """Somebody is given access in ``plan``, and then it is put out of use."""
    wanted = await house.access.begin(house.person, "plan", now())
    await house.access.wrote(house.person, "plan", wanted, ON.changed(as_wanted=True), now())
    async with transaction(house.engine) as connection:
        await connection.execute(register.delete().where(register.c.code == "plan"))
    await house.put_target(target("plan", "scheduling", active=False))


async def test_a_target_put_out_of_use_is_looked_at_where_something_may_stand(house: AccessHouse) -> None:
    await given_and_put_out_of_use(house)
    await house.block()
    assert {one.target for one in (await house.access.revocation(house.person, now())).targets} == {
        "idp",
        "plan",
        "keys",
    }
    assert not (await house.access.wanted(house.person, "plan", now())).active


async def test_a_target_put_out_of_use_is_asked_no_more_once_it_was_seen_off(house: AccessHouse) -> None:
    """Its system may be gone: no case looks there for ever, and no later revocation waits for what nobody can see."""
    await given_and_put_out_of_use(house)
    assert "plan" in {one.target for one in (await house.access.standing(house.person, now())).due}
    none = await house.access.wanted(house.person, "plan", now())
    await house.access.wrote(house.person, "plan", none, OFF, now())
    standing = await house.access.standing(house.person, now())
    assert "plan" not in {one.target for one in standing.due}
    assert [(one.target, one.state) for one in standing.targets if one.target == "plan"] == [("plan", "off")]
    await house.block()
    assert "plan" not in {one.target for one in (await house.access.revocation(house.person, now())).targets}


async def test_what_a_block_found_on_in_a_target_out_of_use_is_looked_at_twice(house: AccessHouse) -> None:
    await given_and_put_out_of_use(house)
    await house.block()
    assert not (await house.look(code="plan")).confirmed
    assert "plan" in {one.target for one in (await house.access.revocation(house.person, now())).targets}
    assert (await house.look(code="plan", later=21)).confirmed


async def test_the_queue_of_a_target_put_out_of_use_is_served_on(house: AccessHouse) -> None:
    """Also by workers that begin afterwards: what was given there is taken away by that queue."""
    await house.put_target(target("old", active=False))
    served = await StoredClinicianRegister(house.engine).access_targets(now().date())
    assert [one.code for one in served] == ["idp", "keys", "old", "plan"]


async def test_a_target_that_is_silent_again_and_again_is_listed_until_it_answers(house: AccessHouse) -> None:
    for tries in range(3):
        assert [one.what for one in await stuck(house.engine, now())] == [], f"{tries} tries are none to run for"
        await house.access.refused(house.person, "idp", "unavailable", "idp did not answer", now())
    (line,) = await stuck(house.engine, now())
    assert (line.what, line.name, line.why) == ("target does not answer", "idp", "unavailable: idp did not answer")
    assert house.person in line.press
    await house.access.saw(house.person, "idp", OFF, now())
    assert await stuck(house.engine, now()) == []


async def test_what_stands_still_is_listed_with_what_to_press(house: AccessHouse) -> None:
    assert await stuck(house.engine, now()) == []
    await house.access.refused(house.person, "idp", "group-missing", "no group staff", now())
    await house.access.begin(house.person, "plan", now())
    await house.block()
    await house.look(code="plan", later=10)
    await house.look(ON, code="plan", later=31)
    lines = {one.what: one for one in await stuck(house.engine, now())}
    assert set(lines) == {"revocation not confirmed", "target refuses", "switched on outside"}
    assert lines["target refuses"].why == "group-missing: no group staff"
    assert house.person in lines["revocation not confirmed"].press


async def test_what_was_switched_on_outside_stays_listed_after_it_was_taken_away_again(house: AccessHouse) -> None:
    await house.becomes(state="ended")
    off = await house.access.wanted(house.person, "idp", now())
    await house.access.wrote(house.person, "idp", off, OFF, now())
    await house.access.saw(house.person, "idp", ON, now())
    (on,) = await stuck(house.engine, now())
    await house.access.wrote(house.person, "idp", off, OFF, now())
    await house.access.saw(house.person, "idp", OFF, now())
    (taken,) = await stuck(house.engine, now())
    assert on.what == taken.what == "switched on outside"
    assert "is being taken away" in on.why and "took it away again" in taken.why
    assert await stuck(house.engine, now() + timedelta(days=31)) == []
    await house.access.saw(house.person, "idp", ON, now())
    assert (await house.state("idp")).finding == "enabled-outside"
    await house.becomes(state="working")
    await house.access.wrote(house.person, "idp", await house.access.begin(house.person, "idp", now()), ON, now())
    assert await stuck(house.engine, now()) == []


async def test_the_trace_says_who_blocked_and_what_was_seen_without_a_name_and_its_chain_holds(
    house: AccessHouse,
) -> None:
    wanted = await house.access.begin(house.person, "idp", now())
    await house.access.wrote(house.person, "idp", wanted, ON.changed(as_wanted=True), now())
    await house.block()
    await house.look()
    await house.look(later=21)
    assert await house.trace() == ["wrote", "blocked", "seen off", "seen off"]
    async with transaction(house.engine) as connection:
        rows = await trace_in(connection, house.person)
        kept = (await connection.execute(people.select().where(people.c.person == house.person))).one()
    assert broken_at(house.person, rows, kept.links, kept.link) is None
    assert CANARY not in str(rows)


async def test_who_leaves_one_of_two_facilities_is_through_there_once_nothing_of_it_stands(house: AccessHouse) -> None:
    """The account stays, for the other facility: it holds the case of the one they left open no longer."""
    await house.works("SGH", person=house.person)

    async def given() -> None:
        wanted = await house.access.begin(house.person, "idp", now())
        await house.access.wrote(house.person, "idp", wanted, ON.changed(as_wanted=True), now())

    async def through(facility: str) -> bool:
        file = await StoredPeople(house.engine).file(facility, house.person, now())
        assert file is not None
        return stand(file, now()).finished

    await given()
    await house.becomes(state="ended")
    assert not await through("NGH"), "what it gave stands"
    async with transaction(house.engine) as connection:
        await connection.execute(appointments.update().values(woken_at=None))
    await given()
    assert (await through("NGH"), await through("SGH")) == (True, False)
    async with transaction(house.engine) as connection:
        woken = (await connection.execute(appointments.select().where(appointments.c.woken_at.is_not(None)))).all()
    assert len(woken) == 2, "and both hear of it"
