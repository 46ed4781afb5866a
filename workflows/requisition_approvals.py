"""Who approves a requisition: level by level, with reminders, substitutes and the level above, in business time."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from canonical.base import EmployeeId
    from canonical.cases import CheckedDecision
    from canonical.steps import ApprovalStep
    from workflows.decisions import REJECTED
    from workflows.requisition_checks import Checks
    from workflows.requisition_state import Approval, ApprovalAsked


class Approvals(Checks):
    """Every level's word, or nobody's where the rules need none."""

    def __init__(self) -> None:
        super().__init__()
        self._step: ApprovalStep | None = None
        self._others: set[EmployeeId] = set()
        self._left = False  # its orders were handed to cases of their own

    async def _approved(self, *, after: bool = False) -> bool:
        """Every level gives its approval, in order; True when all have. ``after``: the order is made already."""
        enriched = self._enriched
        if enriched.auto_approved and not self.progress.approved:
            self._all_approved("policy", enriched.auto_reason)
        for place, step in enumerate(enriched.approvals):
            if self._given(step):
                continue
            if not await self._approved_by(step, enriched.escalate_to[place], after=after):
                return False
        if not self.progress.approved:
            self._all_approved(" ".join(given.role for given in self.progress.approvals), "every level has approved")
        return True

    def _all_approved(self, by: str, why: str) -> None:
        """Told by role: who the people were is in our own store, not in what other systems hear."""
        self.progress.approved = True
        self._tell("requisition.approved", "approved", by=by, why=why)

    def _given(self, step: ApprovalStep) -> bool:
        return any(given.role == step.role for given in self.progress.approvals)

    async def _approved_by(self, step: ApprovalStep, above: ApprovalStep, *, after: bool) -> bool:
        """One level: its people, their substitutes when away or after a while, the level above after longer."""
        asked = self._asked_since(step)
        moments = self._moments(asked, after=after)
        self._step, self._others = step, {a.substitute for a in step.approvers if a.away and a.substitute}
        due, owner, action = moments[-1][0], step.role, f"approve or reject as {step.role} ({step.why})"
        if self._others:
            action = f"{action}; a substitute may, the approver is away"
        for what in asked.told:  # by an earlier run
            owner, action = self._widen(what, step, above)
        moments = [(when, what) for when, what in moments if what not in asked.told]
        waiting = "ordered, approval pending" if after else "pending approval"
        self._say(waiting, owner=owner, due=due, next_action=action)
        while not self._gave_up() and not self._given(step):
            seen = self._stirred
            if self.held_by and not after:
                self._say("on hold", owner="buyer", next_action="resume when it may go on")
            elif self.business_state == "on hold":
                self._say(waiting, owner=owner, due=due, next_action=action)
            await self._record()
            await self._stir(seen, moments[0][0] if moments else None, f"approval as {step.role}")
            while moments and moments[0][0] <= workflow.now():
                owner, action = self._overdue(moments.pop(0)[1], asked, step, above)
                self._say(waiting, owner=owner, due=due, next_action=action)
        self._step = None
        return not self._gave_up()

    def _asked_since(self, step: ApprovalStep) -> ApprovalAsked:
        """Since when this level is waited for, and what it was told: an earlier run's time counts."""
        asked = self.progress.asked
        if asked is None or asked.role != step.role:
            asked = self.progress.asked = ApprovalAsked(role=step.role, since=workflow.now())
        return asked

    def _moments(self, asked: ApprovalAsked, *, after: bool) -> list[tuple[datetime, str]]:
        """When what follows, in the facility's business time. After an emergency order the last of it comes sooner."""
        rules, calendar, began = self._enriched.policy.approval, self._enriched.calendar, asked.since
        last = min(rules.escalate_after, rules.emergency_within) if after else rules.escalate_after
        moments = [(rules.remind_after, "remind"), (rules.substitute_after, "substitute"), (last, "escalate")]
        return [(calendar.add(began, timedelta(seconds=seconds)), what) for seconds, what in moments if seconds <= last]

    def _overdue(self, what: str, asked: ApprovalAsked, step: ApprovalStep, above: ApprovalStep) -> tuple[str, str]:
        """A reminder, then the substitutes, then the level above; the business event is what mails and pages people."""
        asked.told.append(what)
        self._tell("requisition.approval_overdue", f"{step.role}/{what}/{asked.since.isoformat()}", what=what)
        return self._widen(what, step, above)

    def _widen(self, what: str, step: ApprovalStep, above: ApprovalStep) -> tuple[str, str]:
        """Who may approve and is asked from then on."""
        if what in ("substitute", "escalate"):
            self._others |= {a.substitute for a in step.approvers if a.substitute}
        if what == "escalate":
            self._others |= {a.id for a in above.approvers}
        owner = {"remind": step.role, "substitute": f"{step.role} (substitute)", "escalate": above.role}[what]
        said = {"remind": "reminded", "substitute": "the substitute may too", "escalate": "escalated"}[what]
        return owner, f"approve or reject as {step.role}: {said}"

    # -- who may ---------------------------------------------------------------------------------------------------

    def _open_verbs(self) -> frozenset[str]:
        verbs = super()._open_verbs()
        if self._left or self.progress.requisition is None:
            verbs -= {"hold"}  # what has left is held order by order
        if self._step is not None and not self.held_by and not self._gave_up():
            verbs |= {"approve", "reject"}
        return verbs

    def _why_closed(self, verb: str) -> str:
        open_orders = [order.case_id for order in self.progress.orders if order.number not in self.progress.ended]
        if verb != "hold" or not self._left or not open_orders:
            return ""
        return f"its orders are on their way, each is held by itself: hold {', '.join(open_orders)}"

    def _separate_duties(self, checked: CheckedDecision) -> None:
        """Who asks may not approve, nor let the budget be exceeded; one person gives one level."""
        verb, requisition = checked.decision.verb, self.progress.requisition
        if checked.employee is None or requisition is None:
            return
        if verb in ("approve", "accept") and checked.employee == requisition.requester:
            raise ApplicationError("who asks may not approve", type="NotAllowed")
        if verb == "approve" and any(given.by == checked.employee for given in self.progress.approvals):
            raise ApplicationError("one person gives one level of approval", type="NotAllowed")

    def _role_fits(self, checked: CheckedDecision) -> bool:
        """An approval step names its own people; a requester only speaks for what they asked themselves."""
        verb = checked.decision.verb
        if verb in ("approve", "reject") and self._step is not None:
            people = {a.id for a in self._step.approvers} | self._others
            return checked.employee in people and checked.employee != self._requisition.requester
        if verb == "accept" and not self.progress.orders:
            return bool({"finance", "admin"} & set(checked.roles))
        if checked.roles == ("requester",) and self.progress.requisition is not None:
            return super()._role_fits(checked) and checked.employee == self._requisition.requester
        return super()._role_fits(checked)

    def _why_not_theirs(self, checked: CheckedDecision) -> str:
        """Who has the role that is asked, and is not asked, hears that: the rules name people, by cost centre and amount."""
        verb = checked.decision.verb
        if verb not in ("approve", "reject") or self._step is None or self._step.role not in checked.roles:
            return super()._why_not_theirs(checked)
        centre, role = self._requisition.cost_centre, self._step.role
        return f"{verb} as {role} is for those the approval rules name for cost centre {centre}, not for every {role}"

    def _state_after(self, checked: CheckedDecision) -> str:
        progress = self.progress
        if progress.refused and not progress.orders:
            return "refused"
        if self._gave_up() or self.held_by or self._left:
            return super()._state_after(checked)
        if checked.decision.verb not in ("approve", "resume"):
            return "checking"  # corrected, accepted or tried again: what then stands in the way is not known yet
        if self.enriched is None or self.attention:
            return super()._state_after(checked) if self.business_state != "on hold" else "checking"
        asked = [step for step in self.enriched.approvals if not self._given(step)]
        return "pending approval" if asked and not progress.approved else "approved"

    def _approve(self, checked: CheckedDecision) -> str:
        role = self._step.role if self._step else ""
        who = checked.employee or checked.decision.actor.known_by
        self.progress.approvals.append(Approval(role=role, by=who, verified=checked.verified))
        self._step = None
        return f"approved as {role}"

    def _reject(self) -> str:
        self._step = None
        self.progress.refused = REJECTED
        return "rejected"
