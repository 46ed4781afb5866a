"""Everything is plugged in: every step has a queue, every program says what it lacks, and the door works on our own store."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

import activities.cases
import activities.counts
import activities.erp
import activities.monitoring
import activities.onboarding
import activities.recalls
import activities.register
import activities.stock
import activities.supplier
import activities.verification
from canonical.cases import Trouble
from canonical.errors import Rejected, Unavailable
from canonical.parties import Facility, Partner, Supplier
from canonical.purchasing import OrderLine, PurchaseOrder, numbered_content
from canonical.steps import ClaimRequest, OpenOrder, OrdersRequest
from gateway.rest import make_app
from stack.supervisor import Stack
from store.authority import ERP, HOSPITAL
from store.database import open_engine
from store.keys import NewKey, StoredKeys
from store.register import StoredRegister
from tests import build
from tests.gateway.fakes import stands
from workers import queues, temporal, wiring
from workers.settings import Settings, load
from workers.temporal import connect
from workers.wiring import Wiring
from workflows.policies import REVOCATION_QUEUE

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
HOLDERS = (
    activities.cases.CaseActivities,
    activities.register.RegisterActivities,
    activities.erp.ErpActivities,
    activities.counts.CountActivities,
    activities.recalls.RecallActivities,
    activities.stock.StockActivities,
    activities.supplier.SupplierActivities,
    activities.verification.VerificationActivities,
    activities.monitoring.MonitoringActivities,
    activities.onboarding.OnboardingActivities,
)


async def unconnected(tmp_path: Path, **given: object) -> Wiring:
    """The parts of a process that never asked anything of anybody."""
    settings = Settings.model_validate({"home": tmp_path, "temporal_address": "127.0.0.1:9", **given})
    database = open_engine("postgresql+asyncpg://nobody@127.0.0.1:9/none")
    return Wiring(settings, database, await connect(settings, lazy=True))


async def test_every_step_is_served_by_one_queue_and_every_process_by_ours(tmp_path: Path) -> None:
    parts = await unconnected(tmp_path)
    served = [step.__qualname__ for steps in parts.steps().values() for step in steps]
    written = [
        method.__qualname__
        for holder in HOLDERS
        for method in vars(holder).values()
        if hasattr(method, "__temporal_activity_definition")
    ]
    access = (
        "AccessActivities.access_standing"  # its other steps are served by queues of their own (workers.access_serving)
    )
    assert sorted(served) == sorted([*written, access])
    assert set(parts.steps()) == {temporal.PROCESSES, temporal.ERP, temporal.SUPPLIER, temporal.VERIFICATION}
    assert {*queues.ALWAYS, *queues.REVOKING} == {*parts.steps(), REVOCATION_QUEUE}, (
        "`fascia doctor` looks at each of them"
    )
    processes = {"ProcureToPay", "PurchaseOrderCase", "ConsumptionToReplenishment", "RecallCase"}
    processes |= {"ClinicianMonitoring", "ClinicianOnboarding", "ClinicianAccess", "ClinicianRevocation"}
    assert {one.__name__ for one in parts.workflows()} == processes
    told = [step.__qualname__ for step in parts.steps()[temporal.ERP] if "Stock" in step.__qualname__]
    assert told == ["StockActivities.post_round"], "what asks the ERP waits in the ERP's own queue"


async def test_a_door_without_a_key_to_seal_with_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="seal_key"):
        (await unconnected(tmp_path)).doors()


async def test_an_erp_without_an_address_is_away_not_broken(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="FASCIA_ERP_URL"):
        (await unconnected(tmp_path)).erp_for("NGH")


async def test_a_partner_has_one_mailbox_until_its_row_changes(tmp_path: Path) -> None:
    parts = await unconnected(tmp_path)
    row = Partner(code="ALPINE", id="ALPINEMED", our_id="FASCIANGH", mailbox_host="127.0.0.1")
    assert parts.mailbox_for(row) is parts.mailbox_for(row.changed())
    assert parts.mailbox_for(row) is not parts.mailbox_for(row.changed(mailbox_port=2222))
    with pytest.raises(Rejected, match="edifact"):
        parts.channel_for(row.changed(dialect="edifact"))


@pytest.mark.parametrize("program", ["worker", "revocations", "loops", "api", "mllp"])
def test_a_program_that_cannot_run_says_what_to_do(tmp_path: Path, program: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FASCIA_", "TEMPORAL_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "workers", program],
        env=env | {"FASCIA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 7
    said = json.loads(ended.stderr.strip().splitlines()[-1])
    assert said["event"] == "cannot run"
    assert "fascia up" in said["problem"]


# ---- the REST door on our own store ---------------------------------------------------------------------------------


@pytest.fixture
async def parts(stack: Stack) -> AsyncIterator[Wiring]:
    given = load(stack.home.path)
    seal = given.secret_path("seal_key")
    seal.parent.mkdir(exist_ok=True)
    if not seal.exists():
        seal.write_text("a seal for tests")
    settings = stack.settings.model_copy(update={"home": stack.home.path})
    async with wiring.wired(settings, lazy=True) as parts:
        register = StoredRegister(parts.database)
        await register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
        await register.load("supplier", [Supplier(code="ALPINE", bank_fingerprint="secret")], ERP, "")
        await register.load("item", [build.item("ITM-1001")], ERP, "NGH")
        yield parts


@pytest.fixture
async def door(parts: Wiring) -> AsyncIterator[httpx.AsyncClient]:
    key = NewKey(sender=build.unique("S"), facility="NGH", scopes=("source:surgery-app",), per_minute=1000)
    _, secret = await StoredKeys(parts.database).add(key)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    transport = httpx.ASGITransport(make_app(parts.doors()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://door", headers=headers) as client:
        yield client


@pytest.mark.server
async def test_a_requisition_through_the_door_is_kept_announced_and_started(
    parts: Wiring, door: httpx.AsyncClient
) -> None:
    requisition = build.requisition()
    body = requisition.model_dump_json(exclude_defaults=True)
    answers = await asyncio.gather(
        *(door.post("/v1/requisitions", content=body, headers={"Idempotency-Key": "k"}) for _ in range(5))
    )
    assert {(one.status_code, one.json()["case"]) for one in answers} == {(202, requisition.case_id)}
    kept = await parts.journal.read(answers[0].json()["message"])
    assert kept is not None
    assert (kept.state, kept.data, kept.trace != "") == ("routed", body.encode(), True)
    run = await parts.client.get_workflow_handle(requisition.case_id).describe()
    assert run.workflow_type == "ProcureToPay"
    place = await door.get(answers[0].headers["location"])  # no worker runs: the case itself has not said a word
    shown = (place.status_code, place.json()["status"]["case"], place.json()["status"]["business_state"])
    assert shown == (200, requisition.case_id, "received")
    other = requisition.changed(note="other").model_dump_json(exclude_defaults=True)
    conflict = await door.post("/v1/requisitions", content=other, headers={"Idempotency-Key": "k2"})
    assert (conflict.status_code, conflict.json()["case"]) == (409, requisition.case_id)
    await parts.client.get_workflow_handle(requisition.case_id).terminate("by a test")


@pytest.mark.server
async def test_look_ups_are_answered_from_our_own_store(parts: Wiring, door: httpx.AsyncClient) -> None:
    number = build.unique("PO")
    case = f"purchase_order/NGH/{number}"
    await parts.cases.record(stands(case, revision=1).changed(owner="suppliers", next_action="wait"))
    shown = (await door.get(f"/v1/orders/{number}")).json()
    assert (shown["status"]["business_state"], shown["stopped"]) == ("sent to supplier", "")
    assert case in [row["case"] for row in (await door.get("/v1/orders?limit=200")).json()["cases"]]
    await parts.cases.mark_stopped(case, "stopped outside", owner="support", next_action="resume it")
    assert (await door.get(f"/v1/orders/{number}")).json()["status"]["business_state"] == "stopped outside"
    await parts.cases.mark_running(case)
    again = (await door.get(f"/v1/orders/{number}")).json()["status"]
    assert (again["business_state"], again["owner"], again["next_action"]) == ("sent to supplier", "suppliers", "wait")
    assert (await door.get(f"/v1/cases/{case}/decisions")).json() == []
    assert [one["code"] for one in (await door.get("/v1/items?search=1001")).json()["items"]] == ["ITM-1001"]
    assert (await door.get("/v1/items/ITM-1001")).json()["base_unit"] == "EA"
    supplier = await door.get("/v1/suppliers/ALPINE")
    assert (supplier.json()["status"], "secret" in supplier.text) == ("active", False)
    assert [one["code"] for one in (await door.get("/v1/suppliers")).json()["suppliers"]] == ["ALPINE"]
    assert (await door.get("/readyz")).json()["parts"] == {"store": "ok", "temporal": "ok"}


@pytest.mark.server
async def test_an_order_shows_under_its_requisition_before_its_own_case_has_said_a_word(
    parts: Wiring, door: httpx.AsyncClient
) -> None:
    requisition = build.requisition()
    ordered = OrderLine(
        id="1",
        number=1,
        requisition_line="1",
        item="ITM-1001",
        supplier_item="ALP-1001",
        quantity=build.each("10"),
        unit_price=build.usd("8"),
    )
    await parts.cases.record(stands(requisition.case_id, revision=1, business_state="ordered"))
    asked = OrdersRequest(case=requisition.case_id, requisition=requisition, lines=(), currency="USD", dated=NOW.date())
    await parts.cases.claim(
        ClaimRequest(case=requisition.case_id, run="run-1", data=requisition.model_dump_json().encode(), as_of=NOW)
    )
    made = PurchaseOrder(
        facility="NGH",
        number="not-numbered",
        requisition=requisition.case_id,
        supplier="ALPINE",
        ship_to="OR-1",
        cost_centre="CC-4100",
        ordered_on=NOW.date(),
        lines=(ordered,),
    )
    given = await parts.cases.order_numbers(asked, {"one": made.amount}, {"one": numbered_content(made)})
    (number,) = given.numbers
    order = made.model_copy(update={"number": number})
    await parts.cases.open_order(OpenOrder(order=order, run="run-1", as_of=NOW))
    await parts.cases.trouble(
        Trouble(case=order.case_id, system="erp", step="create_purchase_order", since=NOW, message="away")
    )
    view = (await door.get(f"/v1/requisitions/{requisition.source}/{requisition.number}")).json()
    assert view["children"] == [order.case_id]
    waits = (await door.get(f"/v1/orders/{number}")).json()["waits_for"]
    assert [(one["system"], one["message"]) for one in waits] == [("erp", "away")]
