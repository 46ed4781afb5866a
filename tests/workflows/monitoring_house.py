"""Drives the monthly monitoring in a test: starts it, lets days pass, and looks how far it came."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from canonical.monitoring import MonitoringStart
from tests import build
from tests.fakes.monitoring import FakeEverybody
from tests.fakes.verifiers import FakeVerifier
from tests.workflows.case import PATIENCE


class Monthly:
    """The monthly run among fakes; ``use`` puts everybody behind the workers' steps."""

    def __init__(self, client: Client, use: Any) -> None:
        self.client, self._use = client, use
        self.skipper = TimeSkipper(client)
        self.behind, self.board = FakeEverybody(), FakeVerifier("licence", "IDFPR")
        self._runs: list[str] = []

    def everybody(self, many: int) -> FakeEverybody:
        """So many people with a licence the board has."""
        self.behind = FakeEverybody(many)
        for person in self.behind.people:
            self.board.knows(person)
        self._use(self.behind, self.board)
        return self.behind

    async def start(self, start: Any = None, *, skipping: bool = False) -> str:
        """Start a run; its id."""
        client = self.skipper.client if skipping else self.client
        name = build.unique("clinician_monitoring-")
        await client.start_workflow("ClinicianMonitoring", start or MonitoringStart(), id=name, task_queue="fascia")
        self._runs.append(name)
        return name

    async def run(self) -> MonitoringStart:
        return await self.ended(await self.start())

    async def ended(self, name: str) -> MonitoringStart:
        handle = self.client.get_workflow_handle(name, result_type=MonitoringStart)
        async with asyncio.timeout(PATIENCE):
            ended: MonitoringStart = await handle.result()
        return ended

    async def until(self, name: str, phase: str, **fields: Any) -> MonitoringStart:
        """Wait until it says that it stands so."""
        for _ in range(int(PATIENCE / 0.05)):
            standing: MonitoringStart = await self.client.get_workflow_handle(name).query(
                "standing", result_type=MonitoringStart
            )
            if standing.phase == phase and all(getattr(standing, key) == value for key, value in fields.items()):
                return standing
            await asyncio.sleep(0.05)
        raise AssertionError(f"{name} is not at {phase}: {standing!r}")

    async def skip(self, name: str, duration: timedelta) -> None:
        async with asyncio.timeout(3 * PATIENCE):  # a month has a hundred looks, each with its tasks
            await self.skipper.fast_forward(self.client.get_workflow_handle(name), duration)

    async def stop(self) -> None:
        for name in self._runs:
            with contextlib.suppress(RPCError):
                await self.client.get_workflow_handle(name).terminate("the test is over")
