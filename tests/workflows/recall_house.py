"""Drives the case of one recall in a test: wakes it, answers, lets hours pass, and looks at what became of it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from canonical.cases import Actor, Answer, CaseChange, CaseStatus
from canonical.recall import RecallNotice, RecallScope, RecallStart, RecallWord
from tests import build
from tests.fakes.recalls import FakeRecalls
from tests.fakes.store import FakeCases
from tests.workflows.case import PATIENCE


class Recall:
    """One recall's case among fakes."""

    def __init__(self, client: Client, recalls: FakeRecalls, cases: FakeCases) -> None:
        self.client, self.recalls, self.cases = client, recalls, cases
        self.skipper = TimeSkipper(client)
        self.number = build.unique("Z-")
        self.id = RecallStart(number=self.number).case_id

    def notice(self, **fields: Any) -> RecallNotice:
        scope = RecallScope(item="ITM-9001", lot_from="A1")
        told: dict[str, Any] = {"number": self.number, "classification": "II", "product": "Stent", "scopes": (scope,)}
        return RecallNotice.model_validate(told | fields)

    async def opened(self, *places: tuple[str, str, int], skipping: bool = False, **fields: Any) -> None:
        """A notice is kept that met these places, and its case is woken."""
        self.recalls.keep(self.notice(**fields), *places)
        await self.wake(skipping=skipping)

    async def wake(self, *, skipping: bool = False) -> None:
        client = self.skipper.client if skipping else self.client
        await client.start_workflow("Recall", start_signal="look_again", start_signal_args=[{}], **self._how())

    def _how(self) -> Any:
        return {
            "arg": RecallStart(number=self.number),
            "id": self.id,
            "task_queue": "fascia",
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "result_type": CaseStatus,
        }

    async def give(self, verb: str, by: str = "E-MAT", *, signed: bool = True, **fields: Any) -> Answer:
        """A person's word, as our command gives it: it begins the case where none runs."""
        named = {"id": build.unique("W"), "actor": Actor(id=by, known_by="console"), "verb": verb, "reason": "checked"}
        word = RecallWord.model_validate(named | fields)
        word = word.sealed(self.number, build.SEAL_KEY) if signed else word
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation("Recall", **self._how())
        answer: Answer = await self.client.execute_update_with_start_workflow(
            "answer", word, id=word.id, result_type=Answer, start_workflow_operation=operation
        )
        return answer

    async def refused(self, verb: str, **fields: Any) -> tuple[str, str]:
        with pytest.raises(WorkflowUpdateFailedError) as refusal:
            await self.give(verb, **fields)
        cause = refusal.value.cause
        assert isinstance(cause, ApplicationError)
        return cause.type or "", cause.message

    def change(self) -> CaseChange | None:
        return self.cases.current.get(self.id)

    async def until(self, state: str) -> CaseChange:
        """Wait until the read model says so."""
        for _ in range(int(PATIENCE / 0.02)):
            change = self.change()
            if change is not None and change.business_state == state:
                return change
            await asyncio.sleep(0.02)
        raise AssertionError(f"{self.id} is {self.change()!r}, not {state}")

    async def attends(self, document: str, reminded: int = 0) -> str:
        """Wait until the read model shows that this needs a person, reminded of so often; the reason."""
        for _ in range(int(PATIENCE / 0.02)):
            change = self.change()
            for one in change.attention if change else ():
                if one.document == document and one.reminded >= reminded:
                    return one.reason
            await asyncio.sleep(0.02)
        raise AssertionError(f"nothing about {document}: {self.change()!r}")

    async def run_after(self, before: CaseChange | None) -> CaseChange:
        """Wait until another run shows the case."""
        async with asyncio.timeout(PATIENCE):
            while (change := self.change()) is None or (before is not None and change.run == before.run):
                await asyncio.sleep(0.02)
        return change

    async def skip(self, duration: timedelta) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.skipper.fast_forward(self.client.get_workflow_handle(self.id), duration)

    async def told(self, kind: str, count: int) -> list[dict[str, str]]:
        """Wait until other systems were told this so often."""
        async with asyncio.timeout(PATIENCE):
            while len(found := [one.data for one in self.cases.events.values() if one.type == kind]) < count:
                await asyncio.sleep(0.02)
        return found

    async def ended(self) -> CaseStatus:
        handle = self.client.get_workflow_handle(self.id, result_type=CaseStatus)
        async with asyncio.timeout(PATIENCE):
            status: CaseStatus = await handle.result()
        return status

    async def stop(self) -> None:
        with contextlib.suppress(RPCError):
            await self.client.get_workflow_handle(self.id).terminate("the test is over")
