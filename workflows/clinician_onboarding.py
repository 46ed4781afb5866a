"""A clinician's case at one facility, from an accepted offer to the day all access is back: it keeps the clocks and hears people.

What is known of the person stays in our own store; the case holds keys, codes and dates. It writes no other system: what the
person may reach follows from how the case stands, and is written by the one case of their access. What is to be verified is asked
beside the case, so that a source that does not answer keeps nobody from being heard.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from activities.onboarding import OnboardingActivities
    from activities.verification import VerificationActivities
    from canonical.calendar import BusinessCalendar
    from canonical.cases import Answer, Attention, CaseStatus, LineState, State
    from canonical.credentials import CheckDue
    from canonical.onboarding import (
        CheckAsked,
        Facet,
        OnboardingStanding,
        PersonAsked,
        PersonWord,
        PersonWordGiven,
    )
    from canonical.people import PersonCase
    from workflows.case import CaseWorkflow, refusal
    from workflows.policies import own_store

Model = TypeVar("Model", bound=BaseModel)

VERIFICATION = "verification"  # the task queue of sources that verify
CHECK_AT_MOST, CHECK_BEATS = timedelta(minutes=5), timedelta(minutes=1)
REFUSED_AGAIN = timedelta(hours=1)
# A source may be away for days: asked again ever more seldom, and never given up.
_SOURCE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=10))

STATES = {
    "offer accepted": State.RECEIVED,
    "provisional": State.VALIDATED,
    "in verification": State.ENRICHED,
    "committee pending": State.SUBMITTED,
    "temporary privileges": State.ACKNOWLEDGED,
    "privileged": State.POSTED,
    "suspended": State.ACKNOWLEDGED,
    "active": State.RECONCILED,
    "terminated": State.RECONCILED,
    "withdrawn": State.FAILED,
}
NEXT = {
    "in verification": "answer its tasks: fascia clinician show",
    "committee pending": "two of the committee decide: fascia clinician approve or reject",
    "temporary privileges": "two of the committee decide before they end: fascia clinician approve or reject",
    "suspended": "mend what stops them, or fascia clinician reinstate",
}
REFUSED = {
    "not-allowed": "NotAllowed",
    "not-found": "NotFound",
    "not-open": "NotOpen",
    "data-invalid": "Malformed",
    "data-missing": "Malformed",
}


@workflow.defn(name="ClinicianOnboarding")
class ClinicianOnboarding(CaseWorkflow):
    """One person at one facility. Its id is ``clinician_onboarding/<facility>/<person>``."""

    process = "clinician_onboarding"

    def __init__(self) -> None:
        super().__init__()
        self.person = ""
        self._standing = OnboardingStanding(known=False)
        self._told = ""
        self._checks: dict[tuple[str, datetime | None], asyncio.Task[None]] = {}
        self._asking_again: dict[tuple[str, datetime | None], asyncio.Task[None]] = {}
        self._ended_outside = False

    @workflow.run
    async def run(self, raw: RawValue) -> CaseStatus:
        """The process as one reads it."""
        return await self._lived(self._live(raw))

    async def _live(self, raw: RawValue) -> CaseStatus:
        self._begin(_read(PersonCase, raw.payload.data))
        while not self._ended_outside:
            seen = self._stirred
            asked = PersonAsked(facility=self.facility, person=self.person, as_of=workflow.now())
            self._standing = await own_store(OnboardingActivities.person_standing, asked, "how the case stands")
            if not self._standing.known:
                break
            self._ask_sources()
            self._say_how_it_stands()
            over = self._standing.finished
            await self._record(closed=over)
            if over or workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                if self._stirred == seen:  # else somebody has said something meanwhile
                    await self._stop_asking()
                    if over:
                        break
                    workflow.continue_as_new(self._carried_start())
                continue
            await self._stir(seen, self._standing.next_at, "a date of the case comes")
        await self._stop_asking()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status(closed=self._standing.finished)

    def _begin(self, start: PersonCase) -> None:
        if start.case_id != self.case:
            raise ApplicationError(f"{self.case} is not the case of this person", type="Misnamed", non_retryable=True)
        self.facility, self.person = start.facility, start.person
        self.generation, self.revision, self._told = start.generation, start.revision, start.told
        self._parked_before = list(start.parked)
        self._ready = True

    # -- what is verified, beside the case ---------------------------------------------------------------------------

    def _ask_sources(self) -> None:
        """Have everything verified that is due and is not being asked; each asking once.

        While a source is away, what is due anew each day waits for the asking that is under way.
        """
        for check in self._standing.checks:
            key = (check.name, check.since)
            if key in self._checks:
                continue
            under_way = any(name == check.name and not task.done() for (name, _), task in self._checks.items())
            if under_way and workflow.patched("one-asking-at-a-time"):
                continue
            self._checks[key] = asyncio.create_task(self._verify(check))

    async def _verify(self, check: CheckDue) -> None:
        asked = CheckAsked(
            facility=self.facility, person=self.person, kind=check.kind, subject=check.subject, as_of=workflow.now()
        )
        name = f"verify/{check.name}"
        try:
            await workflow.execute_activity_method(
                VerificationActivities.verify,
                asked,
                task_queue=VERIFICATION,
                start_to_close_timeout=CHECK_AT_MOST,
                heartbeat_timeout=CHECK_BEATS,  # of a worker that died
                retry_policy=_SOURCE,
                summary=f"verify {check.name}",
            )
            self._unpark(document=name)
        except ActivityError as failed:
            reason = f"{check.name} cannot be verified: {refusal(failed)}"
            self._park(Attention(kind="partner-rejected", reason=reason, document=name))
            key = (check.name, check.since)
            if workflow.patched("a-refused-check-is-asked-again"):
                self._asking_again[key] = asyncio.create_task(self._ask_again(key))
        self._stirred += 1

    async def _ask_again(self, key: tuple[str, datetime | None]) -> None:
        """Whoever mends what a source refused us for (its address, its token) need not tell every case that waits for it."""
        await workflow.sleep(REFUSED_AGAIN, summary=f"before {key[0]} is asked again")
        self._checks.pop(key, None)
        del self._asking_again[key]
        self._stirred += 1

    async def _stop_asking(self) -> None:
        """What is still asked is asked again by a successor, or by nobody."""
        tasks = (*self._checks.values(), *self._asking_again.values())
        asking = [task for task in tasks if not task.done()]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    # -- how it stands -------------------------------------------------------------------------------------------------

    def _say_how_it_stands(self) -> None:
        now = self._standing
        self.policy = None
        self.headline = f"Clinician ({now.role or 'no role'}) at {self.facility}: {now.headline}"
        lines = [_line(facet) for facet in now.facets]
        if lines != self.lines:
            self.lines, self._dirty = lines, True
        self._attend("tasks", self._waiting())
        self._attend("stopped", f"nothing clinical may be done: {', '.join(now.stopped)}" if now.stopped else "")
        for facet in now.facets:
            if facet.name in ("access", "payroll", "scheduling"):
                refused = facet.stops or facet.state == "waiting"
                self._attend(facet.name, f"{facet.name}: {facet.reason}" if refused else "")
        owner = next((facet.owner for facet in now.facets if facet.owner), "")
        due = min((facet.due for facet in now.facets if facet.owner and facet.due), default=None)
        shown = (now.headline, owner, due)
        if (self.business_state, self.owner, self.due) != shown:
            next_action = NEXT.get(now.headline, "")
            self._say(now.headline, state=STATES.get(now.headline), owner=owner, due=due, next_action=next_action)
        if now.headline != self._told:
            self._tell_headline()
        if now.finished:
            self._tell("onboarding.closed", workflow.now().isoformat())

    def _tell_headline(self) -> None:
        now = self._standing
        key = f"{now.headline}/{workflow.now().isoformat()}"
        stopped = " ".join(one.replace(": ", "=") for one in now.stopped)
        back = "true" if now.taken_back else "false"
        if self._told:
            self._tell("onboarding.changed", key, before=self._told, stopped=stopped, taken_back=back)
        else:
            self._tell("onboarding.opened", key, before="", stopped=stopped, taken_back=back)
        self._told = now.headline

    def _waiting(self) -> str:
        now = self._standing
        if not now.open_tasks:
            return ""
        late = f", {now.overdue} of them overdue" if now.overdue else ""
        return f"{now.open_tasks} tasks wait for people{late}"

    def _attend(self, document: str, reason: str) -> None:
        """Show what needs a person, or that it no longer does; its clock goes on while it is the same thing."""
        known = next((one for one in self.attention if one.document == document), None)
        if not reason:
            if known is not None:
                self._unpark(document=document)
        elif known is None:
            self._park(Attention(kind="onboarding", reason=reason, document=document))
        elif known.reason != reason:
            self.attention[self.attention.index(known)] = known.model_copy(update={"reason": reason})
            self._dirty = True

    # -- reminders: at half of the time a task has, then (escalated) each time as long again ---------------------------

    @property
    def _remind_every(self) -> timedelta:
        policy = self._standing.policy
        return timedelta(days=policy.task_days if policy else 14) / 2

    def _calendar(self) -> BusinessCalendar:
        return BusinessCalendar()  # its clocks are days of the calendar

    def _tell_overdue(self, key: str, data: dict[str, str]) -> None:
        self._tell("onboarding.attention_overdue", key, **data)

    def _tell(self, event: str, key: str, /, **data: str) -> None:
        now = self._standing
        about = {"person": self.person, "headline": now.headline, "role": now.role}
        about |= {"department": now.department, "cost_centre": now.cost_centre}
        self._publish(event, key, about | data)

    # -- a person's word -----------------------------------------------------------------------------------------------

    @workflow.update(name="say")
    async def say(self, raw: RawValue) -> Answer:
        """A person's word: evidence, privileges, suspension, leaving. Once under its id."""
        word = _read(PersonWord, raw.payload.data)
        await workflow.wait_condition(lambda: self._ready)
        given = PersonWordGiven(facility=self.facility, person=self.person, word=word, as_of=workflow.now())
        taken = await own_store(OnboardingActivities.take_person_word, given, f"word: {word.verb}")
        if not taken.taken:
            raise ApplicationError(taken.message, type=REFUSED.get(taken.code, "Rejected"))
        about = word.privilege or word.check or word.task
        self._decided.append(f"{word.verb}{f' {about}' if about else ''}: {taken.message}")
        self._dirty = True
        self._stirred += 1
        return Answer(taken=True, message=taken.message, business_state=self.business_state, revision=self.revision)

    @say.validator
    def _may_say(self, raw: RawValue) -> None:
        _read(PersonWord, raw.payload.data)

    def _carried(self) -> str:
        return self._carried_start().model_dump_json()

    def _carried_start(self) -> PersonCase:
        return PersonCase(
            facility=self.facility,
            person=self.person,
            generation=self.generation,
            revision=self.revision,
            told=self._told,
            parked=tuple(self.attention),
        )

    def _give_up(self, reason: str) -> None:
        """Nobody leaves or loses access by Temporal's tools: only this run ends, and the next wake begins another."""
        self._ended_outside = True

    def _giving_up(self) -> bool:
        return self._ended_outside


def _line(facet: Facet) -> LineState:
    words = f"{facet.state}: {facet.reason}" if facet.reason else facet.state
    due = f"{facet.due:%Y-%m-%d}" if facet.due else ""
    return LineState(line=facet.name, item=facet.owner, state=words[:300], expected=due)


def _read(model: type[Model], data: bytes) -> Model:
    """What was sent, read strictly as to its fields.

    Raises:
        ApplicationError: (Malformed) what does not fit and where, never the value.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError as wrong:
        first: Any = wrong.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or "document"
        raise ApplicationError(f"{path}: {first['msg']}", type="Malformed", non_retryable=True) from None
