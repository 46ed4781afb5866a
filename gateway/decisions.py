"""What every door does with a person's word before it leaves for the case: the words of its reason stay in our own store.

Temporal keeps what it is given, shows it to whoever may see its UI, and hands it to tools we do not know; nobody vouches for
what a person writes in a reason. So the case gets the verb and the decision's id, and our store the text under that id.
"""

from __future__ import annotations

from canonical.cases import REASON_KEPT, Decision
from canonical.ports import Cases


async def without_reason(cases: Cases, case: str, decision: Decision) -> Decision:
    """The decision as it may leave: with a note that there is a reason, whose text is kept under the decision's id."""
    if not decision.reason.strip():
        return decision
    await cases.keep_reason(case, decision.id, decision.reason)
    return decision.model_copy(update={"reason": REASON_KEPT})
