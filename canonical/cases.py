"""A case as people see it: its state in their words, who owns it, what is due, and what a person may decide."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from canonical.base import (
    Canonical,
    CostCentreCode,
    EmployeeId,
    FacilityCode,
    ItemCode,
    LineId,
    Money,
    Quantity,
    SupplierCode,
    Text,
)
from canonical.purchasing import Requisition


class State(StrEnum):
    """How far a case or document has come, the same eight words for all of them."""

    RECEIVED = "received"
    VALIDATED = "validated"
    ENRICHED = "enriched"
    SUBMITTED = "submitted"
    ACKNOWLEDGED = "acknowledged"
    POSTED = "posted"
    RECONCILED = "reconciled"
    FAILED = "failed"


VERBS = (
    "approve",
    "reject",
    "correct",  # corrected data, then the step is tried again
    "retry",
    "accept",  # take the supplier's change, or the goods, or the price
    "refuse",  # do not take it: the line ends, or the document is set aside
    "short_close",  # take what came, end the rest
    "pay_short",  # pay what is accepted, debit memo for the rest
    "release",  # let a payment go
    "confirm_bank",  # the supplier's new bank details were checked with the supplier
    "resend",  # send the last document to the supplier again, under the same number
    "hold",
    "resume",
    "cancel",
)
REASON_NEEDED = frozenset({"reject", "refuse", "cancel", "hold", "short_close"})
# Who may end or mend a case whose facility nobody knows, of whichever facility they are.
OF_THE_HOUSE = frozenset({"support", "admin"})
REASON_KEPT = "reason in the case"  # stands wherever others look: nobody vouches for what a person writes in a reason


class Actor(Canonical):
    """Who decided, and how we know: an API key, a shell login, or Temporal's own tools."""

    id: str = Field(default="unknown", max_length=80)
    known_by: str = Field(default="temporal", pattern="^(api_key|os_user|console|temporal)$")


class LineCorrection(Canonical):
    """New values for one line; what is None stays."""

    line: LineId
    item: ItemCode | None = None
    quantity: Quantity | None = None
    supplier: SupplierCode | None = None
    unit_price: Money | None = None
    remove: bool = False


class Correction(Canonical):
    """New values for a case that needs attention; what is None stays. ``requisition`` replaces one that could not be read."""

    requisition: Requisition | None = None
    cost_centre: CostCentreCode | None = None
    lines: tuple[LineCorrection, ...] = ()


class Decision(Canonical):
    """A person's word to a case. ``id`` is its own name (the update id): the same id twice is one decision.

    ``document`` names what it is about where a line is not enough (an invoice number). ``seal`` is set by our doors, which
    also keep the reason's text in our own store and send :data:`REASON_KEPT` in its place: Temporal keeps what it is given.
    """

    verb: str
    line: LineId | None = None
    document: str | None = Field(default=None, max_length=120)
    reason: Text = ""
    actor: Actor = Actor()
    revision: int | None = None
    id: str = Field(default="", max_length=120)
    correction: Correction | None = None
    seal: str = ""

    def sealed(self, case: str, key: bytes) -> Decision:
        """The same decision with our door's seal on it."""
        return self.model_copy(update={"seal": seal(self, case, key)})


def seal(decision: Decision, case: str, key: bytes) -> str:
    """HMAC-SHA256 over case, verb, line, document, id, actor, revision and correction: what a door vouches for."""
    what = [
        case,
        decision.verb,
        decision.line,
        decision.document,
        decision.id,
        decision.actor.id,
        decision.actor.known_by,
        decision.revision,
        decision.correction.model_dump_json() if decision.correction else None,
    ]
    return hmac.new(key, json.dumps(what, separators=(",", ":")).encode(), hashlib.sha256).hexdigest()


def seal_is_valid(decision: Decision, case: str, key: bytes) -> bool:
    """Whether one of our doors sealed exactly this decision for exactly this case."""
    return hmac.compare_digest(decision.seal.encode(), seal(decision, case, key).encode())


class DecisionToCheck(Canonical):
    """A decision, its case and facility, and who may not give it (the requester, the corrector)."""

    case: str
    facility: FacilityCode
    decision: Decision
    as_of: datetime


