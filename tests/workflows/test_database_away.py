"""Our own database goes away while people are hired, given access and revoked: once it is back everybody is as wanted, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from canonical.errors import Unavailable
from canonical.people import HrEvent, HrKept
from stack.supervisor import Stack
from store.database import transaction
from store.people_tables import hr_events, people, revocation_blocks
from store.person_trace import broken_at, trace_in
from tests.access_house import AccessHouse, target
from tests.fakes.targets import FakeTarget
from tests.store.people_house import Hr
from tests.workflows.access_desk import Desk, workers_of
from tests.workflows.test_revocation_by_rest import Door, opened

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]
AWAY = 3.0  # seconds


@pytest.fixture
async def door(desk: Desk, server: Stack) -> AsyncIterator[Door]:
    await opened(desk)
    await desk.house.put_target(target("plan", "scheduling", after=("idp",)))
    yield Door(desk, server.settings, desk.client)
    if server.pid("database") is None:  # whatever became of the test: the others need it
        await server.start("database")


async def kept(hr: Hr, event: HrEvent, message: str, tries: list[str]) -> HrKept:
    """As the router does: again and again until it is kept."""
    while True:
        try:
            (found,) = await hr.say(event, message=message)
        except Unavailable:
            tries.append(event.number)
            await asyncio.sleep(0.2)
        else:
            return found


def another(desk: Desk) -> Desk:
    """The desk of somebody else, at the same systems."""
    one = Desk(desk.client, AccessHouse(desk.house.engine), desk.targets, desk.cases)
    one.patience = 300.0
    return one


def _called(target: FakeTarget, call: str) -> bool:
    return call in target.calls


async def test_a_database_that_goes_away_in_the_middle_of_hires_grants_and_revocations_loses_and_doubles_nothing(
    desk: Desk, server: Stack, door: Door
) -> None:
    given, leavers, late = [another(desk) for _ in range(3)], [another(desk) for _ in range(2)], another(desk)
    everybody = [*given, *leavers, late]
    hr, tries = Hr(desk.house.engine), list[str]()
    hires = [
        hr.event(f"H-{n}", person=f"P-{n}", family=f"Name{n}", given=f"G{n}", record={"birth_date": f"1980-01-0{n}"})
        for n in range(1, 9)
    ]
    for one in everybody:
        await one.house.works()
    async with workers_of(desk, server):
        for one in (*leavers, late):
            await one.wake()
            await one.until_states(idp="confirmed", plan="confirmed")
        idp = desk.targets["idp"]
        idp.held = asyncio.Event()
        for one in given:
            await one.wake()
        for one in given:
            await one.until(partial(_called, idp, f"on {one.person}"), "no grant is under way")
        blocked = await door.revoke(leavers[0].person, key="k-first")
        assert (blocked.status_code, blocked.json()["begun"]) == (202, True), blocked.text
        await hr.one(hires[0], message="M-1")
        under_way = [
            asyncio.create_task(kept(hr, event, f"M-{n}", tries)) for n, event in enumerate(hires[1:-1], start=2)
        ]
        crossing = asyncio.create_task(door.revoke(leavers[1].person, key="k-crossing"))
        await server.stop("database")
        idp.held.set()  # the grants end while nobody can keep that they did
        refused = await door.revoke(late.person, key="k-late")
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "not-blocked"
        assert "no block is known to stand" in refused.json()["detail"] and "again" in refused.json()["detail"]
        assert refused.headers["Retry-After"]
        under_way.append(asyncio.create_task(kept(hr, hires[-1], f"M-{len(hires)}", tries)))  # while it is surely away
        await asyncio.sleep(AWAY)
        assert "begun" not in refused.json()
        await server.start("database")
        assert await late.house.access.blocked(late.person) is None  # as it was told
        again = [await door.revoke(leavers[1].person, key="k-crossing"), await door.revoke(late.person, key="k-late")]
        assert [one.status_code for one in again] == [202, 202]
        if (crossed := await crossing).status_code == 202:
            assert crossed.json()["id"] == again[0].json()["id"]
        for one in given:
            await one.until_states(idp="confirmed", plan="confirmed")
        for one in (*leavers, late):
            await one.until(partial(one.says, "off everywhere", "clinician_revocation"), "not off")
        found = await asyncio.gather(*under_way)
        for one in everybody:
            await one.stop()
    for one in everybody:
        on = [code for code, system in desk.targets.by_code.items() if system.is_on(one.person)]
        assert sorted(on) == (["idp", "plan"] if one in given else [])
    assert tries, "nobody was hired while it was away"
    assert len({one.person for one in found}) == len(hires) - 1
    assert sorted(row["number"] for row in await hr.rows(hr_events)) == [event.number for event in hires]
    blocks = [row["person"] for row in await hr.rows(revocation_blocks)]
    assert sorted(blocks) == sorted(one.person for one in (*leavers, late))
    for row in await hr.rows(people):
        async with transaction(desk.house.engine) as connection:
            told = await trace_in(connection, row["person"])
        assert broken_at(row["person"], told, row["links"], row["link"]) is None
        verbs = [one.did for one in told]
        assert [verbs.count("blocked"), verbs.count("confirmed off")] == [int(row["person"] in blocks)] * 2
