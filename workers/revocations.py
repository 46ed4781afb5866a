"""Revocations in Temporal: begun, or woken, by one call. The block is committed before, so it holds while Temporal is away."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client, RPCTimeoutOrCancelledError
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from canonical.access import RevocationStart
from canonical.errors import Unavailable
from workers import namespace
from workers.settings import Settings
from workers.temporal import SIGNAL_WAIT
from workflows.policies import REVOCATION_QUEUE

PROCESS = "ClinicianRevocation"


class RevocationEngine:
    """The cases of revocations, as the loop and the doors reach them."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings

    async def wake(self, person: str, call: str = "") -> None:
        """Let a revocation go on, begun where none runs; a wake alone blocks nobody.

        Raises:
            Unavailable: Temporal does not answer; safe to repeat, and the loop does.
        """
        start = RevocationStart(person=person, id=call)
        try:
            await self._client.start_workflow(
                PROCESS,
                start,
                id=start.case_id,
                task_queue=REVOCATION_QUEUE,
                priority=Priority(priority_key=1),
                task_timeout=timedelta(seconds=self._settings.task_timeout),
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal="look_again",
                start_signal_args=[{}],
                static_summary=f"Revocation of {person}",
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(namespace.PROCESS, "clinician_revocation"),
                        SearchAttributePair(namespace.STATE, "received"),
                    ]
                ),
                rpc_timeout=timedelta(seconds=SIGNAL_WAIT),
            )
        except (RPCError, RPCTimeoutOrCancelledError, RuntimeError) as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away
