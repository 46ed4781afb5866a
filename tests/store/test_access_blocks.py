"""Blocks: one for each call, by those who may, lifted by two who may, and for keys nobody knows."""

from __future__ import annotations

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import BlockWord, TargetSeen
from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.parties import Employee, Facility
from store.access_attention import stuck
from store.access_words import AccessDesk
from store.acts import StoredActs
from store.cases import StoredCases
from store.database import transaction
from store.ids import now
from store.marks import StoredMarks
from store.people_tables import person_numbers
from tests.access_house import AccessHouse, target
from tests.build import unique
from tests.store.build import SEAL_KEY, put

GONE = TargetSeen(present=False)


@pytest.fixture
async def house(engine: AsyncEngine) -> AccessHouse:
    house = AccessHouse(engine)
    await house.open(target("idp"), target("plan", "scheduling"), target("keys", "manual"))
    await house.works()
    return house


async def test_the_same_call_is_one_block_also_once_it_was_lifted(house: AccessHouse) -> None:
    first = await house.block()
    assert (await house.block()).since == first.since
    assert (await house.block("another call")).id == "call-1"
    for by in ("E-1", "E-2"):
        await house.access.lift(BlockWord(person=house.person, reason="a test", id="w"), by, now())
    assert not (await house.block()).stands, "a repeat of the call that was answered blocks nobody anew"
    assert await house.access.blocked(house.person) is None
    assert (await house.block("call-2")).stands


async def test_two_people_lift_and_neither_is_whom_it_is_about(house: AccessHouse) -> None:
    await house.block()
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
    with pytest.raises(Rejected, match="revoke is for the roles"):  # somebody else of another house has that number
        await desk.block(word, Actor(id="E-HR", known_by="api_key"), "SGH")
    assert (await desk.block(word, Actor(id="E-HR", known_by="api_key"), "NGH")).by == "E-HR"
    assert (await desk.block(word, by("e-hr"))).by == "E-HR"
    with pytest.raises(Rejected, match="lift is for the roles"):
        await desk.lift(word, by("e-hr"))
    assert not (await desk.lift(word, by("e-com"))).lifted
    told = await StoredActs(house.engine).acts(f"person/{house.person}")
    assert [(one.verb, one.actor.id, one.reason) for one in told] == [
        ("person lift", "e-com", "left in anger"),
        ("person revoke", "E-HR", "left in anger"),
    ], "each once, with the words the trace does not hold"
    assert (await desk.view(house.person, now())).blocked


async def test_a_block_is_lifted_by_those_who_have_the_role_where_the_person_is_known(house: AccessHouse) -> None:
    await house.block()
    for site in ("NGH", "SGH"):
        await put(house.engine, "facility", site, site, Facility(code=site))
    for name, site, role in (
        ("E-1", "SGH", "credentials_committee"),
        ("E-2", "NGH", "credentials_committee"),
        ("E-3", "SGH", "admin"),
    ):
        await put(house.engine, "employee", site, name, Employee(id=name, facility=site, roles=(role,), os_user=name))
    desk = AccessDesk(house.engine, StoredCases(house.engine, SEAL_KEY).person)

    def by(login: str) -> Actor:
        return Actor(id=login, known_by="os_user")

    word = BlockWord(person=house.person, reason="a mistake", id="call-9")
    for site in ("", "SGH"):
        with pytest.raises(Rejected, match=r"that knows the person \(NGH\)"):
            await desk.lift(word, Actor(id="E-1", known_by="os_user" if not site else "api_key"), site)
    assert (await desk.lift(word, by("E-2"))).asked_by == "E-2"
    assert (await desk.lift(word, by("E-3"))).lifted, "an admin's word counts for the whole house"
    stranger = BlockWord(person=unique("person-"), reason="a mistake", id="call-9")
    await desk.block(stranger, by("E-1"))
    assert (await desk.lift(stranger, by("E-1"))).asked_by == "E-1", "nobody knows whom: whoever has the role"


async def test_a_block_nobody_takes_away_by_is_listed_as_that_until_a_process_serves_revocations(
    house: AccessHouse,
) -> None:
    await house.block()
    (line,) = await stuck(house.engine, now())
    assert "no process serves revocations" in line.why and "start python -m workers revocations" in line.press
    await StoredMarks(house.engine).beat("revocations")
    (line,) = await stuck(house.engine, now())
    assert "not every target was seen off" in line.why and "start" not in line.press


async def test_a_key_nobody_knows_can_be_blocked(engine: AsyncEngine) -> None:
    house = AccessHouse(engine)
    await house.open(target("idp"))
    await house.block()
    assert [one.target for one in (await house.access.revocation(house.person, now())).targets] == ["idp"]
    assert not (await house.access.begin(house.person, "idp", now())).active
    assert await house.look(GONE) is not None
