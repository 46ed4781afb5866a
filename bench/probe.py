"""The probe process: three steps through everything of ours, and the same three steps bare, for an honest ratio.

Steps: validate (local), call an ERP over HTTP (an ordinary activity on the ERP's queue), record (local). ``Probe`` is served
under the name of the real process, so that door, intake, journal, engine, claim and read model are the real ones.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    import httpx
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncEngine

    from activities.cases import CaseActivities
    from canonical.base import Canonical
    from canonical.cases import CaseChange, State
    from canonical.purchasing import Requisition
    from canonical.steps import ClaimRequest
    from workflows.policies import ERP_QUEUE, own_store

BARE, BARE_ERP = "bench_bare", "bench_bare_erp"  # task queues of their own: each side in a worker of its own
TABLE = "create table if not exists bench_bare (number text primary key, lines int, at timestamptz default now())"


class Called(Canonical):
    """What the stub ERP answered."""

    number: str


class CallStep:
    """The call to the ERP, the very same one on both sides."""

    def __init__(self, erp: str) -> None:
        self._http = httpx.AsyncClient(base_url=erp, timeout=10, trust_env=False)

    @activity.defn
    async def stub_erp(self, requisition: Requisition) -> Called:
        answer = await self._http.put(f"/orders/{requisition.number}", content=requisition.model_dump_json())
        answer.raise_for_status()
        return Called(number=answer.text)


class BareSteps:
    """The two local steps with nothing of ours around them: a strict parse, one INSERT."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    @activity.defn
    async def bare_validate(self, requisition: Requisition) -> Requisition:
        return Requisition.model_validate_json(requisition.model_dump_json(), extra="forbid")

    @activity.defn
    async def bare_record(self, requisition: Requisition) -> None:
        async with self._database.begin() as connection:
            await connection.execute(
                text("insert into bench_bare (number, lines) values (:number, :lines) on conflict do nothing"),
                {"number": requisition.number, "lines": len(requisition.lines)},
            )


async def _call(requisition: Requisition, queue: str) -> Called:
    return await workflow.execute_activity_method(
        CallStep.stub_erp, requisition, task_queue=queue, start_to_close_timeout=timedelta(seconds=30)
    )


@workflow.defn(name="Bare")
class Bare:
    """Validate, call, record: nothing else."""

    @workflow.run
    async def run(self, requisition: Requisition) -> str:
        limit: dict[str, Any] = {"start_to_close_timeout": timedelta(seconds=10)}
        read = await workflow.execute_local_activity_method(BareSteps.bare_validate, requisition, **limit)
        called = await _call(read, BARE_ERP)
        await workflow.execute_local_activity_method(BareSteps.bare_record, read, **limit)
        return called.number


@workflow.defn(name="ProcureToPay")
class Probe:
    """Validate and claim, call, record in the read model with lineage and an event: as every process of ours."""

    @workflow.run
    async def run(self, wire: RawValue) -> str:
        info = workflow.info()
        request = ClaimRequest(
            case=info.workflow_id, run=info.first_execution_run_id, data=wire.payload.data, as_of=workflow.now()
        )
        claimed = await own_store(CaseActivities.claim, request, "claim")
        if claimed.requisition is None:
            return claimed.outcome
        called = await _call(claimed.requisition, ERP_QUEUE)
        change = CaseChange(
            case=info.workflow_id,
            process="procure_to_pay",
            facility=claimed.requisition.facility,
            run=info.run_id,
            revision=1,
            state=State.RECONCILED,
            business_state="closed",
            closed=True,
            changed_at=workflow.now(),
        )
        await own_store(CaseActivities.record, change, "record")
        return called.number
