"""A target whose system is gone for good: two people say so, nobody waits for it any more, and its row in use makes the word void."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import AccessTarget, TargetRow, TargetWord, TargetWordTaken
from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.parties import Employee, Facility
from store.access_attention import stuck
from store.access_words import AccessDesk
from store.acts import StoredActs
from store.cases import StoredCases
from store.database import transaction
from store.ids import now
from store.people_tables import people, revocation_blocks
from store.people_wakes import StoredPeopleWakes, StoredRegisterDays
from store.person_trace import broken_at, trace_in
from store.register import StoredRegister
from store.tables import register
from store.target_tables import targets_gone
from tests.access_house import OFF, ON, AccessHouse, target
from tests.build import unique
from tests.store.build import SEAL_KEY, put

PLAN = target("plan", "scheduling", adapter="rest_scheduling", url="http://plan")
AT_WORK = (("E-SUP", "NGH", "support"), ("E-ADM", "SGH", "admin"), ("E-SUP2", "SGH", "support"), ("E-HR", "NGH", "hr"))


class Gone(AccessHouse):
    """Somebody has access in ``plan``, which stands still; and people who may say that it is gone, or may not."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.desk = AccessDesk(engine, StoredCases(engine, SEAL_KEY).person)
        self.register = StoredRegister(engine)

    async def begins(self) -> None:
        await self.open(target("idp"))
        await self.row_says(active=True)
        for site in ("NGH", "SGH"):
            await put(self.engine, "facility", site, site, Facility(code=site))
        for name, site, role in AT_WORK:
            person = Employee(id=name, facility=site, roles=(role,), os_user=name)
            await put(self.engine, "employee", site, name, person)
        await self.works()
        wanted = await self.access.begin(self.person, "plan", now())
        await self.access.wrote(self.person, "plan", wanted, ON.changed(as_wanted=True), now())

    async def row_says(self, **fields: Any) -> None:
        """The hospital loads the target's row, as a command does."""
        row = PLAN.model_copy(update=fields)
        report = await self.register.load("access_target", [AccessTarget.model_validate(row.model_dump())], "hospital")
        assert report.count("refused") == 0, report

    async def say(self, by: str, code: str = "plan", site: str = "") -> TargetWordTaken:
        known_by = "api_key" if site else "os_user"
        word = TargetWord(target=code, reason="the vendor has closed")
        return await self.desk.end(word, Actor(id=by, known_by=known_by), site)

    async def gone(self) -> TargetWordTaken:
        """Out of use, and both say so."""
        await self.row_says(active=False)
        await self.say("E-SUP")
        return await self.say("E-ADM")

    async def listed(self) -> dict[str, str]:
        return {one.what: one.name for one in await stuck(self.engine, now())}

    async def plan(self) -> TargetRow:
        (row,) = [one for one in await self.desk.targets() if one.target == "plan"]
        return row


@pytest.fixture
async def house(engine: AsyncEngine) -> Gone:
    house = Gone(engine)
    await house.begins()
    return house


async def test_a_revocation_waits_no_more_for_what_two_people_said_is_gone(house: Gone) -> None:
    await house.block()
    for later in (0, 21):
        await house.look(later=later)
    await house.row_says(active=False)
    await house.access.refused(house.person, "plan", "unavailable", "no such host", now())
    assert not (await house.access.revocation(house.person, now())).confirmed
    assert not (await house.say("E-SUP")).gone
    assert not (await house.access.revocation(house.person, now())).confirmed, "one person's word is none"
    taken = await house.say("E-ADM")
    assert (taken.gone, taken.asked_by, taken.people) == (True, "E-SUP", 1)
    standing = await house.access.revocation(house.person, now())
    assert standing.confirmed and [one.target for one in standing.targets] == ["idp"]
    state = await house.state("plan")
    assert (state.state, state.active, state.finding, state.offs) == ("off", False, "system-gone", 0)


async def test_what_was_taken_away_after_the_block_and_never_seen_so_again_is_waited_for_no_more(house: Gone) -> None:
    await house.block()
    await house.row_says(active=False)
    await house.look(code="plan")
    assert "plan" in {one.target for one in (await house.access.revocation(house.person, now())).targets}
    await house.gone()
    assert "plan" not in {one.target for one in (await house.access.revocation(house.person, now())).targets}


async def test_a_block_that_comes_later_does_not_ask_there(house: Gone) -> None:
    await house.gone()
    await house.access.standing(house.person, now())
    await house.block()
    assert [one.target for one in (await house.access.revocation(house.person, now())).targets] == ["idp"]


