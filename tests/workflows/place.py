"""Drives one stock location in a test: things are used there, its case is woken, and one looks at what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import RawValue
from temporalio.testing import TimeSkipper

from canonical.base import case_id
from canonical.cases import CaseChange, CaseStatus
from tests import build
from tests.fakes.erp import FakeErp
from tests.fakes.register import FakeRegister
from tests.fakes.rounds import FakeRounds, Shelf
from tests.fakes.store import FakeCases
from tests.workflows.case import PATIENCE
from tests.workflows.ending import ended
from workers.settings import Settings
from workers.usage_waker import TemporalWaker

ITEM = "ITM-1001"


class Place:
    """One location of a hospital of its own; ``skipping``: its case has a clock of its own, which goes on when it waits."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        cases: FakeCases,
        register: FakeRegister,
        book: FakeRounds,
        erp: FakeErp,
        say_no: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.say_no = say_no  # why there is no ERP for anybody; empty: there is one
        self.client, self.cases, self.register, self.book, self.erp = client, cases, register, book, erp
        self.skipper = TimeSkipper(client)
        self.location = build.unique("OR-")
        self.id = case_id("consumption_to_replenishment", build.FACILITY, self.location)
        self.settings = settings.model_copy(update={"task_timeout": 5.0})
        self._uses = 0

    @property
    def shelf(self) -> Shelf:
        return self.book.shelf(self.location)

    @property
    def handle(self) -> WorkflowHandle[Any, CaseStatus]:
        return self.client.get_workflow_handle(self.id, result_type=CaseStatus)

    def use(self, many: int = 1) -> list[str]:
        """So many uses wait."""
        names = [f"E{self._uses + number:06d}" for number in range(1, many + 1)]
        self._uses += many
        self.book.put(self.location, *names)
        return names

    async def wake(self, *, skipping: bool = False) -> str:
        """As the loop does; the run that has the signal."""
        client = self.skipper.client if skipping else self.client
        return await TemporalWaker(client, self.settings).wake(build.FACILITY, self.location)

    async def start_raw(self, data: bytes, *, case: str = "", encoding: str = "json/plain") -> WorkflowHandle[Any, Any]:
        """As anybody does who reaches Temporal."""
        self.id = case or self.id
        wire = RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data))
        return await self.client.start_workflow(
            "ConsumptionToReplenishment",
            wire,
            id=self.id,
            task_queue="fascia",
            result_type=CaseStatus,
            task_timeout=timedelta(seconds=5),
        )

    async def until(self, true: Callable[[], bool], what: str = "") -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not true():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not so: {what}; {self.book.steps[-10:]} {self.shelf!r:.2000}") from None

    async def posted(self, many: int) -> None:
        """Wait until so many uses are recorded, and no more."""
        await self.until(lambda: len(self.book.posted_events) >= many, f"{many} posted")
        assert len(self.book.posted_events) == many == len(set(self.book.posted_events))

    def used(self) -> int:
        """How many the ERP's books say were used here."""
        return self.erp.stock("USED").get((ITEM, ""), 0)

    def rounds(self) -> list[int]:
        """How much each round that was not empty took, in their order."""
        return [len(row.events) for _, row in sorted(self.shelf.rounds.items()) if row.events]

    def change(self) -> CaseChange:
        return self.cases.current[self.id]

    def said(self) -> list[str]:
        return [change.business_state for change in self.cases.changes if change.case == self.id]

    async def result(self) -> CaseStatus:
        async with asyncio.timeout(PATIENCE):
            status: CaseStatus = await self.handle.result()
        return status

    async def until_ended(self) -> None:
        """Wait until no run is under way."""
        async with asyncio.timeout(PATIENCE):
            while (await self.handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                await asyncio.sleep(0.05)

    async def events(self) -> list[str]:
        """What is in the history of the run under way, by kind; but for tasks a busy machine let time out, which cost no more."""
        history, late = await self.handle.fetch_history(), set[int]()
        for event in history.events:
            if event.HasField("workflow_task_timed_out_event_attributes"):
                timed_out = event.workflow_task_timed_out_event_attributes
                late |= {event.event_id, timed_out.scheduled_event_id, timed_out.started_event_id}
        kept = [event for event in history.events if event.event_id not in late]
        return [(event.WhichOneof("attributes") or "").removesuffix("_event_attributes") for event in kept]

    async def failed_tasks(self) -> int:
        return sum(kind == "workflow_task_failed" for kind in await self.events())

    async def stop(self) -> None:
        await ended(self.client, {self.id, *self.cases.current, *self.cases.claims})
