"""The FHIR door as it is plugged in: a department's SupplyRequest starts its process on our own store and a Temporal server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from canonical.parties import Facility
from gateway.rest import make_app
from stack.supervisor import Stack
from store.authority import HOSPITAL
from store.keys import NewKey, StoredKeys
from store.register import StoredRegister
from tests import build
from tests.formats.fhir_files import changed
from tests.gateway.fhir_house import FHIR, WARD
from workers import wiring
from workers.loops.router import Router
from workers.settings import load
from workers.wiring import Wiring


@pytest.fixture
async def parts(stack: Stack) -> AsyncIterator[Wiring]:
    given = load(stack.home.path)
    seal = given.secret_path("seal_key")
    seal.parent.mkdir(exist_ok=True)
    if not seal.exists():
        seal.write_text("a seal for tests")
    async with wiring.wired(stack.settings.model_copy(update={"home": stack.home.path}), lazy=True) as parts:
        register = StoredRegister(parts.database)
        await register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
        await register.load("sender", [WARD], HOSPITAL, "NGH")
        yield parts


@pytest.mark.server
async def test_a_supply_request_is_kept_routed_and_started_once(parts: Wiring) -> None:
    key = NewKey(sender=WARD.code, facility="NGH", scopes=("fhir",), per_minute=0)
    _, secret = await StoredKeys(parts.database).add(key)
    number = build.unique("W")
    data = changed("r5_SupplyRequest", identifier=[{"value": number}])
    case = f"procure_to_pay/NGH/ward-desk/{number}"
    behind = parts.doors()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": FHIR}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_app(behind)), base_url="http://door", headers=headers
    ) as door:
        answers = await asyncio.gather(*(door.post("/fhir/r5/SupplyRequest", content=data) for _ in range(5)))
        assert {(one.status_code, one.content) for one in answers} == {(201, answers[0].content)}
        await Router(parts.journal, parts.routing(), 0, 1).once()
        read = await door.get(answers[0].headers["location"])
        assert read.content == answers[0].content and '"value":1.10' in read.text
        outcome = (await door.get("/fhir/r5/Patient")).json()
        assert outcome["resourceType"] == "OperationOutcome"
    (kept,) = await parts.journal.kept_under(f"fhir/WARD/r5/SupplyRequest/{read.json()['id']}")
    assert (kept.state, kept.case, kept.data, kept.trace != "") == ("routed", case, data, True)
    run = await parts.client.get_workflow_handle(case).describe()
    assert run.workflow_type == "ProcureToPay"
    await parts.client.get_workflow_handle(case).terminate("by a test")
    assert behind.fhir is not None
    await behind.fhir.close()