async def test_the_trace_names_who_said_so_once_and_its_chain_holds(house: Gone) -> None:
    await house.gone()
    for _ in range(2):
        await house.access.standing(house.person, now())
        await house.access.revocation(house.person, now())
    async with transaction(house.engine) as connection:
        rows = await trace_in(connection, house.person)
        kept = (await connection.execute(people.select().where(people.c.person == house.person))).one()
    (entry,) = [one for one in rows if one.did == "gone with its system"]
    assert (entry.what, entry.by, entry.content["asked by"]) == ("plan", "E-ADM", "E-SUP")
    assert (entry.content["state"], entry.content["active"]) == ("confirmed", True)
    assert broken_at(house.person, rows, kept.links, kept.link) is None


async def test_who_was_never_there_has_no_entry_and_nothing_to_wait_for(house: Gone) -> None:
    other = await house.works(person=unique("person-"))
    await house.gone()
    await house.access.standing(other, now())
    async with transaction(house.engine) as connection:
        assert "gone with its system" not in {one.did for one in await trace_in(connection, other)}


async def test_the_case_of_who_left_asks_there_no_more_and_shows_what_became_of_it(house: Gone) -> None:
    await house.becomes(state="ended")
    await house.row_says(active=False)
    assert "plan" in {one.target for one in (await house.access.standing(house.person, now())).due}
    await house.access.refused(house.person, "plan", "forbidden", "it refuses us", now())
    await house.gone()
    standing = await house.access.standing(house.person, now())
    assert "plan" not in {one.target for one in standing.due} and standing.refused == ()
    shown = {one.target: (one.state, one.active, one.finding) for one in standing.targets}
    assert shown["plan"] == ("off", False, "system-gone")


async def test_whom_it_concerns_is_woken_by_the_second_word(house: Gone) -> None:
    await house.block()
    await house.row_says(active=False)
    wakes = StoredPeopleWakes(house.engine)
    async with transaction(house.engine) as connection:
        await connection.execute(update(people).values(woken_at=None))
        await connection.execute(update(revocation_blocks).values(woken_at=now()))

    async def woken() -> set[str]:
        before = now() - timedelta(minutes=1)
        found = [*await wakes.due(before), *await wakes.revocations(before)]
        return {one.process for one in found if one.person == house.person} - {"clinician_onboarding"}

    await house.say("E-SUP")
    assert await woken() == set()
    await house.say("E-ADM")
    assert await woken() == {"clinician_access", "clinician_revocation"}


async def test_what_was_listed_about_it_ends_with_the_second_word(house: Gone) -> None:
    await house.row_says(active=False)
    for _ in range(3):
        await house.access.refused(house.person, "plan", "unavailable", "no such host", now())
    assert await house.listed() == {"target does not answer": "plan"}
    await house.say("E-SUP")
    assert await house.listed() == {"target does not answer": "plan", "target said to be gone": "plan"}
    await house.say("E-ADM")
    assert await house.listed() == {}
    await house.access.refused(house.person, "plan", "unavailable", "a try that was under way", now())
    await house.access.standing(house.person, now())
    assert (await house.state("plan")).state == "off" and await house.listed() == {}


async def test_only_who_may_says_it_and_only_of_what_is_out_of_use(house: Gone) -> None:
    with pytest.raises(Rejected, match="plan is in use") as refused:
        await house.say("E-SUP")
    assert refused.value.code == "not-open"
    with pytest.raises(Rejected, match="there is no target pln"):
        await house.say("E-SUP", "pln")
    await house.row_says(active=False)
    for by, site in (("E-HR", ""), ("nobody", ""), ("E-SUP", "SGH")):
        with pytest.raises(Rejected, match="gone is for the roles admin, support"):
            await house.say(by, site=site)
    assert not (await house.say("E-SUP")).gone
    assert not (await house.say("E-SUP")).gone, "the same person twice is one"
    assert (await house.plan()).gone_since is None
    assert (await house.say("E-SUP2")).gone
    assert (await house.say("E-ADM")).message.startswith("said before, by E-SUP and E-SUP2")
    row = await house.plan()
    assert (row.asked_by, row.said_by, row.active) == ("E-SUP", "E-SUP2", False) and row.gone_since is not None
    told = await StoredActs(house.engine).acts("target/plan")
    assert [(one.verb, one.actor.id, one.reason) for one in told[:2]] == [
        ("target gone", "E-ADM", "the vendor has closed"),
        ("target gone", "E-SUP2", "the vendor has closed"),
    ]


