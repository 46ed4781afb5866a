"""A recall, from its notice until each place that held or used what is recalled has answered, and a person closes it.

What is recalled is blocked by the transaction that kept the notice, before this case begins. The case looks for what met it,
keeps the clock of its class (hours on the clock, nights and Sundays too), reminds and escalates, and takes people's words. Its
tasks, of which there may be thousands, stay in our store. What is found later (a late use, stock that comes in) wakes it again,
also once closed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from activities.recalls import RecallActivities
    from canonical.calendar import BusinessCalendar
    from canonical.cases import Answer, Attention, CaseStatus, State
    from canonical.recall import OWNER, RecallAsked, RecallStanding, RecallStart, RecallWord, RecallWordGiven
    from workflows.case import CaseWorkflow
    from workflows.policies import own_store, search_store

Model = TypeVar("Model", bound=BaseModel)

EVERYWHERE = "all"  # the facility of a case that is of all of them; its tasks name theirs
STATES = {"scope": State.RECEIVED, "open": State.SUBMITTED, "answered": State.ACKNOWLEDGED, "closed": State.RECONCILED}
REFUSED = {
    "not-allowed": "NotAllowed",
    "not-found": "NotFound",
    "not-open": "NotOpen",
    "data-invalid": "Malformed",
    "data-missing": "Malformed",
}
NEXT = {
    "scope": "say what the notice means: fascia recall scope",
    "open": "answer its tasks: fascia recall show",
    "answered": "close it when nothing more is to be done: fascia recall close",
}


@workflow.defn(name="Recall")
class RecallCase(CaseWorkflow):
    """One recall. Its id is ``recall/<number>``."""

    process = "recall"

    def __init__(self) -> None:
        super().__init__()
        self.number = ""
        self._standing = RecallStanding(number="", state="unknown")
        self._told_state = ""
        self._ended_outside = False

    @workflow.run
    async def run(self, raw: RawValue) -> CaseStatus:
        """The process as one reads it."""
        return await self._lived(self._live(raw))

    async def _live(self, raw: RawValue) -> CaseStatus:
        self._begin(_read(RecallStart, raw.payload.data))
        look = True
        while not self._ended_outside:
            seen = self._stirred
            await self._look(again=look)
            if self._standing.state == "unknown":
                break
            self._say_how_it_stands()
            closed = self._standing.state == "closed"
            await self._record(closed=closed)
            look, self._looking_again = self._looking_again, False
            if look:
                continue
            if closed or workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                if self._stirred == seen:  # else somebody has said something meanwhile
                    if closed:
                        break
                    workflow.continue_as_new(self._carried_start())
                continue
            await self._stir(seen, self._standing.next_at, "the next task of the recall is due")
            look, self._looking_again = self._looking_again, False
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status(closed=self._standing.state == "closed")

    def _begin(self, start: RecallStart) -> None:
        if start.case_id != self.case:
            raise ApplicationError(f"{self.case} is not the case of this recall", type="Misnamed", non_retryable=True)
        self.number, self.facility = start.number, EVERYWHERE
        self.generation, self.revision = start.generation, start.revision
        self._parked_before = list(start.parked)
        self._ready = True

    async def _look(self, *, again: bool) -> None:
        """How it stands; ``again``: after looking for what was not met before."""
        asked = RecallAsked(number=self.number, as_of=workflow.now())
        if not again:
            self._standing = await own_store(RecallActivities.recall_standing, asked, "how the recall stands")
            return
        self._standing = await search_store(RecallActivities.match_recall, asked, f"who has it: recall {self.number}")
        if self._standing.added:
            added = str(self._standing.added)
            self._tell("recall.opened", f"{self._standing.answered + self._standing.open}", added=added)

    def _say_how_it_stands(self) -> None:
        now = self._standing
        self.headline = now.summary
        self._attend("tasks", "recall", self._waiting())
        self._attend("scope", "data-missing", "parts of the notice are for a person to read" if now.uncertain else "")
        ended = now.terminated and now.state != "closed"
        self._attend("status", "recall", "the FDA has terminated it: close it, or lift the block" if ended else "")
        said = f"{now.open} of {now.open + now.answered} tasks open" if now.state == "open" else now.state
        words = f"{said}, {now.overdue} overdue" if now.overdue else said
        shown = (words, OWNER, now.due)
        if (self.business_state, self.owner, self.due) != shown:
            self._say(words, state=STATES[now.state], owner=OWNER, due=now.due, next_action=NEXT.get(now.state, ""))
        if now.state != self._told_state and now.state == "answered" and now.answered:
            self._tell("recall.answered", f"{now.answered}")
        if now.state != self._told_state and now.state == "closed":
            self._tell("recall.closed", f"{now.answered}", blocked="true" if now.blocked else "false")
        self._told_state = now.state

    def _waiting(self) -> str:
        now = self._standing
        if not now.open:
            return ""
        late = f", {now.overdue} of them overdue" if now.overdue else ""
        return f"{now.open} tasks wait for an answer{late}"

    def _attend(self, document: str, kind: str, reason: str) -> None:
        """Show what needs a person, or that it no longer does; its clock goes on while it is the same thing."""
        known = next((one for one in self.attention if one.document == document), None)
        if not reason:
            if known is not None:
                self._unpark(document=document)
        elif known is None:
            self._park(Attention(kind=kind, reason=reason, document=document))
        elif known.reason != reason:
            self.attention[self.attention.index(known)] = known.model_copy(update={"reason": reason})
            self._dirty = True

    # -- reminders: at half of the clock of its class, then (escalated) each time as long again ------------------------------

    @property
    def _remind_every(self) -> timedelta:
        return timedelta(hours=self._standing.hours) / 2

    def _calendar(self) -> BusinessCalendar:
        return BusinessCalendar()  # around the clock: what harms a patient waits for no office

    def _tell_overdue(self, key: str, data: dict[str, str]) -> None:
        self._tell("recall.attention_overdue", key, **data)

    def _tell(self, event: str, key: str, /, **data: str) -> None:
        now = self._standing
        counts = {name: str(getattr(now, name)) for name in ("open", "answered", "overdue")}
        self._publish(event, key, {"number": self.number, "classification": now.classification} | counts | data)

    # -- a person's word -----------------------------------------------------------------------------------------------------

    @workflow.update(name="answer")
    async def answer(self, raw: RawValue) -> Answer:
        """A person's word: what became of a task, what the notice means, or that it is closed. Once under its id."""
        word = _read(RecallWord, raw.payload.data)
        await workflow.wait_condition(lambda: self._ready)
        given = RecallWordGiven(number=self.number, word=word, as_of=workflow.now())
        taken = await own_store(RecallActivities.take_recall_word, given, f"recall: {word.verb}")
        if not taken.taken:
            raise ApplicationError(taken.message, type=REFUSED.get(taken.code, "Rejected"))
        if word.verb == "scope":
            self._looking_again = True
        about = f" {word.task}" if word.task else ""
        self._decided.append(f"{word.verb}{about}: {taken.message}")
        self._dirty = True
        self._stirred += 1
        state = taken.standing.state if taken.standing else ""
        return Answer(taken=True, message=taken.message, business_state=state, revision=self.revision)

    @answer.validator
    def _may_answer(self, raw: RawValue) -> None:
        _read(RecallWord, raw.payload.data)

    def _carried(self) -> str:
        return self._carried_start().model_dump_json()

    def _carried_start(self) -> RecallStart:
        parked = tuple(self.attention)
        return RecallStart(number=self.number, generation=self.generation, revision=self.revision, parked=parked)

    def _give_up(self, reason: str) -> None:
        """A recall is not taken back by Temporal's tools: only this run ends, and the next wake begins another."""
        self._ended_outside = True

    def _giving_up(self) -> bool:
        return self._ended_outside


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
