"""The names of people's cases in Temporal: whoever takes one first, by a run that is none of ours, keeps nobody's access on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from canonical.errors import Rejected, Unavailable
from canonical.people_ports import WakeOfPerson
from stack.supervisor import Stack
from tests.build import unique
from workers.people_engine import REVOCATION, PeopleEngine, _failure
from workers.settings import Settings
from workers.temporal import connect

pytestmark = pytest.mark.server


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Client]:
    yield await connect(stack.settings)


@pytest.fixture
def engine(stack: Stack, client: Client) -> PeopleEngine:
    return PeopleEngine(client, stack.settings)


@pytest.fixture
def person() -> str:
    return unique("person-key-")


def _payload(person: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=b'{"person": "%s"}' % person.encode())


async def who_has(client: Client, case: str) -> tuple[str, str, WorkflowExecutionStatus | None]:
    found = await client.get_workflow_handle(case).describe()
    return found.workflow_type, found.task_queue, found.status


OURS = ("ClinicianRevocation", REVOCATION, WorkflowExecutionStatus.RUNNING)


@pytest.mark.parametrize(
    ("kind", "queue", "more"),
    [
        ("ClinicianRevocation", "nobody-serves-this", {}),
        ("ClinicianRevocation", "fascia", {}),
        ("SomethingElse", REVOCATION, {}),
        ("ClinicianRevocation", REVOCATION, {"cron_schedule": "0 0 1 1 *"}),
    ],
    ids=["a-queue-nobody-serves", "another-queue-of-ours", "another-kind", "begins-next-year"],
)
async def test_a_revocation_begins_though_somebody_has_taken_its_name(
    engine: PeopleEngine, client: Client, person: str, kind: str, queue: str, more: dict[str, Any]
) -> None:
    case = f"clinician_revocation/{person}"
    squat = await client.start_workflow(kind, RawValue(_payload(person)), id=case, task_queue=queue, **more)
    await engine.revoke(person, "call-1")
    assert await who_has(client, case) == OURS
    assert (await client.get_workflow_handle(case).describe()).run_id != squat.first_execution_run_id


async def test_a_revocation_of_ours_that_runs_is_woken_and_never_ended(
    engine: PeopleEngine, client: Client, person: str
) -> None:
    await engine.revoke(person, "call-1")
    first = await client.get_workflow_handle(f"clinician_revocation/{person}").describe()
    await engine.revoke(person, "call-2")
    await engine.wake(WakeOfPerson(process="clinician_revocation", person=person), look=True)
    now = await client.get_workflow_handle(f"clinician_revocation/{person}").describe()
    assert now.run_id == first.run_id and now.status is WorkflowExecutionStatus.RUNNING


async def test_a_case_that_never_looks_is_begun_anew_where_a_stranger_has_its_name(
    engine: PeopleEngine, client: Client, person: str
) -> None:
    wake = WakeOfPerson(process="clinician_access", person=person)
    await client.start_workflow(
        "ClinicianAccess", RawValue(_payload(person)), id=f"clinician_access/{person}", task_queue="x"
    )
    await engine.wake(wake)
    assert (await who_has(client, f"clinician_access/{person}"))[1] == "x"
    await engine.wake(wake, look=True)
    assert (await who_has(client, f"clinician_access/{person}"))[1] == "fascia"


async def test_what_temporal_refuses_is_told_apart_from_temporal_being_away(stack: Stack) -> None:
    full = RPCError("exceeded workflow execution limit for signal events", RPCStatusCode.INVALID_ARGUMENT, b"")
    assert type(_failure(full)) is Rejected
    away = Settings.model_validate(stack.settings.model_dump() | {"temporal_address": "127.0.0.1:9"})
    with pytest.raises(Unavailable):
        await PeopleEngine(await connect(away, lazy=True), away).revoke("person-0001", "call-1")
