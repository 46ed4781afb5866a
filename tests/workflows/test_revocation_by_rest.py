"""A call to revoke at the REST door, our own store and Temporal behind it: who may, what stands at once, and twice is once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from canonical.access import MAY_BLOCK
from canonical.parties import Employee, Facility
from gateway.lookups import Caller
from gateway.rest import make_app
from stack.supervisor import Stack
from store.cases import StoredCases
from store.database import transaction
from store.people_wakes import StoredPeopleWakes
from store.person_trace import Entry, note_in
from tests import build
from tests.access_house import CANARY, target
from tests.decoded import decoded
from tests.gateway.fakes import FakeKeys
from tests.gateway.rest_house import House
from tests.store.build import put
from tests.store.people_house import Hr
from tests.workflows.access_desk import PATIENCE, Desk, workers_of
from workers.loops.people_wakes import PeopleWakes
from workers.people_engine import PeopleEngine
from workers.people_wiring import PeopleParts
from workers.settings import Settings
from workers.temporal import connect

pytestmark = pytest.mark.server
WHY = {"reason": "their badge was found with somebody else"}
MAY = "revocations"
CALLERS = {
    "hr": Caller(key="k-hr", sender="e-hr", facility="NGH", person="E-HR", roles=("hr",), scopes=(MAY,)),
    "narrow": Caller(key="k-n", sender="e-hr", facility="NGH", person="E-HR", roles=("hr",), scopes=("lookups",)),
    "buyer": Caller(key="k-b", sender="e-buy", facility="NGH", person="E-BUY", roles=("buyer",), scopes=(MAY,)),
    "machine": Caller(key="k-m", sender="hr-system", facility="NGH", scopes=(MAY,)),
}


def no_erp() -> Any:
    raise AssertionError("nobody asks the ERP to revoke")


class Door:
    """The REST door, and somebody who knocks."""

    def __init__(self, desk: Desk, settings: Settings, client: Client) -> None:
        who = StoredCases(desk.house.engine, build.SEAL_KEY).person
        parts = PeopleParts(settings, desk.house.engine, client, who, erp=no_erp)
        app = make_app(replace(House().doors, keys=FakeKeys(**CALLERS), revoking=parts))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door")

    async def revoke(self, person: str, by: str = "hr", key: str | None = "k-1", body: Any = WHY) -> httpx.Response:
        headers = {"Authorization": f"Bearer {by}"} | ({"Idempotency-Key": key} if key else {})
        return await self.client.post(f"/v1/people/{person}/revocations", json=body, headers=headers)


@pytest.fixture
async def door(desk: Desk, server: Stack) -> Door:
    await opened(desk)
    return Door(desk, server.settings, desk.client)


async def opened(desk: Desk) -> None:
    await put(desk.house.engine, "facility", "NGH", "NGH", Facility(code="NGH"))
    for one, role in (("E-HR", "hr"), ("E-BUY", "buyer")):
        await put(desk.house.engine, "employee", "NGH", one, Employee(id=one, facility="NGH", roles=(role,)))
    await desk.house.open(target("idp"))


async def test_whoever_may_takes_all_access_by_one_call_and_the_same_call_again_is_that_one(
    desk: Desk, server: Stack, door: Door
) -> None:
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed")
        first, again = await asyncio.gather(door.revoke(desk.person), door.revoke(desk.person))
        assert (first.status_code, first.json()["begun"]) == (202, True), first.text
        assert again.json() == first.json()
        handle = desk.client.get_workflow_handle(f"clinician_revocation/{desk.person}")
        told = await handle.describe()
        assert told.task_queue == "revocation"
        assert told.raw_description.workflow_execution_info.priority.priority_key == 1
        assert (await asyncio.wait_for(handle.result(), PATIENCE))["business_state"] == "off everywhere"
        late = await door.revoke(desk.person)
        assert late.json()["since"] == first.json()["since"]
    assert not desk.targets["idp"].is_on(desk.person)
    assert (await desk.house.trace()).count("blocked") == 1
    written = decoded(await handle.fetch_history())
    assert desk.person in written and WHY["reason"] not in written and CANARY not in written


async def test_a_key_whose_events_are_anothers_is_blocked_and_the_other_is_named(desk: Desk, door: Door) -> None:
    old, hr = build.unique("person-"), Hr(desk.house.engine)
    kept = await hr.one(hr.event("1"))
    entry = Entry(did="moved", what=kept.id, facility="NGH", content={"kind": "hire"})
    async with transaction(desk.house.engine) as connection:
        await note_in(connection, old, entry)
    answer = await door.revoke(old)
    assert (answer.status_code, answer.json()["gone_to"]) == (202, [kept.person])
    assert await desk.house.access.blocked(old) is not None
    assert (await door.revoke(kept.person, key="k-2")).json()["gone_to"] == []
    for one in (old, kept.person):
        await desk.client.get_workflow_handle(f"clinician_revocation/{one}").terminate("the test is over")


async def test_a_key_nobody_knows_is_blocked_too(desk: Desk, door: Door) -> None:
    stranger = build.unique("person-")
    answer = await door.revoke(stranger)
    assert (answer.status_code, answer.json()["person"]) == (202, stranger)
    assert await desk.house.access.blocked(stranger) is not None
    await desk.client.get_workflow_handle(f"clinician_revocation/{stranger}").terminate("the test is over")


async def test_whoever_may_not_blocks_nobody(desk: Desk, door: Door) -> None:
    assert "buyer" not in MAY_BLOCK
    for by, why in (
        ("narrow", "not made for revocations"),
        ("machine", "belongs to no person"),
        ("buyer", "for the roles"),
    ):
        refused = await door.revoke(desk.person, by)
        assert refused.status_code == 403 and why in refused.json()["detail"]
    assert (await door.revoke(desk.person, "somebody")).status_code == 401
    assert (await door.revoke(desk.person, key=None)).status_code == 400
    for body in ({}, {"reason": " "}, WHY | {"since": "yesterday"}):
        assert (await door.revoke(desk.person, body=body)).status_code == 422
    assert (await door.revoke("short")).status_code == 422
    assert await desk.house.access.blocked(desk.person) is None
    assert await desk.house.trace() == []


async def test_while_temporal_is_away_the_block_stands_and_its_case_is_begun_when_it_is_back(
    desk: Desk, server: Stack
) -> None:
    await opened(desk)
    away = server.settings.model_copy(update={"temporal_address": "127.0.0.1:9"})
    answer = await Door(desk, away, await connect(away, lazy=True)).revoke(desk.person)
    assert (answer.status_code, answer.json()["begun"]) == (202, False), answer.text
    assert not (await desk.house.access.begin(desk.person, "idp", build.NOW)).active

    async with workers_of(desk, server):
        await PeopleWakes(StoredPeopleWakes(desk.house.engine), PeopleEngine(desk.client, server.settings)).revoke()
        handle = desk.client.get_workflow_handle(f"clinician_revocation/{desk.person}")
        assert (await asyncio.wait_for(handle.result(), PATIENCE))["business_state"] == "off everywhere"
