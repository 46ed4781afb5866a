"""A real PostgreSQL and a real Temporal with the real processes, for the commands; only ERP and suppliers are played."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from activities.erp import ErpActivities
from activities.supplier import SupplierActivities
from canonical.base import Canonical
from canonical.parties import CostCentre, Location, Supplier
from canonical.supply import Item
from cli.app import run
from cli.ours import login
from stack.supervisor import Stack, running
from store import migrate
from store.database import open_engine
from tests import build
from tests.cli.conftest import Ended
from tests.workflows.outside import Outside
from workers.failures import Failures
from workers.temporal import ERP, SUPPLIER, serving, steps_of
from workers.wiring import Wiring, wired

OF_THE_ERP: dict[type[Canonical], str] = {
    Item: "items",
    Supplier: "suppliers",
    CostCentre: "cost_centres",
    Location: "locations",
}


OF_THE_HOSPITAL = {
    "Facility": "facilities",
    "Department": "departments",
    "Partner": "partners",
    "Policy": "policies",
    "ContractPrice": "contract_prices",
    "Employee": "employees",
}


PATIENCE = 150.0


@pytest.fixture(scope="package")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """PostgreSQL and Temporal of our own, with our tables."""
    async with running(tmp_path_factory.mktemp("commands"), ("database", "temporal")) as made:
        engine = open_engine(made.settings.database_url.get_secret_value())
        await migrate.upgrade(engine)
        await engine.dispose()
        made.settings.secret_path("seal_key").write_text("a seal key of the tests\n")
        yield made


@pytest.fixture(scope="package")
async def wiring(stack: Stack) -> AsyncIterator[Wiring]:
    """The platform as our processes see it."""
    async with wired(stack.settings, lazy=False) as made:
        yield made


@pytest.fixture(scope="package")
async def outside(wiring: Wiring) -> AsyncIterator[Outside]:
    """Workers at work, with an ERP and suppliers that do as they are asked."""
    played = Outside()
    steps = {
        **wiring.steps(),
        ERP: steps_of([ErpActivities(lambda _: played)]),
        SUPPLIER: steps_of([SupplierActivities(lambda _: played, wiring.register)]),
    }
    async with serving(
        wiring.client,
        wiring.settings,
        workflows=wiring.workflows(),
        steps=steps,
        interceptors=[Failures(wiring.cases.trouble)],
    ):
        yield played


@pytest.fixture
def fascia(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[Ended]]:
    """Give a command, as one does in a shell on this machine."""
    monkeypatch.setenv("FASCIA_HOME", str(stack.home.path))
    monkeypatch.delenv("FASCIA_API_KEY", raising=False)

    def give(arguments: tuple[str, ...]) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
        return Ended(code, out.getvalue(), err.getvalue())

    async def given(*arguments: str) -> Ended:
        return await asyncio.to_thread(give, arguments)

    return given


Fascia = Callable[..., Awaitable[Ended]]


@pytest.fixture
async def hospital(fascia: Fascia, tmp_path: Path) -> None:
    """The register, loaded by our own commands from files; the shell login is a manager and a buyer."""
    erp, own = tmp_path / "erp", tmp_path / "own"
    erp.mkdir()
    own.mkdir()
    records = [*build.hospital(), build.employee("E-ME", "manager", "buyer", "finance", os_user=login())]
    for record in records:
        name = OF_THE_ERP.get(type(record))
        _add(erp / f"{name}.json" if name else own / f"{OF_THE_HOSPITAL[type(record).__name__]}.json", record)
    for folder, source in ((erp, "erp"), (own, "hospital")):
        loaded = await fascia("register", "load", str(folder), "--facility", "NGH", "--source", source, "--json")
        assert loaded.code == 0, loaded.out + loaded.err


def _add(file: Path, record: Canonical) -> None:
    held = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps([*held, json.loads(record.model_dump_json(exclude_defaults=True))]))


async def until(fascia: Fascia, case: str, *states: str) -> dict[str, Any]:
    """Wait until a case is in one of these states."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = await fascia("case", "show", case, "--json")
            if shown.code == 0 and (shown.json["business_state"] in states or shown.json["stopped"] in states):
                found: dict[str, Any] = shown.json
                return found
            await asyncio.sleep(0.2)


async def until_generation(fascia: Fascia, generation: int, *cases: str) -> None:
    """Wait until a successor of each case has said its first word."""
    for case in cases:
        async with asyncio.timeout(PATIENCE):
            while True:
                shown = (await fascia("case", "show", case, "--json")).json
                if shown["changes"][-1]["generation"] == generation and not shown["stopped"]:
                    break
                await asyncio.sleep(0.2)


async def ordered(fascia: Fascia, number: str) -> str:
    """The case of the one order a requisition became."""
    made = await until(fascia, number, "ordered")
    return f"purchase_order/NGH/{made['lines'][0]['order']}"


async def start(wiring: Wiring, *lines: Any) -> tuple[str, str]:
    """A requisition comes in, as over a door; its case and number."""
    requisition = build.requisition(*lines)
    data = requisition.model_dump_json().encode()
    await wiring.engine.start_requisition(requisition.case_id, data)
    return requisition.case_id, requisition.number
