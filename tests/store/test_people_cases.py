"""Clinicians' cases in our own database: the contract, and what only a database has to keep: wakes, the trace, and locks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import AccessTarget
from canonical.credentials import ClinicianPolicy, ClinicianRole
from canonical.people import HrEvent
from store.database import transaction
from store.people import StoredPeople
from store.people_inbox import StoredHrInbox
from store.people_tables import access_states, appointments, hr_events, people
from store.people_wakes import StoredPeopleWakes
from store.person_trace import broken_at, trace_in
from store.register import StoredRegister
from tests.access_house import target
from tests.store.build import put
from tests.store.case_house import CANARY, NOON, SURGEON, TODAY, CaseHouse, event
from tests.store.contract_people import PrivilegesContract, StandingContract, WordsContract


class Stored:
    """A hospital that keeps its people in our database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.people = StoredPeople(engine)

    async def open(self) -> None:
        return None

    async def hear(self, *events: HrEvent, at: datetime = NOON) -> str:
        inbox = StoredHrInbox(self.engine, lambda: at)
        kept = await inbox.keep(events, "m-1", "HR")
        return kept[-1].person

    async def role(self, role: ClinicianRole) -> None:
        await put(self.engine, "clinician_role", "", role.code, role)

    async def policy(self, policy: ClinicianPolicy) -> None:
        await put(self.engine, "clinician_policy", policy.facility, policy.facility, policy)

    async def woken(self, person: str) -> tuple[bool, bool]:
        """Whether the facility's case, and the person's access, are to be woken."""
        async with transaction(self.engine) as connection:
            case = select(appointments.c.woken_at).where(appointments.c.person == person)
            access = select(people.c.woken_at).where(people.c.person == person)
            return (await connection.scalar(case)) is not None, (await connection.scalar(access)) is not None

    async def rest(self) -> None:
        """Whoever was to be woken has looked."""
        async with transaction(self.engine) as connection:
            await connection.execute(update(people).values(woken_at=None))
            await connection.execute(update(appointments).values(woken_at=None))


@pytest.fixture
async def house(engine: AsyncEngine) -> CaseHouse:
    house = CaseHouse(Stored(engine))
    await house.open()
    return house


def stored(house: CaseHouse) -> Stored:
    assert isinstance(house.filed, Stored)
    return house.filed


class TestStandingInOurStore(StandingContract):
    pass


class TestPrivilegesInOurStore(PrivilegesContract):
    pass


class TestWordsInOurStore(WordsContract):
    pass


async def test_a_look_answers_the_wake_and_wakes_access_only_where_it_may_have_changed(house: CaseHouse) -> None:
    await house.hired()
    await house.all_verified()
    filed = stored(house)
    await filed.rest()
    await house.stands()
    assert await filed.woken(house.person) == (False, False)
    name = await house.granted()
    assert await filed.woken(house.person) == (True, True)
    await filed.rest()
    await house.stands()
    assert await filed.woken(house.person) == (False, True), "what was granted is given"
    await filed.rest()
    until = (await house.privilege(name)).until
    await house.stands(until)
    assert await filed.woken(house.person) == (False, True), "what time ended is taken"


async def test_the_trace_has_every_deed_in_order_and_nobodys_name(house: CaseHouse) -> None:
    await house.hired()
    await house.all_verified()
    await house.granted()
    await house.stands()
    async with transaction(stored(house).engine) as connection:
        rows = await trace_in(connection, house.person)
        row = (await connection.execute(select(people).where(people.c.person == house.person))).one()
    assert broken_at(house.person, rows, row.links, row.link) is None
    told = [(one.did, one.what.partition(":")[0], one.by) for one in rows]
    assert ("decided", "request", "E-MSO") in told and told.count(("decided", "approve", "E-1")) == 1
    assert ("decided", "approve", "E-2") in told and ("stands", "active", "fascia") in told
    assert all(one.rules for one in rows)
    assert CANARY.lower() not in "".join(one.model_dump_json() for one in rows).lower()


async def test_every_system_that_is_told_counts_until_it_is_seen_as_wanted(house: CaseHouse) -> None:
    filed = stored(house)
    for code, kind, facility in (("scim", "identity", ""), ("erp", "erp", "NGH"), ("other", "scheduling", "SGH")):
        target = AccessTarget.model_validate({"code": code, "kind": kind, "adapter": "x", "facility": facility})
        await put(filed.engine, "access_target", "", code, target)
    await house.hired()
    await house.all_verified()
    await house.granted()
    standing = await house.stands()
    assert standing.headline == "privileged"
    assert [one.state for one in standing.facets if one.name in ("access", "payroll", "scheduling")] == [
        "nothing given", "nothing given", "no system is told"
    ]  # fmt: skip
    rows = [
        {"person": house.person, "target": code, "state": "confirmed", "active": True, "since": NOON}
        for code in ("scim", "erp")
    ]
    async with transaction(filed.engine) as connection:
        await connection.execute(insert(access_states), rows)
    assert (await house.stands()).headline == "active"


