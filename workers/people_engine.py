"""The processes about people in Temporal: each is woken, or begun, under its one name; a person's word begins a case too."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from canonical.access import AccessCase, RevocationStart
from canonical.cases import Answer
from canonical.errors import FasciaError, Rejected, Unavailable
from canonical.onboarding import PersonWord
from canonical.people import PersonCase
from canonical.people_ports import WakeOfPerson
from workers import namespace
from workers.settings import Settings
from workers.temporal import DECISION_WAIT, NOT_ANSWERED, PROCESSES, REFUSALS, SIGNAL_WAIT, heard_out

WORKFLOWS: Final = {  # started by name: who wakes them need not load them
    "clinician_onboarding": "ClinicianOnboarding",
    "clinician_access": "ClinicianAccess",
    "clinician_revocation": "ClinicianRevocation",
}
REVOCATION: Final = "revocation"  # a task queue of its own: nobody's access waits for others' work to end
FIRST: Final = Priority(priority_key=1)
CLOCKS_DIFFER: Final = timedelta(minutes=1)
SILENT: Final = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED})
AWAY = (RPCError, RPCTimeoutOrCancelledError, RuntimeError)

log = structlog.get_logger(__name__)
Start = PersonCase | AccessCase | RevocationStart


class PeopleEngine:
    """The cases about people, as loops and doors reach them."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings

    async def wake(self, wake: WakeOfPerson, *, look: bool = False) -> None:
        """Let a case look again; begun where none runs. ``look``: a run that is none of ours under its name is ended first.

        Raises:
            Unavailable: Temporal does not answer; safe to repeat.
            Rejected: Temporal answers, and does not do this.
        """
        start = _start(wake)
        if look:
            await self._end_stranger(wake.process, start)
        await self._begin(wake.process, start)

    async def revoke(self, person: str, call: str) -> None:
        """Begin (or wake) the revocation of a person; the block of this call stands already.

        Raises:
            Unavailable: Temporal does not answer; the loop of wakes begins it.
        """
        start = RevocationStart(person=person, id=call)
        try:
            await self._end_stranger("clinician_revocation", start)
            await self._begin("clinician_revocation", start)
        except Rejected as refused:  # the block stands: whatever is wrong there, the loop tries on
            raise Unavailable(refused.message, system="temporal") from refused

    async def give(self, facility: str, person: str, word: PersonWord) -> Answer:
        """Give a word to a facility's case under its own id, so that a repeat is answered, not carried out again.

        Raises:
            Rejected: the case refuses it, with the reason.
            Unavailable: no answer; the word may still be taken, and is safe to repeat.
        """
        start = PersonCase(facility=facility, person=person)
        how = self._how("clinician_onboarding", start)
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            WORKFLOWS["clinician_onboarding"], start, **how
        )
        try:
            answer: Answer = await self._client.execute_update_with_start_workflow(
                "say",
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
            with suppress(FasciaError):  # that a repeat of it is heard
                await self._end_stranger("clinician_onboarding", start)
            raise Unavailable(NOT_ANSWERED, system="temporal") from away
        return answer

    async def _begin(self, process: str, start: Start) -> None:
        try:
            await self._client.start_workflow(
                WORKFLOWS[process], start, start_signal="look_again", start_signal_args=[{}],
                rpc_timeout=timedelta(seconds=SIGNAL_WAIT), **self._how(process, start),
            )  # fmt: skip
        except AWAY as problem:
            raise _failure(problem) from problem

    async def _end_stranger(self, process: str, start: Start) -> None:
        """Whoever reaches Temporal can take a case's name first, by a run of another kind or queue, or one that begins next year;
        then our signals would go to it for ever. It is ended; what is known stands in our own store.

        Raises:
            Unavailable: Temporal does not answer.
        """
        handle = self._client.get_workflow_handle(start.case_id)
        how, wait = self._how(process, start), timedelta(seconds=SIGNAL_WAIT)
        try:
            found = await handle.describe(rpc_timeout=wait)
            later = found.execution_time is not None and found.execution_time > datetime.now(UTC) + CLOCKS_DIFFER
            same = (found.workflow_type, found.task_queue) == (WORKFLOWS[process], how["task_queue"])
            if found.status is not WorkflowExecutionStatus.RUNNING or (same and not later):
                return
            log.error("a run that is none of ours had a case's name", case=start.case_id, run=found.run_id, alert=True)
            stranger = self._client.get_workflow_handle(start.case_id, run_id=found.run_id)
            await stranger.terminate("it is no case of ours and had the name of one", rpc_timeout=wait)
        except AWAY as problem:
            if not (isinstance(problem, RPCError) and problem.status is RPCStatusCode.NOT_FOUND):
                raise _failure(problem) from problem

    def _how(self, process: str, start: Start) -> dict[str, Any]:
        first = process == "clinician_revocation"
        words = process.replace("_", " ")
        return {
            "id": start.case_id,
            "task_queue": REVOCATION if first else PROCESSES,
            "task_timeout": timedelta(seconds=self._settings.task_timeout),
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "static_summary": f"{words.capitalize()} of {start.person}"[:200],
            "priority": FIRST if first else Priority.default,
            "search_attributes": TypedSearchAttributes(
                [SearchAttributePair(namespace.PROCESS, process), SearchAttributePair(namespace.STATE, "received")]
            ),
        }


def _failure(problem: Exception) -> Unavailable | Rejected:
    """Whether Temporal is away, or answers that it does not do this: a run that holds no more signals, say."""
    if isinstance(problem, RPCError) and problem.status not in SILENT:
        return Rejected(f"Temporal does not do it ({problem.status.name.lower()})", code="not-taken", system="temporal")
    return Unavailable("Temporal does not answer", system="temporal")


def _start(wake: WakeOfPerson) -> Start:
    match wake.process:
        case "clinician_onboarding":
            return PersonCase(facility=wake.facility, person=wake.person)
        case "clinician_access":
            return AccessCase(person=wake.person)
        case "clinician_revocation":
            return RevocationStart(person=wake.person)
    raise Rejected(f"{wake.process} is no process about people", code="configuration")
