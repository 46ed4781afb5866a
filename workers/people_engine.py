"""The processes about people in Temporal: each is woken, or begun, under its one name; a person's word begins a case too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from temporalio.client import Client, RPCTimeoutOrCancelledError, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from canonical.access import AccessCase, RevocationStart
from canonical.cases import Answer
from canonical.errors import Rejected, Unavailable
from canonical.onboarding import PersonWord
from canonical.people import PersonCase
from canonical.people_ports import WakeOfPerson
from workers import namespace
from workers.settings import Settings
from workers.temporal import DECISION_WAIT, NOT_ANSWERED, PROCESSES, REFUSALS, SIGNAL_WAIT

WORKFLOWS: Final = {  # started by name: who wakes them need not load them
    "clinician_onboarding": "ClinicianOnboarding",
    "clinician_access": "ClinicianAccess",
    "clinician_revocation": "ClinicianRevocation",
}
REVOCATION: Final = "revocation"  # a task queue of its own: nobody's access waits for others' work to end
FIRST: Final = Priority(priority_key=1)
AWAY = (RPCError, RPCTimeoutOrCancelledError, RuntimeError)

Start = PersonCase | AccessCase | RevocationStart


class PeopleEngine:
    """The cases about people, as loops and doors reach them."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings

    async def wake(self, wake: WakeOfPerson) -> None:
        """Let a case look again; begun where none runs.

        Raises:
            Unavailable: Temporal does not answer; safe to repeat.
        """
        await self._begin(wake.process, _start(wake))

    async def revoke(self, person: str, call: str) -> None:
        """Begin (or wake) the revocation of a person; the block of this call stands already.

        Raises:
            Unavailable: Temporal does not answer; the loop of wakes begins it.
        """
        await self._begin("clinician_revocation", RevocationStart(person=person, id=call))

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
            raise Unavailable(NOT_ANSWERED, system="temporal") from away
        return answer

    async def _begin(self, process: str, start: Start) -> None:
        try:
            await self._client.start_workflow(
                WORKFLOWS[process], start, start_signal="look_again", start_signal_args=[{}],
                rpc_timeout=timedelta(seconds=SIGNAL_WAIT), **self._how(process, start),
            )  # fmt: skip
        except AWAY as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away

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


def _start(wake: WakeOfPerson) -> Start:
    match wake.process:
        case "clinician_onboarding":
            return PersonCase(facility=wake.facility, person=wake.person)
        case "clinician_access":
            return AccessCase(person=wake.person)
        case "clinician_revocation":
            return RevocationStart(person=wake.person)
    raise Rejected(f"{wake.process} is no process about people", code="configuration")
