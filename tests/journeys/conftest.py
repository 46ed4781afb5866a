"""The whole hospital, once for all journeys: real stack, real ERP, real partner mailboxes; reached through users' doors only."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from temporalio.client import Client

from demo.stage import ERP, Stage, staged
from demo.story_doors import Doors
from demo.story_outside import Ending, Outside
from demo.story_scene import Scene
from tests.journeys.line import Line, free_port

SHORT = {
    "FASCIA_ERP_TIMEOUT": "4",
    "FASCIA_STEP_TIMEOUT": "8",
    "FASCIA_STICKY_TIMEOUT": "1",
    "FASCIA_TASK_TIMEOUT": "3",
}
_tags = itertools.count(1)


@dataclass
class Hospital:
    """The stage, its doors, and the wire between workers and ERP."""

    stage: Stage
    doors: Doors
    outside: Outside
    erp_line: Line

    def scene(self) -> Scene:
        """A scene of its own, under a number nobody else has."""
        return Scene(self.stage, self.doors, self.outside, f"T{next(_tags):03d}")

    async def counts(self, scene: Scene) -> Ending:
        """What ERP and suppliers hold of everything the scene asked for."""
        numbers = [order.number for order in await scene.orders()]
        ending, _ = await self.outside.ending("", numbers)
        return ending

    async def everything_once(self, scene: Scene) -> None:
        """Each order of the scene is in the ERP once and with its supplier once, and none is there that nobody asked for."""
        orders = await scene.orders()
        assert orders
        ending = await self.counts(scene)
        assert (ending.purchases, ending.sent) == (len(orders), len(orders)), ending.text()
        assert set((await self.outside.all_orders()).values()) == {1}


@pytest.fixture(scope="session")
async def hospital(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    """Started once; what a test breaks it mends."""
    home = tmp_path_factory.mktemp("hospital")
    line = Line(free_port())
    await line.start()
    said: list[str] = []
    env = {**SHORT, "FASCIA_ERP_URL": f"http://127.0.0.1:{line.port}"}
    async with staged(home, said.append, env=env) as stage:
        line.upstream = int(stage.stack.home.read("ports.json")[ERP])  # asked for again, a port in use would be another
        addresses = stage.stack.addresses
        temporal = await Client.connect(addresses["TEMPORAL_ADDRESS"], namespace=addresses["TEMPORAL_NAMESPACE"])
        doors = Doors(stage.api_url, stage.keys, temporal)
        yield Hospital(stage, doors, Outside(stage.erp, stage.home), line)
        await doors.http.aclose()
    await line.stop()
    await asyncio.sleep(0)
