"""Which kept messages go through their routing once more, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence

from canonical.errors import FasciaError, Rejected
from canonical.messages import APART, Kept
from gateway.decisions import DECISION, REVOCATION
from gateway.fhir_judge import DOOR as FHIR_DOOR
from gateway.fhir_judge import ENTRIES_KEPT, READ_TOGETHER
from gateway.files import FILE
from gateway.folders import SPOILT
from gateway.hl7_door import BATCH

WAITING = ("received", "validated")


class NotReplayed(Rejected):
    """It is not routed again; ``hint`` says what to do instead."""

    def __init__(self, message: str, *, code: str = "not-open", hint: str = "") -> None:
        super().__init__(message, code=code)
        self.hint = hint


def refusal(kept: Kept, cases: Sequence[tuple[str, bool]], *, readable: bool) -> FasciaError | None:
    """Why a message is not routed again, if so; ``cases`` it came to, and whether each is closed."""
    if why := _never(kept):
        return why
    if kept.stream and kept.state in WAITING and not kept.version_of:
        return NotReplayed(
            f"{kept.id} is not routed yet: its router brings it, or its stream waits for another message"
        )
    if cases and all(closed for _, closed in cases):
        return NotReplayed(f"{kept.id} belongs to {', '.join(case for case, _ in cases)}, which is closed")
    if not readable:
        return NotReplayed(f"nothing reads messages of kind {kept.kind or 'unknown'}")
    return None


def _never(kept: Kept) -> NotReplayed | None:
    if kept.direction == "out":
        hint = "fascia case resend CASE, or fascia channel retry MESSAGE"
        return NotReplayed(f"{kept.id} is a message of ours: it is sent again by its case", hint=hint)
    if kept.kind in (DECISION, REVOCATION):
        return NotReplayed(f"a {kept.kind} is never given later, when its person may think otherwise")
    if kept.door == FHIR_DOOR and kept.state == "refused":
        hint = "a refused resource takes no identifier, so sending it again is no conflict"
        return NotReplayed("its sender heard no, and sends it again when it is mended", hint=hint)
    if kept.door == FHIR_DOOR and kept.reason == READ_TOGETHER:
        return NotReplayed("it is a line of a requisition: replay its transaction", hint="see `fascia journal list`")
    if kept.kind in (FILE, BATCH) or (kept.door == FHIR_DOOR and kept.reason == ENTRIES_KEPT):
        return NotReplayed("what is in it is kept one by one: replay those", hint="see `fascia journal list`")
    if kept.state == "corrected":
        return NotReplayed(f"{kept.id} was corrected: replay its correction", hint=kept.reason)
    if kept.reason.startswith("not-allowed"):
        return NotReplayed(f"its sender may not ask for this: {kept.reason}", code="not-allowed")
    if kept.reason.startswith(SPOILT):
        hint = "its sender sends it again, whole"
        return NotReplayed("its bytes were spoilt on their way, so it is never read", hint=hint)
    if conflicts(kept):
        return NotReplayed(f"{kept.id} is not routed again: {kept.reason}", code="conflict")
    return None


def conflicts(kept: Kept) -> bool:
    """Whether it came under the number of another message, so that its door refused it."""
    return kept.reason.startswith((APART, "idempotency-key-reused", "AR: MSH-10: This number came before"))
