"""Get what a department asks for approved, ordered, delivered and paid. One case per requisition.

Taking a requisition back: before its orders exist it simply ends, and whatever was reserved of the budget for orders that were
numbered meanwhile is free again, in the step that records its end; afterwards each of its orders is taken back by its own
case (see ``order_cancellation``), and this case ends when they have.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from canonical.cases import CaseStatus, CheckedDecision, State
    from workflows.corrections import corrected
    from workflows.decisions import CANCELLED
    from workflows.requisition_orders import Ordering


@workflow.defn
class ProcureToPay(Ordering):
    """From the department's request to the last order's end."""

    @workflow.run
    async def run(self, wire: RawValue) -> CaseStatus:
        """The process as one reads it."""
        return await self._lived(self._live(wire))

    async def _live(self, wire: RawValue) -> CaseStatus:
        if not await self._claimed(wire):
            return self._status(closed=True) if self.business_state in ("duplicate", "conflict") else await self._end()
        if self.progress.orders:
            self._left = not self.held_by  # a successor; held before they left, they wait here still
            await self._look_up()  # the rules it goes by
        else:
            while not self.progress.orders:
                if not await self._may_be_ordered():
                    return await self._end()
                await self._split()
        if self.held_by and workflow.patched("held-before-its-orders-leave"):
            await self._not_on_hold()
        await self._ordered()
        return await self._end()

    async def _may_be_ordered(self) -> bool:
        """Checked and approved; an emergency is approved after it is ordered."""
        if not await self._checked():
            return False
        if not self._requisition.emergency and not await self._approved():
            return False
        await self._not_on_hold()
        return not self._gave_up()

    async def _end(self) -> CaseStatus:
        """Say how it ended, for good."""
        business_state, state = self._ending()
        self.attention = []
        if not self.progress.orders:
            self.lines = [line.model_copy(update={"state": business_state}) for line in self.lines]
            if self.progress.requisition is not None:
                reason = self.progress.refused or self.progress.cancelling
                self._tell("requisition.refused", business_state, reason=reason)
        self._say(business_state, state=state, next_action=self.progress.refused or self.progress.cancelling)
        await self._record(closed=True)
        await workflow.wait_condition(self._nothing_under_way)
        return self._status(closed=True)

    def _ending(self) -> tuple[str, State]:
        ends = set(self.progress.ended.values())
        if not self.progress.orders:
            return ("cancelled" if self.progress.cancelling else "refused"), State.FAILED
        if ends == {"cancelled"} or (self.progress.cancelling and "cancelled" in ends):
            return "cancelled", State.FAILED
        return "closed", State.RECONCILED

    def _apply(self, checked: CheckedDecision) -> str:
        decision = checked.decision
        message = f"{decision.verb}: done"
        match decision.verb:
            case "approve":
                message = self._approve(checked)
            case "reject":
                message = self._reject()
            case "cancel":
                self._give_up(CANCELLED)
                message = "the requisition is being taken back"
            case "hold":
                self.held_by = checked.employee or decision.actor.known_by
                message = "on hold"
            case "resume":
                self.held_by = ""
                message = "goes on"
            case "accept":
                message = self._accept()
            case "retry":
                message = self._retry(decision.document)
            case "correct":
                self.progress.requisition = corrected(self.progress.requisition, decision.correction, self.case)
                self.progress.approvals, self.progress.approved = [], False  # nobody approved this one
                self.progress.asked = None
                message = "corrected, and checked again"
        self._released += 1
        return message

    def _accept(self) -> str:
        """Take it as it is: an order made in an emergency and rejected afterwards, or a budget that is exceeded."""
        if any(a.document == "approval" for a in self.attention):
            self._unpark(document="approval")
            self.progress.after, self.progress.refused = "settled", ""
            self._say_ordered()
            return "the emergency order stands"
        self.progress.overrun_accepted = self._enriched.amount.amount
        self.attention = []
        return f"{self._enriched.amount} accepted above the budget"

    def _retry(self, document: str | None) -> str:
        for parked in self.attention:
            if parked.document and document in (None, parked.document):
                self._answered_by_hand[parked.document] = "retry"
        return "tried again"
