"""The monthly look at everybody, begun by a command on a real PostgreSQL and a real Temporal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cli.ours import login
from tests import build
from tests.cli.on_the_stack.conftest import PATIENCE, Fascia
from tests.workflows.outside import Outside
from workers.wiring import Wiring

pytestmark = pytest.mark.server

RUN = ("monitoring", "run", "--reason", "the board is back")


async def test_a_run_is_begun_by_who_may_noted_and_seen_to_its_end(
    fascia: Fascia, hospital: None, outside: Outside, wiring: Wiring, tmp_path: Path
) -> None:
    refused = await fascia(*RUN)
    assert refused.code == 4 and "medical_staff" in refused.err, refused.err
    person = build.employee("E-ME", "manager", "buyer", "finance", "support", os_user=login())
    path = tmp_path / "employees.json"
    path.write_text(json.dumps([person.model_dump(mode="json", exclude_defaults=True)]), encoding="utf-8")
    loaded = await fascia("register", "load", str(path), "--facility", "NGH", "--source", "hospital")
    assert loaded.code == 0, loaded.err
    missing = await fascia(*RUN)
    assert missing.code == 3 and "no Schedule clinician_monitoring" in missing.err, missing.err
    assert (await fascia("audit", "list", "--about", "clinician_monitoring", "--json")).json["count"] == 0
    await wiring.people.verification.schedule().once()
    try:
        begun = await fascia(*RUN, "--json")
        assert begun.code == 0 and begun.json["by"] == "E-ME", begun.err
        noted = (await fascia("audit", "list", "--about", "clinician_monitoring", "--json")).json["items"]
        assert [(one["verb"], one["reason"]) for one in noted] == [("monitoring run", "the board is back")]
        async with asyncio.timeout(PATIENCE):
            while True:
                runs = (await fascia("monitoring", "list", "--json")).json["items"]
                if runs and runs[0]["ended_at"]:
                    break
                await asyncio.sleep(0.5)
        assert len(runs) == 1 and runs[0]["state"] == "done"
    finally:
        await wiring.client.get_schedule_handle("clinician_monitoring").delete()
