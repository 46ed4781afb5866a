"""Drives the case of one clinician in a test: HR speaks, sources answer, people say things, days pass."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from canonical.access import AccessTarget
from canonical.cases import Actor, Answer, CaseChange, CaseStatus
from canonical.credentials import CheckKind, ClinicianRole, Evidence, VerificationSource
from canonical.errors import FasciaError
from canonical.onboarding import PersonWord, TargetStanding
from canonical.people import ClinicianRecord, HrEvent, PersonCase
from tests import build
from tests.decoded import decoded
from tests.fakes.people import FakePeople, Filed
from tests.fakes.store import FakeCases
from tests.store.case_house import CANARY, CLERK, RECORD, SCOPE, SURGEON
from tests.workflows.case import PATIENCE

BY_SOURCES: tuple[CheckKind, ...] = ("npi", "licence", "exclusion", "dea")
__all__ = ["CANARY"]


class Sources:
    """Sources that verify, and the register's rows of them. By default each says yes."""

    def __init__(self) -> None:
        self.says: dict[str, dict[str, Any] | FasciaError] = {}
        self.asked: list[str] = []

    async def verification_sources(self, as_of: date) -> Sequence[VerificationSource]:
        return [VerificationSource(code=kind, kind=kind, adapter="fake") for kind in BY_SOURCES]

    def of(self, source: VerificationSource) -> Source:
        return Source(self, source.kind)


class Source:
    def __init__(self, sources: Sources, kind: CheckKind) -> None:
        self._sources, self._kind = sources, kind

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        assert record.name.family == CANARY, "the step reads who it is from our own store"
        said = self._sources.says.get(self._kind, {})
        self._sources.asked.append(self._kind)
        if isinstance(said, FasciaError):
            raise said
        told = {"state": "confirmed", "source": self._kind, "verified_on": as_of.date()}
        return Evidence.model_validate(told | said)


