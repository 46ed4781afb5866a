"""Blocks and grants in our own store: one comes first, two looks far enough apart confirm, two people lift."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import Block, BlockWord, OffSeen, TargetSeen
from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.parties import Employee, Facility
from store.access_attention import stuck
from store.access_words import AccessDesk
from store.cases import StoredCases
from store.database import transaction
from store.ids import now
from store.people_tables import people, person_numbers
from store.person_trace import broken_at, trace_in
from tests.access_house import CANARY, AccessHouse, target
from tests.store.build import SEAL_KEY, put

OFF = TargetSeen(present=True)
ON = TargetSeen(present=True, active=True, groups=("staff",))
GONE = TargetSeen(present=False)


@pytest.fixture
async def house(engine: AsyncEngine) -> AccessHouse:
    house = AccessHouse(engine)
    await house.open(target("idp"), target("plan", "scheduling"), target("keys", "manual"))
    await house.works()
    return house


async def block(house: AccessHouse, call: str = "call-1") -> Block:
    return await house.access.block(Block(person=house.person, since=now(), by="E-HR", reason="left", id=call))


async def look(house: AccessHouse, seen: TargetSeen = OFF, code: str = "idp", *, later: float = 0.0) -> OffSeen:
    """A look that begins so many seconds from now."""
    return await house.access.seen_off(house.person, code, seen, now() + timedelta(seconds=later), 20)


async def test_a_grant_and_a_block_at_once_come_one_after_the_other(house: AccessHouse) -> None:
    """Whichever is first: the grant is empty, or whoever revokes sees that it is under way."""
    for _ in range(15):
        wanted, _ = await asyncio.gather(house.access.begin(house.person, "idp", now()), block(house, ""))
        marked = (await house.state("idp")).asked_at is not None
        assert marked or not wanted.active
        for by in ("E-1", "E-2"):
            await house.access.lift(BlockWord(person=house.person, reason="a test", id="w"), by, now())
        await house.access.refused(house.person, "idp", "forbidden", "again", now())


async def test_after_a_block_every_grant_is_empty(house: AccessHouse) -> None:
    assert (await house.access.begin(house.person, "idp", now())).groups == ("clinical", "staff")
    await block(house)
    begun = await house.access.begin(house.person, "idp", now())
    assert (begun.active, begun.groups, begun.record.name.family) == (False, (), "")
    assert (await house.access.standing(house.person, now())).blocked


async def test_two_looks_confirm_when_they_are_far_enough_apart(house: AccessHouse) -> None:
    await block(house)
    assert (await look(house)).times == 1
    assert (await look(house, later=19)).times == 1, "too soon: a write sent before the first may still arrive"
    assert (await look(house, later=21)).confirmed


async def test_one_that_is_seen_on_begins_anew(house: AccessHouse) -> None:
    await block(house)
    assert (await look(house)).times == 1
    assert (await look(house, ON, later=21)).times == 0
    assert (await look(house, later=22)).times == 1
    assert not (await look(house, TargetSeen(present=True, groups=("staff",)), later=60)).confirmed


async def test_no_look_counts_while_a_grant_may_still_be_on_its_way(house: AccessHouse) -> None:
    await house.access.begin(house.person, "idp", now())
    await block(house)
    early = await look(house)
    assert (early.times, early.waits_until is not None) == (0, True)
    assert (await look(house, later=4)).times == 1, "its time-out and what it may take to settle are over"
    assert (await look(house, later=30)).confirmed


async def test_a_write_that_crossed_takes_back_what_was_seen_off_before_it(house: AccessHouse) -> None:
    wanted = await house.access.begin(house.person, "idp", now())
    await block(house)
    await look(house, later=10)
    off = wanted.model_copy(update={"active": False, "groups": (), "held": ()})
    assert await house.access.wrote(house.person, "idp", off, OFF, now(), crossed=True) == "off"
    state = await house.state("idp")
    assert (state.offs, state.asked_at) == (0, None)


async def test_what_was_seen_off_for_one_block_counts_for_no_other(house: AccessHouse) -> None:
    await block(house)
    await look(house)
    assert (await look(house, later=21)).confirmed
    for by in ("E-1", "E-2"):
        await house.access.lift(BlockWord(person=house.person, reason="a test", id="w"), by, now())
    await block(house, "call-2")
    standing = await house.access.revocation(house.person, now())
    assert [one.times for one in standing.targets] == [0, 0, 0]
    assert (await look(house)).times == 1


async def test_it_is_confirmed_once_every_target_is_that_we_can_see(house: AccessHouse) -> None:
    await block(house)
    for code in ("idp", "plan"):
        assert not (await house.access.revocation(house.person, now())).confirmed
        await look(house, code=code)
        await look(house, code=code, later=21)
    standing = await house.access.revocation(house.person, now())
    assert standing.confirmed
    assert {one.target: one.confirmed for one in standing.targets} == {"idp": True, "plan": True, "keys": False}
    assert (await look(house, ON, code="keys")).confirmed, "keys are asked back; whether they come, a task says"


async def test_a_target_put_out_of_use_is_looked_at_where_something_may_stand(house: AccessHouse) -> None:
    wanted = await house.access.begin(house.person, "plan", now())
    await house.access.wrote(house.person, "plan", wanted, ON.changed(as_wanted=True), now())
    row = (await house.access.target("plan")).model_dump()  # type: ignore[union-attr]
    async with transaction(house.engine) as connection:
        from store.tables import register

        await connection.execute(register.delete().where(register.c.code == "plan"))
    await house.put_target(target("plan", "scheduling", **{"active": False, "url": row["url"]}))
    await block(house)
    assert {one.target for one in (await house.access.revocation(house.person, now())).targets} == {
        "idp",
        "plan",
        "keys",
    }
    assert not (await house.access.wanted(house.person, "plan", now())).active


async def test_the_same_call_is_one_block_also_once_it_was_lifted(house: AccessHouse) -> None:
    first = await block(house)
    assert (await block(house)).since == first.since
    assert (await block(house, "another call")).id == "call-1"
    for by in ("E-1", "E-2"):
        await house.access.lift(BlockWord(person=house.person, reason="a test", id="w"), by, now())
    assert not (await block(house)).stands, "a repeat of the call that was answered blocks nobody anew"
    assert await house.access.blocked(house.person) is None
    assert (await block(house, "call-2")).stands


async def test_two_people_lift_and_neither_is_whom_it_is_about(house: AccessHouse) -> None:
    await block(house)
    async with transaction(house.engine) as connection:
        row = {"source": "hr", "number": "E-7", "person": house.person, "by": "rule", "at": now()}
        await connection.execute(insert(person_numbers).values(row))
    word = BlockWord(person=house.person, reason="mistaken", id="w")
    with pytest.raises(Rejected, match="own access"):
        await house.access.lift(word, "E-7", now())
    assert not (await house.access.lift(word, "E-1", now())).lifted
    assert not (await house.access.lift(word, "E-1", now())).lifted
    assert await house.access.blocked(house.person) is not None
    assert (await house.access.lift(word, "E-2", now())).lifted
    with pytest.raises(Rejected, match="no block stands"):
        await house.access.lift(word, "E-1", now())


async def test_only_who_may_blocks_and_lifts(house: AccessHouse) -> None:
    await put(house.engine, "facility", "NGH", "NGH", Facility(code="NGH"))
    for name, role in (("E-HR", "hr"), ("E-BUY", "buyer"), ("E-COM", "credentials_committee")):
        employee = Employee(id=name, facility="NGH", roles=(role,), os_user=name.lower())
        await put(house.engine, "employee", "NGH", name, employee)
    cases = StoredCases(house.engine, SEAL_KEY)
    desk = AccessDesk(house.engine, cases.person)

    def by(login: str) -> Actor:
        return Actor(id=login, known_by="os_user")

    word = BlockWord(person=house.person, reason="left in anger", id="call-9")
    for login in ("e-buy", "nobody"):
        with pytest.raises(Rejected, match="revoke is for the roles"):
            await desk.block(word, by(login))
    assert await house.access.blocked(house.person) is None
    assert (await desk.block(word, by("e-hr"))).by == "E-HR"
    with pytest.raises(Rejected, match="lift is for the roles"):
        await desk.lift(word, by("e-hr"))
    assert not (await desk.lift(word, by("e-com"))).lifted
    assert (await desk.view(house.person, now())).blocked


async def test_what_stands_still_is_listed_with_what_to_press(house: AccessHouse) -> None:
    assert await stuck(house.engine, now()) == []
    await house.access.refused(house.person, "idp", "group-missing", "no group staff", now())
    await house.access.begin(house.person, "plan", now())
    await block(house)
    await look(house, code="plan", later=10)
    await look(house, ON, code="plan", later=31)
    lines = {one.what: one for one in await stuck(house.engine, now())}
    assert set(lines) == {"revocation not confirmed", "target refuses", "switched on outside"}
    assert lines["target refuses"].why == "group-missing: no group staff"
    assert house.person in lines["revocation not confirmed"].press


async def test_the_trace_says_who_blocked_and_what_was_seen_without_a_name_and_its_chain_holds(
    house: AccessHouse,
) -> None:
    wanted = await house.access.begin(house.person, "idp", now())
    await house.access.wrote(house.person, "idp", wanted, ON.changed(as_wanted=True), now())
    await block(house)
    await look(house)
    await look(house, later=21)
    assert await house.trace() == ["wrote", "blocked", "seen off", "seen off"]
    async with transaction(house.engine) as connection:
        rows = await trace_in(connection, house.person)
        kept = (await connection.execute(people.select().where(people.c.person == house.person))).one()
    assert broken_at(house.person, rows, kept.links, kept.link) is None
    assert CANARY not in str(rows)


async def test_a_key_nobody_knows_can_be_blocked(engine: AsyncEngine) -> None:
    house = AccessHouse(engine)
    await house.open(target("idp"))
    await block(house)
    assert [one.target for one in (await house.access.revocation(house.person, now())).targets] == ["idp"]
    assert not (await house.access.begin(house.person, "idp", now())).active
    assert await look(house, GONE) is not None
