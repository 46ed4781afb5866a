"""The targets that answer at once are spoken to by our own adapters: what they are told stands there, and when it was ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from adapters.identity.scim import ScimTarget
from adapters.scheduling.rest import RestScheduling
from bench.stub_targets import Targets, serve
from canonical.access import AccessTarget, Held, Wanted
from canonical.people import ClinicianRecord, PersonName

PERSON = "person-0001"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Targets, str]]:
    targets = Targets(tmp_path / "held.json")
    server = await asyncio.start_server(lambda reader, writer: serve(targets, reader, writer), "127.0.0.1", 0)
    async with server:
        yield targets, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def wanted(target: str, person: str = PERSON, *, active: bool = True, groups: tuple[str, ...] = ("staff",)) -> Wanted:
    name = PersonName(family="Family", given=f"Given {person}")
    held = (Held(facility="NGH", employed=True, eligible=True),) if active else ()
    record = ClinicianRecord(name=name) if active else ClinicianRecord()
    return Wanted(
        person=person, target=target, active=active, groups=groups if active else (), held=held, record=record
    )


async def test_an_account_is_given_its_groups_changed_and_switched_off(served: tuple[Targets, str]) -> None:
    targets, url = served
    async with httpx.AsyncClient(trust_env=False) as client:
        idp = ScimTarget(client, AccessTarget(code="idp", kind="identity", adapter="scim", url=f"{url}/idp"))
        for person in (PERSON, "person-0002"):  # of one name: the second gets another user name
            seen = await idp.write(wanted("idp", person, groups=("staff", "clinical")))
            assert seen.active and seen.as_wanted and seen.groups == ("clinical", "staff")
        seen = await idp.write(wanted("idp"))
        assert seen.as_wanted and seen.groups == ("staff",)
        before = time.time()
        seen = await idp.write(wanted("idp", active=False))
        assert not seen.active and not seen.groups and seen.as_wanted
        assert (await idp.look(wanted("idp", "person-0002"))).active
        off = (await client.get(f"{url}/off")).json()
    assert before <= off["idp"][PERSON] <= time.time() and "person-0002" not in off["idp"] and not off["pacs"]
    targets.keep()
    again = Targets(targets.file)
    assert again.providers["idp"] == targets.providers["idp"]


async def test_a_schedule_has_who_may_be_planned_and_no_more(served: tuple[Targets, str]) -> None:
    _, url = served
    async with httpx.AsyncClient(trust_env=False) as client:
        row = AccessTarget(code="plan", kind="scheduling", adapter="rest_scheduling", url=f"{url}/plan")
        plan = RestScheduling(client, row)
        assert not (await plan.look(wanted("plan"))).present
        assert (await plan.write(wanted("plan"))).as_wanted
        assert (await plan.look(wanted("plan"))).active
        seen = await plan.write(wanted("plan", active=False))
        assert seen.present and not seen.active and seen.as_wanted
        assert list((await client.get(f"{url}/off")).json()["plan"]) == [PERSON]
