"""A person's word to a case: by update (answered at once) or by signal (kept with the reason where it does not fit)."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.cases import CaseActivities
    from canonical.base import TWICE, given_twice
    from canonical.cases import REASON_KEPT, REASON_NEEDED, VERBS, Answer, CheckedDecision, Decision, DecisionToCheck
    from canonical.steps import UnreadableDecision
    from workflows.case import CaseWorkflow
    from workflows.policies import own_store

# Who may give which verb, when the process does not say otherwise (an approval step names its own people).
ROLES = {
    "approve": frozenset({"manager", "director", "vp", "cfo", "capital_committee", "buyer"}),
    "reject": frozenset({"manager", "director", "vp", "cfo", "capital_committee", "buyer"}),
    "correct": frozenset({"buyer", "admin", "requester"}),
    "retry": frozenset({"buyer", "finance", "support", "admin"}),
    "accept": frozenset({"buyer", "finance", "support", "admin"}),
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
# What support and admin of any facility may do to a case whose own is none of the register's.
FOR_THE_HOUSE = frozenset({"cancel", "correct"})
# What Temporal and other systems are shown of a reason: its words may be anything, and stay in our own store.
CANCELLED, REJECTED = f"cancelled: {REASON_KEPT}", f"rejected: {REASON_KEPT}"
FINAL = frozenset({"closed", "cancelled", "refused", "rejected by supplier", "duplicate", "conflict", "unreadable"})


class DecidedCase(CaseWorkflow):
    """A case people decide about. A process implements ``_apply`` and says which verbs are open."""

    def _apply(self, checked: CheckedDecision) -> str:
        """Carry a decision out in the case's state and say what was done; raise ApplicationError to refuse it."""
        raise NotImplementedError

    def _open_verbs(self) -> frozenset[str]:
        """The verbs that make sense now, whatever line or document they are about."""
        verbs = frozenset(verb for item in self.attention for verb in item.verbs)
        if self._giving_up():
            return verbs - {"cancel"}
        return verbs | {"cancel", "resume" if self.held_by else "hold"}

    def _why_closed(self, verb: str) -> str:
        """Why a verb is closed, where there is more to say than which are open."""
        return ""

    @workflow.update(name="decide")
    async def decide(self, raw: RawValue) -> Answer:
        """A person's word, answered at once: taken, or why not."""
        decision = _read(raw)
        try:
            return await self._decide(decision)
        except ApplicationError as refused:
            self._decline(f"{decision.verb}: {refused.message}", f"{decision.verb} refused: {refused.message}")
            raise

    @decide.validator
    def _may_decide(self, raw: RawValue) -> None:
        decision = _read(raw, strictly=True)  # not on replay: what was taken before stays taken
        if self._ready and decision.id not in self._answers:
            self._fits(decision)

    @workflow.signal(name="decide")
    async def decide_by_signal(self, raw: RawValue) -> None:
        """A person's word by signal, as Temporal's own tools give it: what does not fit is kept with the reason."""
        decision: Decision | None = None
        try:
            decision = _read(raw)
            await self._decide(decision)
        except ApplicationError as refused:
            verb = f"{decision.verb}: " if decision and decision.verb in VERBS else ""
            kept = UnreadableDecision(
                case=self.case,
                data=raw.payload.data,
                reason=f"{verb}{refused.message}",
                at=workflow.now(),
                read=decision is not None,
            )
            await own_store(CaseActivities.keep_unreadable, kept, "keep a decision that does not fit")
            self._decline("", f"decision refused: {refused.message}")  # it is listed as it came

    def _log(self, what: str) -> None:
        self._decided.append(what)
        self._dirty = True
        self._stirred += 1

    def _decline(self, what: str, as_before: str) -> None:
        """Nothing a person decides on has changed: what others have seen they may still decide about.

        ``as_before``: how a run of before wrote it, under a revision of its own, which later decisions of that run have named.
        """
        if not workflow.patched("a-refusal-changes-no-revision"):
            self._log(as_before)
            return
        self._declined += [what] if what else []
        self._unwritten = True
        self._stirred += 1

    def _fits(self, decision: Decision) -> None:
        """Refuse at once what could never be taken: an unknown or closed verb, an old revision, no reason."""
        if decision.verb not in VERBS:
            raise ApplicationError(f"that is not a decision; one of {', '.join(VERBS)}", type="Malformed")
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
            open_now = ", ".join(sorted(self._open_verbs())) or "none"
            why = self._why_closed(decision.verb) or f"open are: {open_now}"
            raise ApplicationError(f"{decision.verb} is not open now; {why}", type="NotOpen")

    async def _decide(self, decision: Decision) -> Answer:
        await workflow.wait_condition(lambda: self._ready)
        if decision.id and decision.id in self._answers:
            return self._answers[decision.id]
        self._fits(decision)
        request = DecisionToCheck(
            case=self.case, facility=self.facility or "unknown", decision=decision, as_of=workflow.now()
        )
        checked = await own_store(CaseActivities.check_decision, request, f"who decides: {decision.verb}")
        if decision.id and decision.id in self._answers:
            return self._answers[decision.id]
        self._fits(decision)  # again: another decision may have been taken meanwhile
        self._authorise(checked)
        message = self._apply(checked)
        marked = "" if checked.verified else " (identity not verified)"
        self._log(f"{decision.verb} by {checked.employee or decision.actor.known_by}{marked}: {message}")
        if not self._numbered:
            self.revision, self._numbered = self.revision + 1, True
        answer = Answer(
            taken=True, message=f"{message}{marked}", business_state=self._state_after(checked), revision=self.revision
        )
        if decision.id:
            self._answers[decision.id] = answer
        await self._record()  # what a person was told is taken is kept, whatever happens to this run
        return answer

    def _state_after(self, checked: CheckedDecision) -> str:
        """Where a decision just taken leaves the case: it moves there by itself, a moment after it has answered."""
        if self._giving_up():
            return "cancelling"
        return "on hold" if self.held_by else self.business_state

    def _authorise(self, checked: CheckedDecision) -> None:
        verb = checked.decision.verb
        if not checked.verified:
            allowed = self.policy.unverified_verbs if self.policy else ()
            if verb not in allowed:
                raise ApplicationError(
                    f"{verb} needs a verified identity: give it through the API or the fascia command",
                    type="NotAllowed",
                )
            self._separate_duties(checked)
            return
        if checked.why_not:
            raise ApplicationError(checked.why_not, type="NotAllowed")
        self._separate_duties(checked)
        if checked.elsewhere:
            if verb not in FOR_THE_HOUSE:
                verbs = " or ".join(sorted(FOR_THE_HOUSE))
                why = f"the register has no such facility as this case's: support and admin of any may only {verbs} it"
                raise ApplicationError(why, type="NotAllowed")
            return
        if not self._role_fits(checked):
            raise ApplicationError(self._why_not_theirs(checked), type="NotAllowed")

    def _separate_duties(self, checked: CheckedDecision) -> None:
        """Refuse what this person may not do because of what they did before (or may have done, when nobody knows them)."""

    def _why_not_theirs(self, checked: CheckedDecision) -> str:
        """Why a verb is not for who gave it; names nobody."""
        return f"{checked.decision.verb} is not for the roles {', '.join(checked.roles) or 'none'}"

    def _role_fits(self, checked: CheckedDecision) -> bool:
        return bool(ROLES.get(checked.decision.verb, frozenset()) & set(checked.roles))


def _read(raw: RawValue, *, strictly: bool = False) -> Decision:
    """A decision from whatever was sent; ``strictly``: also with the JSON types it should have.

    Raises:
        ApplicationError: (Malformed) what does not fit and where.
    """
    try:
        decision = Decision.model_validate_json(raw.payload.data, strict=strictly or None, extra="forbid")
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or "decision"
        raise ApplicationError(f"{path}: {first['msg']}", type="Malformed") from None
    twice = given_twice(raw.payload.data)
    if twice and (strictly or workflow.patched("nothing given twice")):  # a validator may not patch, nor is it replayed
        raise ApplicationError(f"{twice}: {TWICE}", type="Malformed")
    return decision