class CheckedDecision(Canonical):
    """A decision after the check of its seal: who it is by, with which roles, or why not.

    ``elsewhere``: the register has no such facility as the case's; who decides is of another.
    """

    decision: Decision
    verified: bool
    elsewhere: bool = False
    employee: EmployeeId | None = None
    roles: tuple[str, ...] = ()
    why_not: str = ""


class Answer(Canonical):
    """What a case says to a decision: taken, or why not; repeating the same decision id gives the same answer."""

    taken: bool
    message: str
    business_state: str = ""
    revision: int = 0


class Attention(Canonical):
    """Why a case, a line or a document needs a person. ``kind`` is an error class of the console (data-invalid, ...).

    ``reminded``: how often it was reminded of since it was parked.
    """

    kind: str
    reason: Text
    path: str = ""
    line: LineId | None = None
    document: str | None = None
    verbs: tuple[str, ...] = ()
    since: datetime | None = None
    reminded: int = Field(default=0, ge=0)


class LineState(Canonical):
    """Where one line is, in the words people use."""

    line: LineId
    requisition_line: str = Field(default="", max_length=40)  # empty on a requisition's own lines
    order: str = ""
    item: str = ""
    state: str
    expected: str = ""
    ordered: Decimal = Decimal(0)
    shipped: Decimal = Decimal(0)
    received: Decimal = Decimal(0)
    invoiced: Decimal = Decimal(0)
    unit: str = "EA"
    base_units: int = Field(default=0, ge=0)  # in one ``unit`` when it was ordered; 0 where nobody said
    ended: bool = False  # no more of it is expected, though less than was ordered may have come


class DocumentRef(Canonical):
    """A document of a case, ours or another system's: kind, number, and the byte or record it stands for.

    ``kind`` is one of requisition, order, order_acknowledgement, functional_acknowledgement, order_change, ship_notice,
    receipt, invoice, debit_memo, payment, remittance, goods_return, erp_order, erp_receipt, erp_invoice, erp_payment, ...
    """

    kind: str
    number: str
    system: str = "fascia"
    state: State = State.RECEIVED
    message: str = ""
    lines: tuple[LineId, ...] = ()
    parent: str = ""
    amount: Money | None = None

    @property
    def name(self) -> str:
        """Its name within the case."""
        return f"{self.kind}:{self.number}"


class BusinessEvent(Canonical):
    """Something other systems want to hear of (outbox). ``key`` makes a repeat the same event; ``type`` is versioned."""

    type: str = Field(pattern=r"^[a-z_]+\.[a-z_]+\.v[0-9]+$")
    key: str
    case: str
    facility: FacilityCode
    occurred_at: datetime
    data: dict[str, str] = Field(default_factory=dict)


class CaseChange(Canonical):
    """The case as it now stands, for the read model: one write, with documents, lineage and events in it.

    ``revision`` grows by one with each change of what a person decides on; within a run one that is not higher only overwrites
    when it was said later (``changed_at``). ``decision``: what was decided and taken, in words; ``declined``: and was not.
    """

    case: str
    process: str
    facility: FacilityCode
    run: str
    generation: int = 1
    revision: int
    state: State
    business_state: str
    owner: str = ""
    due: datetime | None = None
    next_action: str = ""
    summary: str = ""
    parent: str = ""
    supplier: str = ""
    amount: Money | None = None
    attention: tuple[Attention, ...] = ()
    lines: tuple[LineState, ...] = ()
    documents: tuple[DocumentRef, ...] = ()
    events: tuple[BusinessEvent, ...] = ()
    decision: str = ""
    declined: str = ""
    carried: str = ""
    closed: bool = False
    changed_at: datetime


class CaseStatus(Canonical):
    """Where a case is, for a query and as a workflow's result."""

    case: str
    process: str
    state: State
    business_state: str
    owner: str = ""
    due: datetime | None = None
    next_action: str = ""
    revision: int = 0
    attention: tuple[Attention, ...] = ()
    lines: tuple[LineState, ...] = ()
    orders: tuple[str, ...] = ()
    closed: bool = False


class Trouble(Canonical):
    """An outside system (empty: whichever it was) fails (``since`` set) or answers again (``since`` None) for a case's step."""

    case: str
    system: str
    step: str
    since: datetime | None = None
    message: Text = ""
