"""Whose case is it: how a start is read, and what a second start under the same name is."""

from __future__ import annotations

from dataclasses import dataclass

from canonical.base import Money, case_parts, content_hash, read_strictly
from canonical.cases import Attention, CaseChange
from canonical.errors import Malformed
from canonical.ports import Unmatched
from canonical.purchasing import PurchaseOrder, Requisition, numbered_content
from canonical.steps import ClaimRequest, OpenOrder, UnreadOrder

FIX = ("correct", "cancel")
# The first part of names that are not a requisition's to take: another process gives them.
NAMES_OF_OTHERS = frozenset(
    {
        "purchase_order",
        "consumption_to_replenishment",
        "clinician_onboarding",
        "clinician_access",
        "clinician_revocation",
    }
)
# Said of an order's start that no requisition made, where it is listed.
FORGED = "nothing was ordered: dismiss it, and find who starts orders in Temporal (runbook: an order nobody asked for)"


@dataclass(frozen=True)
class Start:
    """A start as it was read: the requisition with the hash of its content, or why there is none."""

    requisition: Requisition | None = None
    hash: str = ""
    outcome: str = ""
    problem: Attention | None = None


@dataclass(frozen=True)
class Held:
    """A claim as it is held: by which first run (None: announced or resumed, not started yet), for which content."""

    run: str | None
    generation: int
    hash: str


def read_start(request: ClaimRequest) -> Start:
    """Read the bytes of a start strictly. Whatever they are, the outcome is an answer, never an exception."""
    if request.encoding != "json/plain":
        return _unreadable(f"the start is encoded as {request.encoding[:80]!r}, not as json/plain", "encoding")
    try:
        requisition = read_strictly(Requisition, request.data)
        content = content_hash(requisition)
        name = requisition.case_id
    except Malformed as wrong:
        return _unreadable(wrong.message[:2000], wrong.path or "document")
    except (ValueError, ArithmeticError, RecursionError) as wrong:
        return _unreadable(f"the document cannot be read ({type(wrong).__name__})", "document")
    if name != request.case:
        why = f"started as {request.case[:200]}, but this requisition's case is {name}"
        problem = Attention(kind="data-invalid", reason=why, path="number", verbs=("cancel",), since=request.as_of)
        return Start(requisition=requisition, hash=content, outcome="misnamed", problem=problem)
    return Start(requisition=requisition, hash=content)


def _unreadable(reason: str, path: str) -> Start:
    return Start(outcome="unreadable", problem=Attention(kind="data-invalid", reason=reason, path=path, verbs=FIX))


@dataclass(frozen=True)
class Numbered:
    """What our store knows of an order's number: the requisition's case it was given to, and for which order.

    ``content`` is empty where the number was given before contents were kept; ``reserved`` None where no budget was.
    """

    requisition: str
    claimed: bool
    closed: bool
    content: str
    reserved: Money | None


def misfit(request: OpenOrder, numbered: Numbered | None) -> str:
    """Why an order may not begin; empty where it is the one its requisition made.

    Anyone who reaches Temporal can start an order's case with any content. A number is given only to a requisition that was
    claimed, checked and approved (or is an emergency), in the step that makes its orders.
    """
    order = request.order
    if numbered is None or numbered.requisition != order.requisition:
        return f"number {order.number} was not given to {order.requisition[:200] or 'an order without a requisition'}"
    if not numbered.claimed:
        return f"{numbered.requisition} was not claimed"
    if numbered.closed:
        return f"{numbered.requisition} is closed"
    if numbered.content:
        fits = numbered.content == numbered_content(order)
    else:
        fits = numbered.reserved is None or numbered.reserved == _amount(order)
    return "" if fits else f"{order.number} is not the order that {numbered.requisition} made"


def misnamed(request: OpenOrder) -> str:
    """Why an order's case runs under a wrong name; empty where it does not."""
    right = request.order.case_id
    if request.case in ("", right):
        return ""
    return f"started as {request.case[:200]}, but this order's case is {right}"


def of_another(case: str) -> str:
    """Why no requisition may run under this name; empty where one may.

    As a case it would stand in the place of the genuine one, for whoever looks that up.
    """
    process = case_parts(case)[0]
    return f"a requisition was started as {case[:200]}, a name of {process}" if process in NAMES_OF_OTHERS else ""


def elsewhere(request: ClaimRequest, reason: str, message: str) -> Unmatched:
    """The start of a requisition under another process's name, as it is listed."""
    facility, number = _order_named(request.case)
    return Unmatched(
        id=f"misnamed-{message}",
        kind="order" if number else "requisition",
        number=number,
        order=number,
        facility=facility,
        reason=f"{reason}; {FORGED}",
        message=message,
        case=request.case,
        at=request.as_of,
    )


def _order_named(case: str) -> tuple[str, str]:
    """Facility and number of an order's case, as its name alone says them; empty where it is no such name."""
    named = case_parts(case)
    return (named[1], named[2]) if len(named) == 3 and named[0] == "purchase_order" else ("", "")


def unread(start: UnreadOrder, message: str) -> Unmatched:
    """The start of an order's case that cannot be read, as it is listed; what it is about its name alone says."""
    facility, number = _order_named(start.case)
    return Unmatched(
        id=f"unreadable-{message}",
        kind="order",
        number=number,
        order=number,
        facility=facility,
        reason=f"{start.reason}; {FORGED}",
        message=message,
        case=start.case,
        at=start.as_of,
    )


def _amount(order: PurchaseOrder) -> Money | None:
    try:
        return order.amount
    except (ValueError, Malformed):  # its lines are in several currencies, or beyond counting
        return None


def ends_without_orders(change: CaseChange) -> bool:
    """Whether a requisition is over and none of its lines is on an order: whatever was numbered for it will not leave."""
    return change.closed and change.process == "procure_to_pay" and not any(line.order for line in change.lines)


def judge(held: Held, run: str, content: str) -> str:
    """What a start is, given who holds the claim: claimed, resumed, duplicate, conflict (or unreadable: no content).

    The run that holds it keeps it (a retry, a reset). A claim without a run waits for one: announced by a door it takes
    the content that was announced; resumed by a person it goes on from what the case carried, also when the bytes it first
    came as cannot be read (a person had corrected them).
    """
    resumed = held.generation > 1
    if resumed and held.run in (None, run) and (not content or content == held.hash or held.run == run):
        return "resumed"
    if not content:
        return "unreadable"
    if held.run == run or (held.run is None and not resumed and held.hash in ("", content)):
        return "claimed"
    if held.run is not None and held.hash == content:
        return "duplicate"
    return "conflict"
