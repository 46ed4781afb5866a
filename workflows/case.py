"""What every case does alike: take decisions, show how it stands, and write it to the read model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.cases import CaseActivities
    from canonical.base import Money
    from canonical.cases import (
        REASON_NEEDED,
        VERBS,
        Answer,
        Attention,
        BusinessEvent,
        CaseChange,
        CaseStatus,
        CheckedDecision,
        Decision,
        DecisionToCheck,
        DocumentRef,
        LineState,
        State,
    )
    from canonical.parties import Policy
    from canonical.steps import UnreadableDecision
    from workflows.policies import own_store

Result = TypeVar("Result")

# Who may give which verb, when the process does not say otherwise (an approval step names its own people).
ROLES = {
    "approve": frozenset({"manager", "director", "vp", "cfo", "capital_committee", "buyer"}),
    "reject": frozenset({"manager", "director", "vp", "cfo", "capital_committee", "buyer"}),
    "correct": frozenset({"buyer", "admin", "requester"}),
    "retry": frozenset({"buyer", "finance", "support", "admin"}),
    "accept": frozenset({"buyer", "finance", "admin"}),
    "refuse": frozenset({"buyer", "finance", "admin"}),
    "short_close": frozenset({"buyer", "admin"}),
    "pay_short": frozenset({"buyer", "finance"}),
    "release": frozenset({"finance"}),
    "confirm_bank": frozenset({"finance"}),
    "resend": frozenset({"buyer", "support", "admin"}),
    "hold": frozenset({"buyer", "finance", "support", "admin", "requester"}),
    "resume": frozenset({"buyer", "finance", "support", "admin", "requester"}),
    "cancel": frozenset({"buyer", "admin", "requester"}),
}
FINAL = frozenset({"closed", "cancelled", "refused", "rejected by supplier", "duplicate", "conflict"})

STATE = SearchAttributeKey.for_keyword("FasciaState")
OWNER = SearchAttributeKey.for_keyword("FasciaOwner")
DUE = SearchAttributeKey.for_datetime("FasciaDue")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("FasciaNeedsAttention")


class CaseWorkflow:
    """The common part of a process. A process sets ``process`` and ``facility`` and implements ``_apply``."""

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
        self._decided = ""
        self._dirty = False
        self._stirred = 0
        self._shown: tuple[object, ...] = ()
        self._recording = asyncio.Lock()
        self._answered_by_hand: dict[str, str] = {}
        self._armed: datetime | None = None
        self._alarm: asyncio.Task[None] | None = None

    # -- what a process says of itself ---------------------------------------------------------------------------

    def _apply(self, checked: CheckedDecision) -> str:
        """Carry a decision out in the case's state and say what was done; raise ApplicationError to refuse it."""
        raise NotImplementedError

    def _open_verbs(self) -> frozenset[str]:
        """The verbs that make sense now, whatever line or document they are about."""
        return (
            frozenset(verb for item in self.attention for verb in item.verbs)
            | {"cancel"}
            | ({"resume"} if self.held_by else {"hold"})
        )

    def _carried(self) -> str:
        """What a successor needs to go on from here, as JSON."""
        return ""

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

    def _tell(self, kind: str, key: str, **data: str) -> None:
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
        attention = attention.model_copy(update={"since": workflow.now()})
        self._unpark(line=attention.line, document=attention.document, kind=attention.kind)
        self.attention.append(attention)
        self._dirty = True

    def _unpark(self, *, line: str | None = None, document: str | None = None, kind: str | None = None) -> None:
        before = len(self.attention)
        self.attention = [
            a for a in self.attention if not (a.line == line and a.document == document and kind in (None, a.kind))
        ]
        self._dirty = self._dirty or len(self.attention) != before

    async def _record(self, *, closed: bool = False) -> None:
        """Write the case to the read model and show it in the Temporal UI; nothing is written when nothing changed."""
        async with self._recording:
            if not self._dirty and not closed:
                return
            self._dirty = False
            self.revision += 1
            documents, events, decided = tuple(self._documents), tuple(self._events), self._decided
            self._documents, self._events, self._decided = [], [], ""
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
                owner=self.owner,
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
                carried=self._carried(),
                closed=closed,
                changed_at=workflow.now(),
            )
            await own_store(CaseActivities.record, change, f"record: {self.business_state}"[:120])

    def _show(self) -> None:
        due = f", due {self.due:%Y-%m-%d %H:%M} UTC" if self.due else ""
        lines = [f"**{self.business_state}**{due}", ""]
        if self.owner:
            lines.append(f"- owner: {self.owner}")
        if self.next_action:
            lines.append(f"- next: {self.next_action}")
        lines += [f"- needs attention{f' (line {a.line})' if a.line else ''}: {a.reason}" for a in self.attention]
        lines += [f"- line {line.line}: {line.state}" for line in self.lines]
        workflow.set_current_details("\n".join(lines)[:8000])
        shown = (self.business_state, self.owner, self.due, bool(self.attention))
        if shown != self._shown:
            updates: list[SearchAttributeUpdate[Any]] = [
                STATE.value_set(self.business_state),
                OWNER.value_set(self.owner) if self.owner else OWNER.value_unset(),
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
            owner=self.owner,
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

    # -- decisions -----------------------------------------------------------------------------------------------

    @workflow.update(name="decide")
    async def decide(self, raw: RawValue) -> Answer:
        """A person's word, answered at once: taken, or why not."""
        decision = _read(raw)
        try:
            return await self._decide(decision)
        except ApplicationError as refused:
            self._decided = f"{decision.verb} refused: {refused.message}"
            self._dirty = True
            self._stirred += 1
            raise

    @decide.validator
    def _may_decide(self, raw: RawValue) -> None:
        decision = _read(raw)
        if decision.id not in self._answers:
            self._fits(decision)

    @workflow.signal(name="decide")
    async def decide_by_signal(self, raw: RawValue) -> None:
        """A person's word by signal, as Temporal's own tools give it: what does not fit is kept with the reason."""
        try:
            decision = _read(raw)
            self._fits(decision)
            await self._decide(decision)
        except ApplicationError as refused:
            kept = UnreadableDecision(case=self.case, data=raw.payload.data, reason=refused.message, at=workflow.now())
            await own_store(CaseActivities.keep_unreadable, kept, "keep a decision that does not fit")
            self._decided = f"decision refused: {refused.message}"
            self._dirty = True
            self._stirred += 1

    def _fits(self, decision: Decision) -> None:
        """Refuse at once what could never be taken: an unknown or closed verb, an old revision, no reason."""
        if decision.verb not in VERBS:
            raise ApplicationError(f"{decision.verb!r} is not a decision; one of {', '.join(VERBS)}", type="Malformed")
        if decision.revision is not None and decision.revision != self.revision:
            raise ApplicationError(
                f"the case has changed since revision {decision.revision}; it is now at {self.revision}: look again",
                type="Changed",
            )
        if decision.verb in REASON_NEEDED and not decision.reason.strip():
            raise ApplicationError(f"{decision.verb} needs a reason", type="Malformed")
        if self.business_state in FINAL:
            raise ApplicationError(f"the case is {self.business_state}: nothing is left to decide", type="NotOpen")
        if decision.verb not in self._open_verbs():
            open_now = ", ".join(sorted(self._open_verbs()))
            raise ApplicationError(f"{decision.verb} is not open now; open are: {open_now}", type="NotOpen")

    async def _decide(self, decision: Decision) -> Answer:
        if decision.id and decision.id in self._answers:
            return self._answers[decision.id]
        request = DecisionToCheck(
            case=self.case, facility=self.facility or "unknown", decision=decision, as_of=workflow.now()
        )
        checked = await own_store(CaseActivities.check_decision, request, f"who decides: {decision.verb}")
        if decision.id and decision.id in self._answers:
            return self._answers[decision.id]
        self._fits(decision)
        self._authorise(checked)
        message = self._apply(checked)
        marked = "" if checked.verified else " (identity not verified)"
        self._decided = f"{decision.verb} by {checked.employee or decision.actor.known_by}{marked}: {message}"
        self._dirty = True
        self._stirred += 1
        answer = Answer(
            taken=True, message=f"{message}{marked}", business_state=self.business_state, revision=self.revision
        )
        if decision.id:
            self._answers[decision.id] = answer
        return answer

    def _authorise(self, checked: CheckedDecision) -> None:
        verb = checked.decision.verb
        if not checked.verified:
            allowed = self.policy.unverified_verbs if self.policy else ()
            if verb not in allowed:
                raise ApplicationError(
                    f"{verb} needs a verified identity: give it through the API or the fascia command",
                    type="NotAllowed",
                )
            return
        if checked.why_not:
            raise ApplicationError(checked.why_not, type="NotAllowed")
        if not self._role_fits(checked):
            raise ApplicationError(
                f"{verb} is not for the roles {', '.join(checked.roles) or 'none'}", type="NotAllowed"
            )

    def _role_fits(self, checked: CheckedDecision) -> bool:
        return bool(ROLES.get(checked.decision.verb, frozenset()) & set(checked.roles))

    # -- waiting -------------------------------------------------------------------------------------------------

    async def _stir(self, seen: int, until: datetime | None, what: str) -> None:
        """Wait for anything to happen after ``seen``, or for the moment ``until``.

        One alarm is armed at a time and only ever moved forward: a deadline that moves away costs no event.
        """
        if until is not None and (self._armed is None or until < self._armed):
            if self._alarm is not None:
                self._alarm.cancel()
            self._armed = until
            self._alarm = asyncio.create_task(self._ring(until, what))
        await workflow.wait_condition(lambda: self._stirred != seen)

    async def _ring(self, until: datetime, what: str) -> None:
        await workflow.sleep(max(until - workflow.now(), timedelta()), summary=what[:120])
        self._armed, self._alarm = None, None
        self._stirred += 1

    # -- steps that may be refused -------------------------------------------------------------------------------

    async def _until_done(
        self,
        step: Callable[[], Awaitable[Result]],
        what: str,
        *,
        document: str,
        verbs: tuple[str, ...] = ("retry", "cancel"),
    ) -> Result | None:
        """Run a step; when the other side refuses, park the case until a person says retry (again) or cancel (None)."""
        while True:
            try:
                done = await step()
            except ActivityError as failed:
                reason = refusal(failed)
                self._park(
                    Attention(kind="partner-rejected", reason=f"{what}: {reason}", document=document, verbs=verbs)
                )
                was = (self.business_state, self.owner, self.due, self.next_action)
                self._say(
                    "needs attention", owner="buyer", next_action="correct what was refused, then retry; or cancel"
                )
                await self._record()
                await workflow.wait_condition(lambda: self._asked_retry(document) or self._giving_up())
                self._unpark(document=document)
                self._say(was[0], owner=was[1], due=was[2], next_action=was[3])
                if self._giving_up():
                    return None
            else:
                return done

    async def _without_giving_up(
        self, step: Callable[[], Awaitable[Result]], what: str, *, document: str
    ) -> Result | None:
        """Like :meth:`_until_done` on the way back, where there is nothing left to give up: retry, or accept (done by hand)."""
        while True:
            try:
                return await step()
            except ActivityError as failed:
                reason = f"{what}: {refusal(failed)}"
                self._park(
                    Attention(kind="partner-rejected", reason=reason, document=document, verbs=("retry", "accept"))
                )
                self._say(
                    "cancelling, needs attention", owner="support", next_action="retry, or accept when done by hand"
                )
                await self._record()
                self._answered_by_hand.pop(document, None)
                await workflow.wait_condition(lambda: document in self._answered_by_hand)
                if self._answered_by_hand.pop(document) == "accept":
                    return None

    def _asked_retry(self, document: str) -> bool:
        """Whether the thing parked under this name was released by a person's retry."""
        return not any(item.document == document for item in self.attention)

    def _giving_up(self) -> bool:
        """Whether a cancellation was decided."""
        return False


def _read(raw: RawValue) -> Decision:
    """A decision from whatever was sent.

    Raises:
        ApplicationError: (Malformed) what does not fit and where.
    """
    try:
        return Decision.model_validate_json(raw.payload.data, extra="forbid")
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or "decision"
        raise ApplicationError(f"{path}: {first['msg']}", type="Malformed") from None


def refusal(failed: ActivityError) -> str:
    """What the other side said, fit to show."""
    cause = failed.cause
    return cause.message if isinstance(cause, ApplicationError) else "the step failed"
