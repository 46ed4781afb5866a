"""A kept message goes through its door's routing once more: the same corridor, so what was taken before is recognised.

Who asked for it stands in the message's history and among the deeds of operators, written before anything is routed. What
cannot go on now stays ``validated``, and the routing sweep brings it when what was away is back.
"""

from __future__ import annotations

from collections.abc import Sequence

from canonical.cases import Actor
from canonical.errors import FasciaError
from canonical.messages import CONFLICT, Kept
from cli.exits import Stop, not_allowed, not_found
from cli.views import Replayed
from gateway.files import FILE
from gateway.rest_decisions import DECISION
from store.acts import Act, StoredActs
from workers.wiring import Wiring


async def replay(wiring: Wiring, message: str, why: str, by: Actor, *, dry_run: bool) -> Replayed:
    """Route a kept message once more.

    Raises:
        Stop: there is none of that name, or it is of those that are never routed again; with the reason.
        Rejected: it came under the number of another message.
    """
    kept = await wiring.journal.read(message)
    if kept is None:
        raise not_found("message", message)
    acts, corridor = StoredActs(wiring.database), wiring.corridor()
    if refused := refusal(kept, await acts.cases_of(message), readable=corridor.routes(kept.kind)):
        raise refused
    act = Act(verb="journal replay", about=f"message/{message}", actor=by, reason=why)
    await acts.replay(message, act, dry_run=dry_run)
    if not dry_run:
        await corridor.route(kept)
    after = await wiring.journal.read(message) or kept
    if kept.state == "dead" and after.state == "refused":  # nobody could be told before, and nobody was told now
        await wiring.journal.mark(message, "dead", reason=after.reason)
        after = after.model_copy(update={"state": "dead"})
    return Replayed(
        id=kept.id,
        kind=kept.kind,
        before=kept.state,
        state=after.state,
        reason=after.reason,
        case=after.case,
        dry_run=dry_run,
    )


def refusal(kept: Kept, cases: Sequence[tuple[str, bool]], *, readable: bool) -> FasciaError | None:
    """Why a message is not routed again, if so; ``cases`` it came to, and whether each is closed."""
    if kept.direction == "out":
        return Stop(
            f"{kept.id} is a message of ours: it is sent again by its case",
            code="not-open",
            hint="fascia case resend CASE",
        )
    if kept.kind == DECISION:
        return Stop("a decision is never given later, when its person may think otherwise", code="not-open")
    if kept.kind == FILE:
        return Stop(
            "its interchanges are kept one by one: replay those", code="not-open", hint="see `fascia journal list`"
        )
    if kept.reason.startswith("not-allowed"):
        return not_allowed(f"its sender may not ask for this: {kept.reason}")
    if kept.reason.startswith((CONFLICT, "idempotency-key-reused")):
        return Stop(f"{kept.id} is not routed again: {kept.reason}", code="conflict")
    if cases and all(closed for _, closed in cases):
        return Stop(f"{kept.id} belongs to {', '.join(case for case, _ in cases)}, which is closed", code="not-open")
    if not readable:
        return Stop(f"nothing reads messages of kind {kept.kind or 'unknown'}", code="not-open")
    return None
