"""Wakes the case of a stock location in Temporal, and starts it where none runs: one call, and no content but its name."""

from __future__ import annotations

from datetime import timedelta

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowHandle
from temporalio.common import (
    RawValue,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from canonical.cases import CaseStatus
from canonical.errors import Rejected, Unavailable
from canonical.usage import LocationCase
from workers import namespace
from workers.settings import Settings

PROCESS = "ConsumptionToReplenishment"  # started by its name: who wakes need not load the process
QUEUE = "fascia"
RPC = timedelta(seconds=10)


class TemporalWaker:
    """Signals with start."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def wake(self, facility: str, location: str) -> str:
        """Signal the location's case, starting it where none runs; the run that has the signal.

        Raises:
            Unavailable: Temporal does not answer.
            Rejected: it will never take this, or that is no location's name.
        """
        try:
            place = LocationCase(facility=facility, location=location)
        except ValidationError as wrong:
            raise Rejected("that is not the name of a location", code="data-invalid", system="temporal") from wrong
        wire = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=place.model_dump_json().encode()))
        try:
            handle: WorkflowHandle[object, CaseStatus] = await self._client.start_workflow(
                PROCESS,
                wire,
                id=place.case_id,
                task_queue=QUEUE,
                task_timeout=timedelta(seconds=self._settings.task_timeout),
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"Stock of {location} at {facility}"[:200],
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(namespace.PROCESS, "consumption_to_replenishment"),
                        SearchAttributePair(namespace.FACILITY, facility),
                        SearchAttributePair(namespace.STATE, "received"),
                    ]
                ),
                start_signal="wake",
                rpc_timeout=RPC,
            )
        except RPCError as refused:
            if refused.status is RPCStatusCode.INVALID_ARGUMENT:
                raise Rejected(f"Temporal does not take it: {refused.message[:200]}", system="temporal") from refused
            raise Unavailable(
                f"Temporal does not answer ({refused.status.name.lower()})", system="temporal"
            ) from refused
        except (RPCTimeoutOrCancelledError, RuntimeError) as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away
        return handle.result_run_id or handle.first_execution_run_id or ""
