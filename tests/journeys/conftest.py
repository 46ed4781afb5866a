"""The whole hospital, once for all journeys: real stack, real ERP, real partner mailboxes; reached through users' doors only."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from demo.partner_script import SEED
from demo.partner_state import OrderHeld
from demo.stage import ERP, SUPPLIERS, Stage, fascia, mailbox_port, staged
from demo.story_doors import Doors
from demo.story_outside import Ending, Outside
from demo.story_scene import Scene
from tests.journeys.line import Line, free_port

SHORT = {
    "FASCIA_ERP_TIMEOUT": "4",
    "FASCIA_STICKY_TIMEOUT": "1",
    "FASCIA_TASK_TIMEOUT": "3",
    "FASCIA_HR_AWAY_AFTER": "3",
}
STEP_TIMEOUT = 8  # seconds until a step of a killed worker is given to the next
QUICK = {"855": 0.3, "856": 0.3, "810": 0.5}
QUICK_ITEMS = {"ALPINE": ("ALP-ORS-5", "ALP-PAD-M"), "BOREAL": ("BOR-61015",)}
LONGEST_SAID = 2**26  # bytes of what a command prints
LATE = 400.0  # seconds, on a busy machine
HOURS = 6 * 3600  # nobody is reminded, replaced or asked why it takes so long while a test is slow
UNHURRIED = {
    "approval": {"remind_after": HOURS, "substitute_after": HOURS, "escalate_after": HOURS, "emergency_within": HOURS},
    "receipt_within": HOURS,
    "invoice_within": HOURS,
}
_tags = itertools.count(1)


@dataclass
class Hospital:
    """The stage, its doors, and the wires from our programs to the ERP, to HR's own database and to each supplier's mailbox."""

    stage: Stage
    doors: Doors
    outside: Outside
    erp_line: Line
    hr_line: Line  # to HR's own database, on the same server
    shell: asyncio.subprocess.Process  # where people give commands
    supplier_lines: dict[str, Line] = field(default_factory=dict)

    def scene(self) -> Scene:
        """A scene of its own, under a number nobody else has; what a test before it held on a line is let go."""
        for line in (self.erp_line, self.hr_line, *self.supplier_lines.values()):
            line.let_go()
        return Scene(self.stage, self.doors, self.outside, f"T{next(_tags):03d}")

    async def counts(self, scene: Scene) -> Ending:
        """What ERP and suppliers hold of everything the scene asked for, once suppliers have read what they were told of payments.

        An 850 that was put again counts once: under its one number its supplier takes it for the same.
        """
        numbers, give_up = [order.number for order in await scene.orders()], time.monotonic() + LATE
        ending, _ = await self.outside.ending("", numbers)
        while ending.remitted < ending.paid and time.monotonic() < give_up:  # an 820 in a mailbox is not read yet
            await asyncio.sleep(0.5)
            ending, _ = await self.outside.ending("", numbers)
        books = [held for number in numbers if (held := self.outside.held(number)) is not None]
        return replace(ending, times=sum(len(set(held.numbers)) for held in books))

    async def everything_once(self, scene: Scene) -> None:
        """Each order of the scene is in the ERP once and with its supplier once, and none is there that nobody asked for."""
        orders = await scene.orders()
        assert orders
        ending = await self.counts(scene)
        give_up = time.monotonic() + LATE
        while (
            ending.sent < len(orders) and time.monotonic() < give_up
        ):  # it is in the ERP first, then with its supplier
            await asyncio.sleep(0.5)
            ending = await self.counts(scene)
        assert (ending.purchases, ending.sent) == (len(orders), len(orders)), ending.text()
        assert set((await self.outside.all_orders()).values()) == {1}


def sent_once(held: OrderHeld) -> bool:
    """Whether a supplier has an order, under one number: a step that took too long may have put the same file again."""
    return len(set(held.numbers)) == 1


@pytest.fixture(scope="package")
async def hospital(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    """Started once; what a test breaks it mends."""
    home = tmp_path_factory.mktemp("hospital")
    erp, hr = Line(free_port()), Line(free_port())
    suppliers = {supplier: Line(free_port()) for supplier in SUPPLIERS}
    lines = (erp, hr, *suppliers.values())
    await asyncio.gather(*(line.start() for line in lines))
    said: list[str] = []
    asked = {"FASCIA_HR_URL": f"http://127.0.0.1:{hr.port}"}
    env = {**SHORT, **asked, "FASCIA_ERP_URL": f"http://127.0.0.1:{erp.port}"}
    async with staged(home, said.append, env=env, script=_script(tmp_path_factory.mktemp("script"))) as stage:
        stage.stack.publish(**asked)  # for whoever gives a command
        erp.upstream = int(stage.stack.home.read("ports.json")[ERP])  # asked for again, a port in use would be another
        hr.upstream = erp.upstream
        for supplier, line in suppliers.items():
            line.upstream = mailbox_port(stage.stack, supplier)
        await fascia(stage, "register", "load", str(_register(stage, suppliers)))
        addresses = stage.stack.addresses
        temporal = await Client.connect(addresses["TEMPORAL_ADDRESS"], namespace=addresses["TEMPORAL_NAMESPACE"])
        doors = Doors(stage.api_url, stage.keys, temporal)
        pipe = asyncio.subprocess.PIPE
        program = (sys.executable, "-m", "tests.journeys.shell")
        shell = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, limit=LONGEST_SAID)
        yield Hospital(stage, doors, Outside(stage.erp, stage.home), erp, hr, shell, suppliers)
        assert shell.stdin is not None
        shell.stdin.close()  # it ends when nobody can ask it anything any more; communicate() alone leaves it open before 3.12
        await shell.wait()
        await doors.http.aclose()
    await asyncio.gather(*(line.stop() for line in lines))


def _script(folder: Path) -> Path:
    """The story's suppliers, who are quick with a few items."""
    told: dict[str, Any] = json.loads((SEED / "partner_script.json").read_text(encoding="utf-8"))
    for supplier, items in QUICK_ITEMS.items():
        told[supplier]["items"] |= {item: {"times": QUICK} for item in items}
    # It never ships: on a busy machine a change of mind takes its time.
    told["ALPINE"]["items"]["ALP-NDL-21"]["times"]["856"] = HOURS
    path = folder / "partner_script.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def _register(stage: Stage, suppliers: dict[str, Line]) -> Path:
    """What is otherwise than in the story: mailboxes are reached over our lines, a lost step is given up soon, people have time."""
    folder = stage.stack.home.folder("journeys")
    policy = json.loads((SEED / "policy.json").read_text(encoding="utf-8"))
    partners = json.loads((stage.home / "register" / "partner.json").read_text(encoding="utf-8"))
    policy = [row | UNHURRIED | {"step_timeout": STEP_TIMEOUT} for row in policy]
    for row in policy:
        row["payment"] |= {"reconcile_within": HOURS}
    partners = [row | {"mailbox_port": suppliers[row["code"]].port} for row in partners]
    (folder / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
    (folder / "partner.json").write_text(json.dumps(partners), encoding="utf-8")
    return folder
