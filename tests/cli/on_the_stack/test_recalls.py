"""A recall from its file to its end on a real PostgreSQL and a real Temporal: loaded, blocked, answered, closed, lifted, stopped."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from cli.ours import login
from store.usage_tables import recall_blocks, stock_balances, usage_events
from tests import build
from tests.cli.on_the_stack.conftest import PATIENCE, Fascia, until
from tests.decoded import decoded
from tests.workflows.outside import Outside
from workers.loops.recalls import RecallWakes
from workers.wiring import Wiring

pytestmark = pytest.mark.server

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def shelf(wiring: Wiring, number: str) -> None:
    """Three of a lot in theatre, and one that was used in a procedure."""
    held = {"facility": "NGH", "location": "OR-1", "item": "ITM-1002", "lot": number, "on_hand": 3, "changed_at": NOW}
    used: dict[str, Any] = {"id": f"use-{number}", "facility": "NGH", "source": "OR", "number": number, "kind": "use"}
    used |= {"state": "posted", "location": "OR-1", "item": "ITM-1002", "lot": number, "procedure": f"p-{number}"}
    used |= {"quantity": 1, "content": {}, "used_at": NOW, "at": NOW, "changed_at": NOW}
    async with wiring.database.begin() as connection:
        await connection.execute(insert(stock_balances).values(held))
        await connection.execute(insert(usage_events).values(used))


def notice(path: Path, number: str) -> str:
    scope = {"item": "ITM-1002", "lot_from": number}
    letter = {"number": number, "classification": "I", "product": "Suture", "scopes": [scope]}
    path.write_text(json.dumps(letter), encoding="utf-8")
    return str(path)


async def blocked(wiring: Wiring, number: str) -> list[bool]:
    async with wiring.database.begin() as connection:
        return list(await connection.scalars(select(recall_blocks.c.active).where(recall_blocks.c.recall == number)))


async def materials(fascia: Fascia, path: Path) -> None:
    """Whoever gives these commands answers for stock from now on."""
    person = build.employee("E-ME", "manager", "buyer", "finance", "materials", os_user=login())
    path.write_text(json.dumps([person.model_dump(mode="json", exclude_defaults=True)]), encoding="utf-8")
    loaded = await fascia("register", "load", str(path), "--facility", "NGH", "--source", "hospital")
    assert loaded.code == 0, loaded.err


async def goes_on(fascia: Fascia, case: str) -> None:
    """Wait until a case that was stopped is shown to run again."""
    async with asyncio.timeout(PATIENCE):
        while (await fascia("case", "show", case, "--json")).json["stopped"]:
            await asyncio.sleep(0.2)


async def test_a_recall_is_loaded_answered_closed_and_lifted(
    fascia: Fascia,
    hospital: None,
    outside: Outside,
    wiring: Wiring,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = build.unique("Z")
    await shelf(wiring, number)
    path = notice(tmp_path / "letter.json", number)
    seen = (await fascia("recall", "load", path, "--dry-run", "--json")).json["items"][0]
    assert (seen["locations"], seen["units"], seen["procedures"]) == (1, 3, 1) and await blocked(wiring, number) == []
    told = (await fascia("recall", "load", path, "--json")).json["items"][0]
    assert (told["outcome"], told["state"], told["locations"], told["procedures"]) == ("new", "open", 1, 1)
    assert await blocked(wiring, number) == [True]  # before its case has begun
    wakes = RecallWakes(wiring.stock.recalls, wiring.stock.recall_engine)
    await wakes.once()
    await until(fascia, f"recall/{number}", "2 of 2 tasks open")
    shown = (await fascia("recall", "show", number, "--json")).json
    tasks = {task["kind"]: task["id"] for task in shown["tasks"]}
    answer = (
        "recall",
        "answer",
        number,
        tasks["location"],
        "quarantined",
        "--found",
        "3",
        "--reason",
        "in the cage: canary",
    )
    refused = await fascia(*answer)
    assert refused.code == 4 and "admin, materials" in refused.err, refused.err
    await materials(fascia, tmp_path / "employees.json")
    for _ in range(2):
        taken = await fascia(*answer, "--id", f"once-{number}", "--json")
        assert taken.code == 0 and taken.json["message"] == "quarantined (3)", taken.out + taken.err
    assert (await fascia("recall", "close", number, "--reason", "done")).code == 5
    by_procedure = ("recall", "answer", number, tasks["procedure"], "clinician-informed")
    machine = await fascia("key", "add", "desk", "--facility", "NGH", "--json")
    person = await fascia("key", "add", "E-ME", "--facility", "NGH", "--person", "E-ME", "--json")
    monkeypatch.setenv("FASCIA_API_KEY", machine.json["secret"])
    refused = await fascia(*by_procedure)
    assert refused.code == 4 and "no person" in refused.err, refused.err
    monkeypatch.setenv("FASCIA_API_KEY", person.json["secret"])  # decides as the key's person, not as the login
    other = await fascia(*by_procedure)
    assert other.code == 0, other.err
    monkeypatch.delenv("FASCIA_API_KEY")
    shown = (await fascia("recall", "show", number, "--json")).json
    assert {task["answered_by"] for task in shown["tasks"]} == {"E-ME"}
    assert [task["reason"] for task in shown["tasks"] if task["kind"] == "location"] == ["in the cage: canary"]
    assert (await fascia("recall", "close", number, "--reason", "done")).code == 0
    await until(fascia, f"recall/{number}", "closed")
    async with asyncio.timeout(PATIENCE):  # what its case shows last is recorded a moment before its run ends
        await wiring.client.get_workflow_handle(f"recall/{number}").result()
    assert await blocked(wiring, number) == [True]
    lifted = await fascia("recall", "close", number, "--lift", "--reason", "terminated")  # its run has ended
    assert lifted.code == 0 and await blocked(wiring, number) == [False], lifted.err
    history = await wiring.client.get_workflow_handle(f"recall/{number}").fetch_history()
    assert "canary" not in decoded(history)


async def test_a_recall_whose_run_was_stopped_outside_goes_on_by_itself_and_by_resume(
    fascia: Fascia, hospital: None, outside: Outside, wiring: Wiring, tmp_path: Path
) -> None:
    number = build.unique("Z")
    await shelf(wiring, number)
    await fascia("recall", "load", notice(tmp_path / "letter.json", number))
    wakes = RecallWakes(wiring.stock.recalls, wiring.stock.recall_engine)
    await wakes.once()
    case = f"recall/{number}"
    await until(fascia, case, "2 of 2 tasks open")
    handle = wiring.client.get_workflow_handle(case)
    await handle.terminate("somebody did")
    await wiring.cases.mark_stopped(case, "stopped outside", owner="support", next_action="")
    await wakes.once()
    await goes_on(fascia, case)
    first = (await handle.describe()).run_id
    resumed = await fascia("case", "resume", case, "--force", "--reason", "it was stuck", "--json")
    assert resumed.code == 0, resumed.err
    await goes_on(fascia, case)
    assert (await handle.describe()).run_id != first
    unknown = await fascia("recall", "answer", "Z-none", "t1", "returned", "--found", "1")
    assert unknown.code == 3
