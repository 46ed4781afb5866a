"""What every door does with a person's word before it leaves for the case: the words of its reason stay in our own store.

Temporal keeps what it is given, shows it to whoever may see its UI, and hands it to tools we do not know; nobody vouches for
what a person writes in a reason. So the case gets the verb and the decision's id, and our store the text under that id.
"""

from __future__ import annotations

from canonical.cases import REASON_KEPT, Decision
from canonical.errors import Rejected
from canonical.messages import Kept
from canonical.ports import Cases
from gateway.intake import Intake

DECISION = "decision"
REVOCATION = "revocation"  # a call that takes all access of a person
MAY_SETTLE = frozenset({"buyer", "finance", "support", "admin"})  # who gives a document to a case, or sets it aside


async def without_reason(cases: Cases, case: str, decision: Decision) -> Decision:
    """The decision as it may leave: with a note that there is a reason, whose text is kept under the decision's id."""
    if not decision.reason.strip():
        return decision
    await cases.keep_reason(case, decision.id, decision.reason)
    return decision.model_copy(update={"reason": REASON_KEPT})


def settle_decisions(intake: Intake) -> None:
    """A decision kept just before a door stopped is never given later, when its person may think otherwise.

    Nor is a call to revoke: who had no answer calls again, and a block set later could outlive what it was for.
    """

    async def not_decided(message: Kept) -> None:
        reason = "no answer: the door stopped before the case did; the case may have taken it; it is safe to repeat"
        raise Rejected(reason, code="unavailable")

    async def not_blocked(message: Kept) -> None:
        reason = "no answer: the door stopped before it gave one; the block may stand; it is safe to repeat"
        raise Rejected(reason, code="unavailable")

    intake.add_route(DECISION, not_decided)
    intake.add_route(REVOCATION, not_blocked)