class Clinician:
    """One clinician's case among fakes."""

    def __init__(self, client: Client, people: FakePeople, cases: FakeCases, sources: Sources) -> None:
        self.client, self.people, self.cases, self.sources = client, people, cases, sources
        self.skipper = TimeSkipper(client)
        self.person = build.unique("person-")
        self.begun = datetime.now(UTC)
        people.roles |= {"surgeon": SURGEON, "clerk": CLERK}
        self.id = PersonCase(facility="NGH", person=self.person).case_id

    @property
    def filed(self) -> Filed:
        return self.people.filed[self.person]

    def event(self, kind: str, **fields: Any) -> HrEvent:
        told: dict[str, Any] = {"facility": "NGH", "source": "HR", "number": build.unique("H"), "person": "4711"}
        told |= {"kind": kind, "said_at": datetime.now(UTC) - timedelta(minutes=1), "effective": self.begun.date()}
        if kind == "hire":
            told |= {"record": RECORD, "position": {"role": "surgeon", "department": "surgery"}}
        return HrEvent.model_validate(told | fields)

    async def hr(self, kind: str, *, skipping: bool = False, **fields: Any) -> None:
        """HR says something of them, and the case is woken."""
        self.people.hear(self.event(kind, **fields), at=datetime.now(UTC) - timedelta(minutes=1), person=self.person)
        await self.wake(skipping=skipping)

    async def hired(self, *, skipping: bool = False, **fields: Any) -> None:
        await self.hr("hire", skipping=skipping, **fields)

    async def wake(self, *, skipping: bool = False) -> None:
        client = self.skipper.client if skipping else self.client
        await client.start_workflow(
            "ClinicianOnboarding", start_signal="look_again", start_signal_args=[{}], **self._how()
        )

    def _how(self) -> Any:
        return {
            "arg": PersonCase(facility="NGH", person=self.person),
            "id": self.id,
            "task_queue": "fascia",
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "result_type": CaseStatus,
        }

    async def say(self, verb: str, by: str = "E-MSO", *, signed: bool = True, **fields: Any) -> Answer:
        """A person's word, as our command gives it: it begins the case where none runs."""
        named = {"id": build.unique("W"), "actor": Actor(id=by, known_by="console"), "verb": verb, "reason": "agreed"}
        word = PersonWord.model_validate(named | fields)
        word = word.sealed("NGH", self.person, build.SEAL_KEY) if signed else word
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "ClinicianOnboarding", **self._how()
        )
        answer: Answer = await self.client.execute_update_with_start_workflow(
            "say", word, id=word.id, result_type=Answer, start_workflow_operation=operation
        )
        return answer

    async def refused(self, verb: str, by: str = "E-MSO", **fields: Any) -> tuple[str, str]:
        with pytest.raises(WorkflowUpdateFailedError) as refusal:
            await self.say(verb, by, **fields)
        cause = refusal.value.cause
        assert isinstance(cause, ApplicationError)
        return cause.type or "", cause.message

    async def by_people(self) -> None:
        """A person verifies what no source answers."""
        for check in ("education", "reference"):
            await self.say("verify", check=check, outcome="confirmed", reference="letter 12", reason="")

    async def ready(self, *, skipping: bool = False) -> str:
        """Hired, verified and put before the committee; gives the name of the privileges."""
        await self.hired(skipping=skipping)
        await self.by_people()
        await self.say("request", scope=SCOPE)
        await self.until("committee pending")
        return next(iter(self.filed.privileges))

    async def privileged(self, *, skipping: bool = False) -> str:
        """All that, and two of the committee said yes."""
        name = await self.ready(skipping=skipping)
        for by in ("E-C1", "E-C2"):
            await self.say("approve", by, privilege=name)
        return name

    def system(self, code: str, kind: str) -> None:
        """A system that is told of people."""
        self.people.systems.append(AccessTarget.model_validate({"code": code, "kind": kind, "adapter": "x"}))

    async def stands_there(self, state: str, *, active: bool = True, reason: str = "") -> None:
        """How every system stands with them now, as the case of their access keeps it."""
        for one in self.people.systems:
            told = TargetStanding.model_validate(
                {"target": one.code, "kind": one.kind, "state": state, "active": active, "reason": reason}
            )
            self.filed.targets[one.code] = told
        await self.wake()

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

    async def side(self, name: str, state: str) -> str:
        """Wait until a facet says so; whose it is."""
        for _ in range(int(PATIENCE / 0.02)):
            change = self.change()
            for line in change.lines if change else ():
                if line.line == name and line.state.startswith(state):
                    return line.item
            await asyncio.sleep(0.02)
        raise AssertionError(f"{name} is not {state}: {self.change()!r}")

    async def attends(self, document: str, reminded: int = 0) -> str:
        """Wait until the read model shows that this needs a person, reminded of so often; the reason."""
        for _ in range(int(PATIENCE / 0.02)):
            change = self.change()
            for one in change.attention if change else ():
                if one.document == document and one.reminded >= reminded:
                    return one.reason
            await asyncio.sleep(0.02)
        raise AssertionError(f"nothing about {document}: {self.change()!r}")

    async def owes(self, kind: str) -> None:
        """Wait until people have a task of this kind."""
        async with asyncio.timeout(PATIENCE):
            while kind not in {one.kind for one in self.filed.tasks.values() if one.state == "open"}:
                await asyncio.sleep(0.02)

    async def asked(self, kind: str, times: int) -> None:
        """Wait until a source was asked so often."""
        async with asyncio.timeout(PATIENCE):
            while self.sources.asked.count(kind) < times:
                await asyncio.sleep(0.02)

    async def run_after(self, before: CaseChange) -> CaseChange:
        """Wait until another run shows the case."""
        async with asyncio.timeout(PATIENCE):
            while (change := self.change()) is None or change.run == before.run:
                await asyncio.sleep(0.02)
        return change

    async def skip(self, duration: timedelta) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.skipper.fast_forward(self.client.get_workflow_handle(self.id), duration)

    def told(self, kind: str) -> list[dict[str, str]]:
        """What other systems were told."""
        return [one.data for one in self.cases.events.values() if one.type == kind]

    async def ended(self) -> CaseStatus:
        handle = self.client.get_workflow_handle(self.id, result_type=CaseStatus)
        async with asyncio.timeout(PATIENCE):
            status: CaseStatus = await handle.result()
        return status

    async def history(self) -> str:
        return decoded(await self.client.get_workflow_handle(self.id).fetch_history())

    async def stop(self) -> None:
        with contextlib.suppress(RPCError):
            await self.client.get_workflow_handle(self.id).terminate("the test is over")
