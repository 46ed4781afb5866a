"""What every case does alike: show how it stands, write it to the read model, wait, and run steps that may be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from canonical.base import Money
    from canonical.cases import Answer, Attention, BusinessEvent, CaseChange, CaseStatus, DocumentRef, LineState, State
    from canonical.parties import Policy
    from workflows.policies import own_store
    from workflows.reminders import Reminded, as_before, in_words

Result = TypeVar("Result")

STATE = SearchAttributeKey.for_keyword("FasciaState")
OWNER = SearchAttributeKey.for_keyword("FasciaOwner")
DUE = SearchAttributeKey.for_datetime("FasciaDue")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("FasciaNeedsAttention")

ANSWERS_CARRIED = 50  # how many answered decisions a successor still knows by their ids


class CaseWorkflow(Reminded):
    """The common part of a process. A process sets ``process`` and says what a successor needs to go on (``_carried``)."""

    process = ""

    def __init__(self) -> None:
        self.case = workflow.info().workflow_id
        self.facility = ""
        self.policy: Policy | None = None
        self.generation = 1
        self.revision = 0
        self.state = State.RECEIVED
        self.business_state = "received"
        self.owner = ""
        self.due: datetime | None = None
        self.next_action = ""
        self.headline = ""
        self.parent = ""
        self.supplier = ""
        self.amount: Money | None = None
        self.held_by: str = ""
        self.attention: list[Attention] = []
        self.lines: list[LineState] = []
        self._answers: dict[str, Answer] = {}
        self._documents: list[DocumentRef] = []
        self._events: list[BusinessEvent] = []
        self._decided: list[str] = []
        self._declined: list[str] = []
        self._unwritten = False  # something for our own store that changes nothing a person decides on
        self._ready = False  # claimed, and what an earlier run left is found: now a person may decide
        self._looking_again = False
        self._dirty = False
        self._numbered = False  # the next record's revision is given already: a decision was answered with it
        self._stirred = 0
        self._shown: tuple[object, ...] = ()
        self._recording = asyncio.Lock()
        self._answered_by_hand: dict[str, str] = {}
        self._refused_steps: set[str] = set()
        self._apart: set[str] = set()  # refused steps the case does not wait for
        self._parked_before: list[Attention] = []  # by an earlier run
        self._armed: datetime | None = None
        self._alarm: asyncio.Task[None] | None = None

    def _carried(self) -> str:
        """What a successor needs to go on from here, as JSON."""
        raise NotImplementedError

    def _give_up(self, reason: str) -> None:
        """Begin to take the case back."""
        raise NotImplementedError

    def _meanwhile(self) -> None:
        """What a process does with news while one of its steps waits for a person."""

    # -- how it stands -------------------------------------------------------------------------------------------

    def _say(
        self,
        business_state: str,
        *,
        state: State | None = None,
        owner: str = "",
        due: datetime | None = None,
        next_action: str = "",
    ) -> None:
        """The case is now in this state, in the words people use."""
        self.business_state, self.owner, self.due, self.next_action = business_state, owner, due, next_action
        if state is not None:
            self.state = state
        self._dirty = True

    def _note(self, document: DocumentRef) -> None:
        """Put a document (or its newer state) on the case."""
        self._documents = [d for d in self._documents if d.name != document.name] + [document]
        self._dirty = True

    def _publish(self, kind: str, key: str, data: dict[str, str]) -> None:
        """A business event for other systems, once under its key."""
        self._events.append(
            BusinessEvent(
                type=f"{kind}.v1",
                key=f"{self.case}/{kind}/{key}",
                case=self.case,
                facility=self.facility or "unknown",
                occurred_at=workflow.now(),
                data=data,
            )
        )
        self._dirty = True

    def _park(self, attention: Attention) -> None:
        """Something needs a person; the same thing is shown once."""
        attention = as_before(attention.model_copy(update={"since": workflow.now()}), self._parked_before)
        self._unpark(line=attention.line, document=attention.document, kind=attention.kind)
        self.attention.append(attention)
        self._dirty = True

    def _unpark(self, *, line: str | None = None, document: str | None = None, kind: str | None = None) -> None:
        before = len(self.attention)
        self.attention = [
            a for a in self.attention if not (a.line == line and a.document == document and kind in (None, a.kind))
        ]
        self._dirty = self._dirty or len(self.attention) != before

    def _lasting_attention(self) -> list[Attention]:
        """What a successor finds parked; a refused step is not of it, since the successor tries the step again."""
        return [a for a in self.attention if a.document not in self._refused_steps]

    def _lasting_answers(self) -> dict[str, Answer]:
        return dict(list(self._answers.items())[-ANSWERS_CARRIED:])

    async def _record(self, *, closed: bool = False) -> None:
        """Write the case to the read model and show it in the Temporal UI; nothing is written when nothing changed."""
        async with self._recording:
            if not self._dirty and not self._unwritten and not closed:
                return
            if self._dirty or closed:  # else what a person saw still stands, and so does its revision
                self.revision += 0 if self._numbered else 1
                self._numbered = False
            self._dirty = self._unwritten = False
            documents, events, decided = tuple(self._documents), tuple(self._events), "; ".join(self._decided)
            declined = "; ".join(self._declined)
            self._documents, self._events, self._decided, self._declined = [], [], [], []
            self._show()
            change = CaseChange(
                case=self.case,
                process=self.process,
                facility=self.facility or "unknown",
                run=workflow.info().run_id,
                generation=self.generation,
                revision=self.revision,
                state=self.state,
                business_state=self.business_state,
                owner=self._answerable,
                due=self.due,
                next_action=self.next_action,
                summary=self.headline,
                parent=self.parent,
                supplier=self.supplier,
                amount=self.amount,
                attention=tuple(self.attention),
                lines=tuple(self.lines),
                documents=documents,
                events=events,
                decision=decided,
                declined=declined,
                carried=self._carried(),
                closed=closed,
                changed_at=workflow.now(),
            )
            await own_store(CaseActivities.record, change, f"record: {self.business_state}"[:120])

    def _show(self) -> None:
        due = f", due {self.due:%Y-%m-%d %H:%M} UTC" if self.due else ""
        lines = [f"**{self.business_state}**{due}", ""]
        if self._answerable:
            lines.append(f"- owner: {self._answerable}")
        if self.next_action:
            lines.append(f"- next: {self.next_action}")
        lines += [f"- needs attention{in_words(parked)}" for parked in self.attention]
        lines += [f"- line {line.line}: {line.state}" for line in self.lines]
        workflow.set_current_details("\n".join(lines)[:8000])
        shown = (self.business_state, self._answerable, self.due, bool(self.attention))
        if shown != self._shown:
            updates: list[SearchAttributeUpdate[Any]] = [
                STATE.value_set(self.business_state),
                OWNER.value_set(self._answerable) if self._answerable else OWNER.value_unset(),
                NEEDS_ATTENTION.value_set(bool(self.attention)),
                DUE.value_set(self.due) if self.due else DUE.value_unset(),
            ]
            workflow.upsert_search_attributes(updates)
            self._shown = shown

    def _status(self, *, closed: bool = False) -> CaseStatus:
        return CaseStatus(
            case=self.case,
            process=self.process,
            state=self.state,
            business_state=self.business_state,
            owner=self._answerable,
            due=self.due,
            next_action=self.next_action,
            revision=self.revision,
            attention=tuple(self.attention),
            lines=tuple(self.lines),
            closed=closed,
        )

    @workflow.query
    def status(self) -> CaseStatus:
        """How the case stands."""
        return self._status()

    @workflow.signal(name="look_again")
    def look_again(self, raw: RawValue) -> None:
        """What this case waits for may have changed outside; it asks again. Whatever else was sent is not looked at."""
        self._looking_again = True
        self._stirred += 1
        self._look_again()

    def _look_again(self) -> None:
        """What a process asks again."""

    # -- living and waiting --------------------------------------------------------------------------------------

    async def _lived(self, life: Coroutine[Any, Any, CaseStatus]) -> CaseStatus:
        """Live to the end. A cancel request by Temporal's tools takes the case back as a person's word does: no step is
        broken off in the middle, since what was half done could not be undone.
        """
        living = asyncio.create_task(life)
        try:
            return await asyncio.shield(living)
        except asyncio.CancelledError:
            if not self._giving_up():
                self._give_up("cancelled in Temporal")
            self._stirred += 1
            await living
            raise

    async def _stir(self, seen: int, until: datetime | None, what: str) -> None:
        """Wait for anything to happen after ``seen``, or for the moment ``until``; remind meanwhile of what is parked.

        One alarm is armed at a time and only ever moved forward: a deadline that moves away costs no event.
        """
        reminder = self._next_reminder()
        if reminder is not None and (until is None or reminder < until):
            until, what = reminder, "somebody answers what is parked"
        if until is not None and (self._armed is None or until < self._armed):
            if self._alarm is not None:
                self._alarm.cancel()
            self._armed = until
            self._alarm = asyncio.create_task(self._ring(until, what))
        await workflow.wait_condition(lambda: self._stirred != seen)
        if reminder is not None:
            self._remind()

    async def _ring(self, until: datetime, what: str) -> None:
        await workflow.sleep(max(until - workflow.now(), timedelta()), summary=what[:120])
        self._armed, self._alarm = None, None
        self._stirred += 1

    async def _not_on_hold(self) -> None:
        """On hold, nothing leaves the house."""
        if not self.held_by or self._giving_up():
            return
        was = (self.business_state, self.owner, self.due, self.next_action)
        self._say("on hold", owner="buyer", next_action="resume when it may go on")
        while self.held_by and not self._giving_up():
            seen = self._stirred
            self._meanwhile()
            await self._record()
            await self._stir(seen, None, "")
        self._say(was[0], owner=was[1], due=was[2], next_action=was[3])

    # -- steps that may be refused -------------------------------------------------------------------------------

    async def _until_done(
        self,
        step: Callable[[], Awaitable[Result]],
        what: str,
        *,
        document: str,
        verbs: tuple[str, ...] = ("retry", "cancel"),
        back: bool = False,
        apart: tuple[str, ...] = (),
        moot: Callable[[], bool] = lambda: False,
    ) -> Result | None:
        """Run a step; when the other side refuses, park the case until a person says what to do.

        Retry runs it again. None comes back when the case is taken back, or the person says accept (settled by hand).
        ``back``: the step undoes something, so there is nothing left to give up and a hold does not stop it.
        ``apart``: the case does not wait; the step is parked by itself with these verbs and None comes back (``_apart``).
        ``moot``: something else comes first now; a step that was refused is left, and None comes back.
        """
        while back or not self._giving_up():
            if not back:
                await self._not_on_hold()
                if self._giving_up():
                    break
            try:
                done = await step()
            except ActivityError as failed:
                reason = f"{what}: {refusal(failed)}"
                if apart and workflow.patched("an-invoice-waits-by-itself"):
                    self._set_apart(reason, document, apart)
                    return None
                if await self._refused(reason, document, verbs, back=back, moot=moot) == "accept" or moot():
                    return None
                continue
            self._parked_before = [a for a in self._parked_before if a.document != document]
            return done
        return None

    def _set_apart(self, reason: str, document: str, verbs: tuple[str, ...], *, kind: str = "partner-rejected") -> None:
        """Park a step by itself: the case goes on with whatever else there is to do."""
        self._answered_by_hand.pop(document, None)
        self._refused_steps.add(document)
        self._apart.add(document)
        self._park(Attention(kind=kind, reason=reason, document=document, verbs=verbs))

    async def _refused(
        self, reason: str, document: str, verbs: tuple[str, ...], *, back: bool, moot: Callable[[], bool]
    ) -> str:
        """Park until a person's word on this document (returned), the case is taken back, or the step is moot."""
        was = (self.business_state, self.owner, self.due, self.next_action)
        self._answered_by_hand.pop(document, None)
        self._refused_steps.add(document)
        self._park(Attention(kind="partner-rejected", reason=reason, document=document, verbs=verbs))
        words = " or ".join(verbs)
        if back:
            self._say("cancelling, needs attention", owner="support", next_action=f"{reason} ({words})")
        else:
            self._say(
                "needs attention", owner="buyer", next_action=f"{reason} (correct what was refused, then {words})"
            )
        await self._heard_of(document, lambda: (not back and self._giving_up()) or moot())
        self._refused_steps.discard(document)
        self._unpark(document=document)
        self._say(was[0], owner=was[1], due=was[2], next_action=was[3])
        return self._answered_by_hand.pop(document, "")

    async def _heard_of(self, document: str, unless: Callable[[], bool]) -> None:
        """Wait for a person's word on a document, taking in meanwhile what comes."""
        while True:
            seen = self._stirred
            self._meanwhile()
            if document in self._answered_by_hand or unless():
                return
            await self._record()
            await self._stir(seen, None, "")


def refusal(failed: ActivityError) -> str:
    """What the other side said, fit to show."""
    cause = failed.cause
    return cause.message if isinstance(cause, ApplicationError) else "the step failed"
