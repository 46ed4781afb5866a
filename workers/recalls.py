"""Recalls in Temporal: a case is woken, or begun, under its number; a person's word begins it where its run has ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.client import Client, RPCTimeoutOrCancelledError, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from canonical.cases import Answer
from canonical.errors import Rejected, Unavailable
from canonical.recall import RecallStart, RecallWord
from workers import namespace
from workers.settings import Settings
from workers.temporal import DECISION_WAIT, NOT_ANSWERED, PROCESSES, REFUSALS, SIGNAL_WAIT, heard_out

PROCESS = "Recall"
AWAY = (RPCError, RPCTimeoutOrCancelledError, RuntimeError)


class RecallEngine:
    """The cases of recalls, as the loop and the doors reach them."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings

    async def wake(self, number: str) -> None:
        """Let a recall's case look again; begun where none runs.

        Raises:
            Unavailable: Temporal does not answer; safe to repeat.
        """
        start = RecallStart(number=number)
        try:
            await self._client.start_workflow(
                PROCESS, start, start_signal="look_again", start_signal_args=[{}], rpc_timeout=timedelta(seconds=SIGNAL_WAIT),
                **self._how(start),
            )  # fmt: skip
        except AWAY as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away

    async def give(self, number: str, word: RecallWord) -> Answer:
        """Give a word under its own id, so that a repeat is answered, not carried out again.

        Raises:
            Rejected: the case refuses it, with the reason.
            Unavailable: no answer; the word may still be taken, and is safe to repeat.
        """
        start = RecallStart(number=number)
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(PROCESS, start, **self._how(start))
        try:
            answer: Answer = await self._client.execute_update_with_start_workflow(
                "answer",
                word,
                id=word.id,
                result_type=Answer,
                start_workflow_operation=operation,
                rpc_timeout=timedelta(seconds=DECISION_WAIT),
            )
        except WorkflowUpdateFailedError as refused:
            cause = refused.cause
            if not isinstance(cause, ApplicationError):
                raise Rejected("the case refused this word", code="decision-refused") from refused
            raise Rejected(cause.message, code=REFUSALS.get(cause.type or "", "decision-refused")) from refused
        except AWAY as away:
            await heard_out(operation)
            raise Unavailable(NOT_ANSWERED, system="temporal") from away
        return answer

    def _how(self, start: RecallStart) -> dict[str, Any]:
        return {
            "id": start.case_id,
            "task_queue": PROCESSES,
            "task_timeout": timedelta(seconds=self._settings.task_timeout),
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "static_summary": f"Recall {start.number}"[:200],
            "search_attributes": TypedSearchAttributes(
                [SearchAttributePair(namespace.PROCESS, "recall"), SearchAttributePair(namespace.STATE, "received")]
            ),
        }