async def test_of_a_facilitys_own_target_its_own_people_say_it_or_an_admin(house: Gone) -> None:
    await house.row_says(active=False, facility="NGH")
    with pytest.raises(Rejected, match=r"whose target it is \(NGH\)"):
        await house.say("E-SUP2")
    await house.say("E-SUP")
    assert (await house.say("E-ADM")).gone


async def test_of_two_who_say_it_at_once_one_is_the_second(house: Gone) -> None:
    await house.row_says(active=False)
    told = await asyncio.gather(house.say("E-SUP"), house.say("E-ADM"))
    assert sorted(one.gone for one in told) == [False, True]


async def test_in_use_again_the_word_is_void_and_it_is_looked_at_again(house: Gone) -> None:
    await house.block()
    for later in (0, 21):
        await house.look(later=later)
    await house.gone()
    assert (await house.access.revocation(house.person, now())).confirmed
    await house.row_says(active=True)
    blocks = StoredPeopleWakes(house.engine)
    assert [one.person for one in await blocks.revocations(now())] == [house.person], "it begins anew"
    standing = await house.access.revocation(house.person, now())
    assert not standing.confirmed and "plan" in {one.target for one in standing.targets}
    state = await house.state("plan")
    assert (state.state, state.finding) == ("due", "")
    assert [(one.target, one.do) for one in (await house.access.standing(house.person, now())).due][-1:] == [
        ("plan", "write")
    ]
    trace = await house.trace()
    assert trace.index("gone with its system") < trace.index("system back")
    assert (await house.plan()).gone_since is None
    await house.row_says(active=False)
    assert not (await house.access.revocation(house.person, now())).confirmed, "out of use once more: to be said anew"
    assert not (await house.say("E-SUP")).gone


async def test_a_row_loaded_for_a_later_day_voids_the_word_on_that_day(house: Gone) -> None:
    await house.gone()
    await house.access.standing(house.person, now())
    tomorrow = now() + timedelta(days=1)
    fields = PLAN.model_dump(mode="json") | {"valid_from": tomorrow.date().isoformat()}
    await house.register.load("access_target", [fields], "hospital")
    assert (await house.plan()).gone_since is not None
    await StoredRegisterDays(house.engine).warn(tomorrow)
    assert (await house.plan()).gone_since is None
    assert "plan" in {one.target for one in (await house.access.standing(house.person, tomorrow)).due}


async def test_a_row_that_only_says_more_of_what_is_out_of_use_leaves_the_word(house: Gone) -> None:
    await house.gone()
    await house.row_says(active=False, name="the old schedule")
    assert (await house.plan()).gone_since is not None


async def test_who_looks_writes_and_says_that_it_is_gone_at_once_never_wait_for_each_other(house: Gone) -> None:
    for turn in range(6):
        await house.row_says(active=False)
        await house.block(f"call-{turn}")
        await house.say("E-SUP")
        await asyncio.gather(
            house.say("E-ADM"),
            house.access.standing(house.person, now()),
            house.access.revocation(house.person, now()),
            house.access.refused(house.person, "plan", "unavailable", f"turn {turn}", now()),
            house.access.seen_off(house.person, "plan", OFF, now(), 1),
            house.access.begin(house.person, "idp", now()),
        )
        await asyncio.gather(
            house.row_says(active=True),
            house.access.standing(house.person, now()),
            house.access.revocation(house.person, now()),
            house.access.seen_off(house.person, "plan", ON, now(), 1),
        )


async def test_the_words_stay_with_who_when_and_why(house: Gone) -> None:
    await house.gone()
    await house.row_says(active=True)
    async with transaction(house.engine) as connection:
        (row,) = (await connection.execute(select(targets_gone))).mappings().all()
    assert (row["asked_by"], row["said_by"], row["reason"]) == ("E-SUP", "E-ADM", "the vendor has closed")
    assert row["asked_at"] < row["said_at"] < row["void_at"]


async def test_of_a_target_the_register_no_longer_has_it_can_be_said_too(house: Gone) -> None:
    await house.block()
    for later in (0, 21):
        await house.look(later=later)
    async with transaction(house.engine) as connection:
        await connection.execute(register.delete().where(register.c.code == "plan"))
    standing = await house.access.revocation(house.person, now())
    assert "fascia target gone" in {one.target: one.reason for one in standing.targets}["plan"]
    await house.say("E-SUP")
    await house.say("E-ADM")
    assert (await house.access.revocation(house.person, now())).confirmed
    await house.row_says(active=True)
    assert not (await house.access.revocation(house.person, now())).confirmed
