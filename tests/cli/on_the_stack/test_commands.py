"""The commands on a real PostgreSQL and a real Temporal, with the real processes; only ERP and suppliers are played."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from canonical.cases import Attention, CaseChange, State
from canonical.messages import NewMessage
from canonical.parties import Supplier
from canonical.ports import Unmatched
from canonical.steps import SupplierDocument
from cli.ours import login
from stack.supervisor import Stack
from tests import build
from tests.cli.on_the_stack.conftest import PATIENCE, Fascia, ordered, start, until, until_generation
from tests.workflows.outside import Outside
from workers.wiring import Wiring

pytestmark = pytest.mark.server


async def test_what_was_loaded_can_be_looked_up_and_loading_it_again_changes_nothing(
    fascia: Fascia, hospital: None, tmp_path: Path
) -> None:
    assert (await fascia("register", "show", "item", "ITM-1001", "--json")).json["items"][0]["record"][
        "code"
    ] == "ITM-1001"
    assert (await fascia("register", "show", "itm")).code == 2
    again = await fascia(
        "register", "load", str(tmp_path / "own"), "--facility", "NGH", "--source", "hospital", "--json"
    )
    assert (again.json["loaded"], again.json["refused"]) == (0, 0)
    people = tmp_path / "employees.csv"
    people.write_text("id,roles,os_user\nE-NEW,buyer,newcomer\nE 7,buyer,\nE-OLD,emperor,\n")
    tried = await fascia("register", "load", str(people), "--facility", "NGH", "--dry-run", "--json")
    assert tried.code == 6 and tried.json["loaded"] == 1
    assert (await fascia("register", "show", "employee", "E-NEW", "--facility", "NGH")).code == 3
    partly = await fascia("register", "load", str(people), "--facility", "NGH")
    assert partly.code == 6 and "employees.csv row 3" in partly.out and "emperor" not in partly.out.split("row 3")[0]
    assert (await fascia("register", "show", "employee", "E-NEW", "--facility", "NGH")).code == 0


async def test_a_requisition_is_approved_by_the_shell_login_and_its_line_followed_to_the_erp(
    fascia: Fascia, hospital: None, outside: Outside, wiring: Wiring
) -> None:
    case, number = await start(wiring)
    waiting = await until(fascia, number, "pending approval")
    assert waiting["case"] == case
    old = await fascia("case", "approve", number, "--revision", str(waiting["revision"] - 1))
    assert old.code == 5 and "changed since" in old.err
    assert (await fascia("case", "approve", number, "--dry-run")).code == 0
    approved = await fascia("case", "approve", number, "--id", "approve-once", "--json")
    assert approved.code == 0 and approved.json["taken"], approved.out
    again = await fascia(
        "case", "approve", number, "--id", "approve-once", "--revision", str(waiting["revision"]), "--json"
    )
    assert again.code == 0 and again.json["message"] == approved.json["message"]

    order = await ordered(fascia, number)
    shown = await until(fascia, order, "sent to supplier")
    kinds = [step["kind"] for step in shown["way"][0]["steps"]]
    assert kinds[0] == "message in" and "erp_order" in kinds
    assert "sha-256" in shown["way"][0]["steps"][0]["detail"]
    decisions = (await fascia("case", "show", number, "--json")).json["decisions"]
    assert [(one["employee"], one["verified"]) for one in decisions if one["kind"] == "checked"] == [("E-ME", True)]
    assert "approve" in (await fascia("case", "show", number)).out

    listed = (await fascia("case", "list", "--json")).json["items"]
    assert {case, order} <= {one["case"] for one in listed}
    message = shown["way"][0]["steps"][0]["name"]
    kept = await fascia("journal", "show", message, "--json")
    assert json.loads(kept.json["data"])["number"] == number
    assert message in (await fascia("journal", "list", "--case", case)).out
    history = await fascia("dev", "history", number)
    assert history.json["events"][0]["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"

    assert (await fascia("case", "reject", number)).code == 2
    assert (await fascia("case", "pay-short", number)).code == 5
    assert (await fascia("case", "show", "R-nothing")).code == 3


async def test_a_case_terminated_outside_goes_on_in_a_successor_and_orders_nothing_twice(
    fascia: Fascia, hospital: None, outside: Outside, wiring: Wiring
) -> None:
    case, number = await start(wiring)
    await until(fascia, number, "pending approval")
    await fascia("case", "approve", number)
    order = await ordered(fascia, number)
    await until(fascia, order, "sent to supplier")
    for name in (case, order):
        running_still = await fascia("case", "resume", name)
        assert running_still.code == 5 and "--force" in running_still.err
        await wiring.client.get_workflow_handle(name).terminate("by somebody in the Temporal UI")
        await wiring.cases.mark_stopped(name, "stopped outside", owner="support", next_action="resume it")
        resumed = await fascia("case", "resume", name, "--reason", "terminated by mistake", "--json")
        assert resumed.code == 0 and resumed.json["generation"] == 2, resumed.out
    await until_generation(fascia, 2, case, order)
    assert (await fascia("case", "show", order, "--json")).json["stopped"] == ""
    assert outside.steps(order.rpartition("/")[2]).count("create") == 1

    forced = await fascia("case", "resume", order, "--force", "--json")
    assert forced.json["generation"] == 3 and forced.json["terminated"] is True
    await until_generation(fascia, 3, order)
    assert (await fascia("case", "hold", order, "--reason", "wait for the pharmacist")).code == 0
    assert (await fascia("case", "release-hold", order)).code == 0
    assert outside.steps(order.rpartition("/")[2]).count("create") == 1


async def test_a_document_without_a_case_is_attached_by_who_may(
    fascia: Fascia, hospital: None, outside: Outside, wiring: Wiring
) -> None:
    _, number = await start(wiring)
    await until(fascia, number, "pending approval")
    await fascia("case", "approve", number)
    order = await ordered(fascia, number)
    await until(fascia, order, "sent to supplier")
    kept = await wiring.journal.keep(NewMessage(door="sftp", data=b"ISA*\xff", partner="ALPINE", kind="855"))
    for name in ("u-1", "u-2"):
        document = SupplierDocument(message=kept.message.id, key=name)
        await wiring.cases.put_unmatched(
            Unmatched(id=name, kind="order_acknowledgement", facility="NGH", message=kept.message.id,
                      at=kept.message.at, document=document.model_dump_json())
        )  # fmt: skip
    assert {one["id"] for one in (await fascia("unmatched", "list", "--json")).json["items"]} == {"u-1", "u-2"}
    assert (await fascia("unmatched", "attach", "u-1", order, "--dry-run")).code == 0
    assert (await fascia("unmatched", "attach", "u-1", order, "--reason", "typing error")).code == 0
    assert (await fascia("unmatched", "dismiss", "u-1", "--reason", "no")).code == 5
    assert (await fascia("unmatched", "dismiss", "u-2", "--reason", "a test")).code == 0
    assert (await fascia("unmatched", "attach", "u-9", order)).code == 3
    assert (await fascia("unmatched", "list", "--json")).json["items"] == []
    assert (await fascia("journal", "show", kept.message.id, "--json")).json["encoding"] == "base64"


async def test_bank_details_are_confirmed_by_finance_and_not_by_who_changed_them(
    fascia: Fascia, hospital: None, wiring: Wiring, tmp_path: Path
) -> None:
    file = tmp_path / "suppliers.json"
    file.write_text('[{"code": "ALPINE", "bank_fingerprint": "f-2"}]')
    load = ("register", "load", str(file), "--source", "erp")
    assert (await fascia(*load)).code == 0
    own = await fascia("register", "confirm-bank", "ALPINE")
    assert own.code == 4 and "who changed the bank details" in own.err
    await wiring.register.take_suppliers([Supplier(code="ALPINE", bank_fingerprint="f-3")])  # the ERP, nobody known
    await wiring.cases.record(_waits_for_bank("purchase_order/NGH/PO-BANK"))
    assert (await fascia("register", "confirm-bank", "ALPINE", "--fingerprint", "f-2")).code == 5
    plan = await fascia("register", "confirm-bank", "ALPINE", "--dry-run", "--json")
    assert plan.json["told"] == ["purchase_order/NGH/PO-BANK"] and plan.json["fingerprint"] == "f-3"
    done = await fascia("register", "confirm-bank", "ALPINE", "--json")
    assert done.code == 0 and done.json["confirmed_by"] == "E-ME" and done.json["confirmed_at"]
    assert done.json["not_running"] == ["purchase_order/NGH/PO-BANK"], "its case was never started here"
    held = await wiring.register.supplier("ALPINE")
    assert held is not None and not held.bank_changed_unseen and held.bank_confirmed_fingerprint == "f-3"
    assert (await fascia("register", "confirm-bank", "NOBODY")).code == 3


def _waits_for_bank(case: str) -> CaseChange:
    parked = Attention(kind="business-rule", reason="changed", document="p/bank", verbs=("confirm_bank", "retry"))
    return CaseChange(
        case=case,
        process="purchase_order",
        facility="NGH",
        run="r",
        revision=1,
        state=State.POSTED,
        business_state="payment blocked",
        supplier="ALPINE",
        attention=(parked,),
        changed_at=build.NOW,
    )


async def test_a_key_is_made_listed_and_revoked_and_only_its_hash_is_kept(
    fascia: Fascia, hospital: None, wiring: Wiring
) -> None:
    made = await fascia("key", "add", "or-desk", "--facility", "NGH", "--person", "E-ME", "--days", "7", "--json")
    assert made.code == 0 and made.json["expires_at"] and made.json["secret"].startswith("fsc_")
    assert (await fascia("key", "add", "or-desk", "--facility", "NGH", "--person", "E-NOBODY")).code == 3
    unknown = await fascia("key", "add", "or-desk", "--facility", "XYZ")
    assert unknown.code == 3 and "no facility XYZ" in unknown.err
    listed = await fascia("key", "list", "--json")
    assert listed.json["items"][0]["id"] == made.json["id"] and made.json["secret"] not in listed.out
    assert (await fascia("key", "revoke", made.json["id"])).code == 0
    assert (await fascia("key", "list", "--json")).json["items"][0]["revoked_at"]
    assert (await fascia("key", "revoke", "key-0")).code == 3


async def test_the_keys_of_a_file_are_made_by_one_command(fascia: Fascia, hospital: None, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    wanted = [{"sender": f"desk-{n}", "facility": "NGH", "save": str(tmp_path / f"desk-{n}")} for n in range(3)]
    file.write_text(json.dumps([*wanted, {"sender": "nobody", "facility": "NGH", "person": "E-NOBODY"}]))
    assert (await fascia("key", "add", "--from", str(file))).code == 3
    assert not list(tmp_path.glob("desk-*"))
    file.write_text(json.dumps(wanted))
    made = await fascia("key", "add", "--from", str(file), "--json")
    assert [row["sender"] for row in made.json["items"]] == ["desk-0", "desk-1", "desk-2"]
    secrets = {(tmp_path / f"desk-{n}").read_text() for n in range(3)}
    assert len(secrets) == 3 and all(secret.startswith("fsc_") for secret in secrets)


async def test_a_subscriber_comes_and_goes_and_who_did_it_is_written_down(
    fascia: Fascia, hospital: None, stack: Stack
) -> None:
    add = ("subscriber", "add", "stock", "--url", "https://stock.test/hook", "--event", "order.*", "--facility", "NGH")
    added = await fascia(*add, "--json")
    assert (added.code, added.json["outcome"]) == (0, "added"), added.err
    assert (stack.home.path / "secrets" / "subscriber_stock").read_text().strip() == added.json["secret"]
    assert (await fascia(*add, "--json")).json["outcome"] == "unchanged"
    assert (await fascia(*add, "--event", "invoice.*")).code == 5
    assert (await fascia(*add[:-1], "SGH")).code == 3
    listed = await fascia("subscriber", "list", "--csv")
    assert "stock,https://stock.test/hook" in listed.out and added.json["secret"] not in listed.out
    assert (await fascia("outbox", "retry", "999")).code == 3
    assert (await fascia("outbox", "list", "--state", "all", "--json")).code == 0
    assert (await fascia("subscriber", "remove", "stock")).code == 0
    deeds = (await fascia("audit", "list", "--about", "subscriber/stock", "--json")).json["items"]
    assert [(one["verb"], one["actor"]) for one in deeds] == [
        ("subscriber remove", login()),
        ("subscriber add", login()),
    ]


async def test_a_requisition_replayed_while_its_case_runs_starts_nothing_twice(
    fascia: Fascia, hospital: None, outside: Outside, wiring: Wiring
) -> None:
    requisition = build.requisition()
    data = requisition.model_dump_json().encode()
    kept = await wiring.journal.keep(NewMessage(door="rest", data=data, kind="requisition", key=requisition.number))
    message = kept.message.id
    await wiring.journal.mark(message, "refused", reason="data-invalid: the register did not know the item yet")
    started = await fascia("journal", "replay", message, "--reason", "the item is there", "--json")
    assert (started.code, started.json["state"], started.json["case"]) == (0, "routed", requisition.case_id), (
        started.err
    )
    before = await until(fascia, requisition.number, "pending approval")
    again = await fascia("journal", "replay", message, "--json")
    assert (again.code, again.json["state"]) == (0, "routed")
    after = (await fascia("case", "show", requisition.number, "--json")).json
    assert (after["run"], after["revision"]) == (before["run"], before["revision"])
    history = (await fascia("journal", "show", message, "--json")).json["history"]
    asked = f"replayed by {login()} (os_user): the item is there [replay {started.json['replay']}]"
    assert asked in [entry["reason"] for entry in history]
    assert (await fascia("journal", "replay", "m-0")).code == 3

    assert (await fascia("case", "reject", requisition.number, "--reason", "no longer needed")).code == 0
    await until(fascia, requisition.number, "refused")
    ended = await fascia("journal", "replay", message)
    assert ended.code == 5 and "which is closed" in ended.err


async def test_without_a_seal_key_nobody_decides_by_login(
    fascia: Fascia, hospital: None, outside: Outside, wiring: Wiring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, number = await start(wiring)
    await until(fascia, number, "pending approval")
    monkeypatch.setenv("FASCIA_SEAL_KEY_FILE", str(tmp_path / "nothing"))
    assert (await fascia("case", "approve", number)).code == 4


async def test_servers_that_are_away_are_told_as_such(fascia: Fascia, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASCIA_DATABASE_URL", "postgresql+asyncpg://fascia@127.0.0.1:9/fascia")
    away = await fascia("case", "list", "--json")
    assert away.code == 7 and away.json["error"]["exit_code"] == 7


async def test_a_requisition_that_could_not_be_read_is_resumed_and_corrected_from_a_file(
    fascia: Fascia, hospital: None, outside: Outside, wiring: Wiring, tmp_path: Path
) -> None:
    requisition = build.requisition()
    case, number = requisition.case_id, requisition.number
    await wiring.engine.start_requisition(case, b'{"facility": "NGH", "colour": "red"}')
    parked = await until(fascia, case, "needs attention")
    assert parked["attention"][0]["verbs"]
    await wiring.client.get_workflow_handle(case).terminate("by mistake")
    await wiring.cases.mark_stopped(case, "stopped outside", owner="support", next_action="resume it")
    assert (await fascia("case", "resume", case)).code == 0
    async with asyncio.timeout(PATIENCE):  # what was shown before is shown until its successor says a word
        while (await fascia("case", "show", case, "--json")).json["stopped"]:
            await asyncio.sleep(0.2)
    again = await until(fascia, case, "needs attention")
    assert again["attention"][0]["reason"] == parked["attention"][0]["reason"]
    file = tmp_path / "requisition.json"
    file.write_text(requisition.model_dump_json(exclude_defaults=True))
    corrected = await fascia("case", "correct", case, "--requisition", str(file), "--reason", "as on paper")
    assert corrected.code == 0, corrected.err
    assert (await until(fascia, number, "pending approval"))["case"] == case
    assert (await fascia("case", "cancel", number, "--reason", "no longer needed")).code in (0, 4)
