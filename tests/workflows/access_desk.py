"""One person's access in a test: the store and Temporal are real, the systems that are told are fakes that remember every call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from activities.access import AccessActivities
from activities.cases import CaseActivities
from canonical.access import AccessCase, Block, RevocationStart
from canonical.cases import CaseChange, Trouble
from stack.supervisor import Stack
from store.access_rows import all_targets_in
from store.database import transaction
from store.ids import now
from tests.access_house import AccessHouse
from tests.decoded import decoded
from tests.fakes.register import FakeRegister
from tests.fakes.store import FakeCases
from tests.fakes.targets import FakeTargets
from workers.access_serving import serving_revocations, serving_targets
from workers.failures import Failures
from workers.temporal import serving, steps_of
from workflows.clinician_access import ClinicianAccess

PATIENCE = 150.0


class Desk:
    """One person's access among fakes of targets; the store and Temporal are real."""

    def __init__(self, client: Client, house: AccessHouse, targets: FakeTargets, cases: FakeCases) -> None:
        self.client, self.house, self.targets, self.cases = client, house, targets, cases
        self.steps = AccessActivities(house.access, targets)
        self.patience = PATIENCE

    @property
    def person(self) -> str:
        return self.house.person

    async def wake(self) -> WorkflowHandle[Any, Any]:
        start = AccessCase(person=self.person)
        return await self.client.start_workflow(
            "ClinicianAccess",
            start,
            id=start.case_id,
            task_queue="fascia",
            start_signal="look_again",
            start_signal_args=[{}],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def revoke(self, *, by_door: bool = True, **fields: Any) -> WorkflowHandle[Any, Any]:
        """One call, as a door makes it: the block first."""
        told = {"person": self.person, "by": "E-HR", "reason": "left in anger", "id": f"call-{self.person}"} | fields
        if by_door:
            await self.house.access.block(Block.model_validate(told | {"since": now()}))
        start = RevocationStart.model_validate(told)
        return await self.client.start_workflow(
            "ClinicianRevocation",
            start,
            id=start.case_id,
            task_queue="revocation",
            priority=Priority(priority_key=1),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def until(self, holds: Callable[[], Awaitable[bool] | bool], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + self.patience
        while asyncio.get_running_loop().time() < deadline:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what}: {await self.house.states()}, {self.change()!r}")

    async def until_states(self, **states: str) -> None:
        async def holds() -> bool:
            found = await self.house.states()
            return all(found.get(code) == state for code, state in states.items())

        await self.until(holds, f"not {states}")

    def change(self, process: str = "clinician_revocation") -> CaseChange | None:
        return self.cases.current.get(f"{process}/{self.person}")

    def says(self, words: str, process: str = "clinician_access") -> bool:
        """Whether the case says so, in the words people use."""
        change = self.change(process)
        return change is not None and change.business_state == words

    def run_of(self, process: str) -> str:
        """The run that recorded a case last; empty where none did yet."""
        change = self.change(process)
        return change.run if change is not None else ""

    def told(self, kind: str) -> list[dict[str, str]]:
        return [one.data for one in self.cases.events.values() if one.type == kind]

    async def history(self, handle: WorkflowHandle[Any, Any]) -> str:
        return decoded(await handle.fetch_history())

    async def stop(self) -> None:
        for process in ("clinician_access", "clinician_revocation"):
            with contextlib.suppress(RPCError):
                await self.client.get_workflow_handle(f"{process}/{self.person}").terminate("the test is over")


@asynccontextmanager
async def workers_of(desk: Desk, server: Stack) -> AsyncIterator[None]:
    """Workers as they are served for real."""

    async def trouble(_: Trouble) -> None: ...

    async def rows() -> Any:
        async with transaction(desk.house.engine) as connection:
            return await all_targets_in(connection, now())

    own = steps_of([CaseActivities(desk.cases, FakeRegister())])
    local, heard = [*own, desk.steps.access_standing], [Failures(trouble)]
    async with (
        serving(desk.client, server.settings, workflows=[ClinicianAccess], steps={"fascia": local}, interceptors=heard),
        serving_targets(desk.client, desk.steps, rows, interceptors=heard, look_every=0.5),
        serving_revocations(desk.client, server.settings, desk.steps, own, interceptors=heard),
    ):
        yield