async def test_a_date_that_came_while_no_run_kept_the_clock_wakes_the_case(house: CaseHouse) -> None:
    await house.hired()
    await house.all_verified()
    name = await house.requested()
    for by in ("E-1", "E-2"):
        await house.say("temporary", by, privilege=name)
    standing, filed = await house.stands(), stored(house)
    await filed.rest()
    assert standing.next_at is not None
    wakes = StoredPeopleWakes(filed.engine)
    assert await wakes.due(standing.next_at) == []
    (woken,) = await wakes.due(standing.next_at + timedelta(seconds=1))
    assert (woken.process, woken.facility, woken.person) == ("clinician_onboarding", "NGH", house.person)


async def test_a_look_that_came_while_no_run_kept_the_clock_wakes_the_case_of_access(house: CaseHouse) -> None:
    await house.hired()
    await house.stands()
    filed, at = stored(house), NOON + timedelta(hours=1)
    await filed.rest()
    async with transaction(filed.engine) as connection:
        await connection.execute(update(people).values(woken_at=None, access_next_at=at))
    wakes = StoredPeopleWakes(filed.engine)
    assert "clinician_access" not in {one.process for one in await wakes.due(at)}
    assert "clinician_access" in {one.process for one in await wakes.due(at + timedelta(seconds=1))}


async def test_a_record_mended_lets_a_source_that_denied_be_asked_again(house: CaseHouse) -> None:
    await house.hired()
    await house.answers("licence", "IL", state="unknown")
    assert "licence:IL" not in [one.name for one in (await house.stands()).checks]
    later = NOON + timedelta(hours=2)
    licence = {"licences": [{"state": "IL", "number": "036-2"}], "name": {"family": CANARY}}
    standing = await house.hr("update", "U-1", at=later, said_at=later, effective=TODAY, record=licence)
    assert "licence:IL" in [one.name for one in standing.checks]


async def test_a_withdrawal_said_here_is_an_event_of_our_own_beside_those_of_hr(house: CaseHouse) -> None:
    await house.hired()
    await house.say("leave", "E-HR", on=date(2026, 12, 31))
    async with transaction(stored(house).engine) as connection:
        row = (await connection.execute(select(hr_events).where(hr_events.c.source == "fascia"))).one()
    assert (row.kind, row.person, row.decided_by, row.effective) == (
        "terminate", house.person, "E-HR", date(2026, 12, 31)
    )  # fmt: skip


async def test_looks_words_and_answers_at_once_lose_nothing(house: CaseHouse) -> None:
    await house.hired()
    await house.all_verified()
    name = await house.requested()
    jobs: list[Awaitable[Any]] = [house.stands() for _ in range(6)]
    jobs += [house.answers("npi") for _ in range(6)]
    jobs += [house.say("approve", by, privilege=name) for by in ("E-1", "E-2")]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert [one for one in done if isinstance(one, BaseException)] == []
    assert (await house.privilege(name)).state == "granted"


async def test_two_people_may_leave_by_words_of_one_name(house: CaseHouse) -> None:
    """A word's id is its case's own, and any text: a desk that calls all of a day's words alike tells of each."""
    on, of_a_day = TODAY + timedelta(days=7), "leavers of 20 November, ä"
    await house.hired()
    first = house.person
    assert (await house.say("leave", on=on, id=of_a_day)).taken
    name = {"family": "Okonkwo", "given": "Ben"}
    house.person = await house.filed.hear(event("hire", "H-9", person="9999", record={"name": name}))
    assert house.person != first
    assert (await house.say("leave", on=on, id=of_a_day)).taken


async def test_whoever_a_changed_row_of_the_register_concerns_looks_and_nobody_else(house: CaseHouse) -> None:
    """A group taken from a role would else stay with whoever has it until their next look, a day later."""
    filed = stored(house)
    await house.hired()
    surgeon = house.person
    clerk = await filed.hear(
        event("hire", "H-9", person="9999", record={"name": {"family": "Okonkwo"}}, position={"role": "clerk"})
    )
    await filed.rest()
    register = StoredRegister(filed.engine, lambda: TODAY)
    less = SURGEON.changed(clinical=())
    assert (await register.load("clinician_role", [less], "hospital", dry_run=True)).loaded == 1
    assert await filed.woken(surgeon) == (False, False)
    assert (await register.load("clinician_role", [less], "hospital")).loaded == 1
    assert (await filed.woken(surgeon), await filed.woken(clerk)) == ((True, True), (False, False))
    await filed.rest()
    assert (
        await register.load("access_target", [target("badges", "manual", adapter="manual")], "hospital")
    ).loaded == 1
    assert (await filed.woken(surgeon), await filed.woken(clerk)) == ((True, True), (True, True))
