"""What the steps of a process are asked and what they answer, where a noun of the business is not enough."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import ConfigDict, Field

from canonical.base import (
    Canonical,
    CostCentreCode,
    EmployeeId,
    FacilityCode,
    Money,
    OrderNumber,
    SupplierCode,
    Text,
)
from canonical.calendar import BusinessCalendar
from canonical.cases import Attention, CaseStatus
from canonical.invoicing import Invoice, Payment
from canonical.parties import Partner, Policy, Supplier, Terms
from canonical.purchasing import (
    FunctionalAcknowledgement,
    OrderAcknowledgement,
    OrderLine,
    PurchaseOrder,
    Receipt,
    Requisition,
    ShipNotice,
)


class ClaimRequest(Canonical):
    """A start as it came: bytes and encoding, under which workflow id, by which first run."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    case: str
    run: str
    data: bytes = b""
    encoding: str = "json/plain"
    door: str = "temporal"
    trace: str = ""
    as_of: datetime


class Claimed(Canonical):
    """What came of a claim.

    ``outcome``: claimed (go on), resumed (go on from ``carried``), duplicate (``first`` is the case that has it), conflict
    (same number, other content; or, with the ``reason``, an order no requisition made or a requisition under another
    process's name: listed for a person), unreadable (``problem``), misnamed (started under a wrong id).
    """

    outcome: str = Field(pattern="^(claimed|resumed|duplicate|conflict|unreadable|misnamed)$")
    case: str = ""
    first: str = ""
    generation: int = 1
    revision: int = 0
    carried: str = ""
    message: str = ""
    requisition: Requisition | None = None
    problem: Attention | None = None
    reason: Text = ""


class EnrichRequest(Canonical):
    """Look a requisition up in the register, as of a moment."""

    requisition: Requisition
    as_of: datetime


class EnrichedLine(Canonical):
    """A line that can be ordered: in order units, priced, with its supplier; or why it cannot (``problems``)."""

    line: OrderLine | None = None
    requisition_line: str
    supplier: SupplierCode | None = None
    ship_to: str = ""
    contract: str | None = None
    on_contract: bool = False
    at_par: bool = False
    capital: bool = False
    problems: tuple[Attention, ...] = ()


class Approver(Canonical):
    """Who may approve one level: each with a substitute, and who is away today."""

    id: EmployeeId
    substitute: EmployeeId | None = None
    away: bool = False


class ApprovalStep(Canonical):
    """One level of approval, with the people who may give it."""

    role: str
    why: str = ""
    approvers: tuple[Approver, ...] = ()


class Enriched(Canonical):
    """A requisition as the register completes it: lines, amount, budget, who approves, and what stands in the way."""

    lines: tuple[EnrichedLine, ...] = ()
    amount: Money
    problems: tuple[Attention, ...] = ()
    approvals: tuple[ApprovalStep, ...] = ()
    escalate_to: tuple[ApprovalStep, ...] = ()
    auto_approved: bool = False
    auto_reason: str = ""
    budget_left: Money | None = None
    policy: Policy
    calendar: BusinessCalendar = BusinessCalendar()


class OrdersRequest(Canonical):
    """Split approved lines into orders, give each its number and reserve its budget; asked twice, the same comes back.

    ``amount`` is what must be left of the budget; ``above_budget``: finance let this amount through although it is not.
    """

    case: str
    requisition: Requisition
    lines: tuple[EnrichedLine, ...]
    currency: str
    dated: date
    amount: Money | None = None
    above_budget: bool = False
    as_of: datetime | None = None


class OrderNumbers(Canonical):
    """The numbers of a requisition's orders, with their budget reserved; none where only ``budget_left`` is left."""

    numbers: tuple[OrderNumber, ...] = ()
    budget_left: Money | None = None


class Orders(Canonical):
    """The orders a requisition became; none where the budget no longer has the money (``problem``)."""

    orders: tuple[PurchaseOrder, ...] = ()
    problem: Attention | None = None


class OpenOrder(Canonical):
    """Claim an order's case, commit its budget, register the numbers a reply will carry, and read its rules.

    ``case``: the workflow id it runs under. ``goes_on``: its start says that it goes on from an earlier run; from where, our
    own store says (``Claimed.carried``).
    """

    order: PurchaseOrder
    run: str
    as_of: datetime
    case: str = ""
    goes_on: bool = False


class UnreadOrder(Canonical):
    """The start of an order's case that cannot be read, as it came: under which workflow id, by which first run, and why.

    ``reason`` begins with the path of what is wrong.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    case: str
    run: str
    data: bytes = b""
    reason: Text
    as_of: datetime


class OrderContext(Canonical):
    """What an order's case needs to know of its facility and supplier, and where an earlier run left it.

    ``packs``: per item, how many base units each unit holds. ``taken_back``: why the order's requisition takes it back, as
    our own store knew when this run went on; empty when it does not. ``carried_kept``: ``carried`` is what our own store kept,
    and all there is to go on from; false only in histories of before, whose start was believed. ``reason``: why it is a conflict.
    """

    outcome: str = Field(default="claimed", pattern="^(claimed|resumed|duplicate|conflict)$")
    generation: int = 1
    revision: int = 0
    carried: str = ""
    policy: Policy
    calendar: BusinessCalendar
    partner: Partner | None = None
    supplier: Supplier
    terms: Terms = Terms()
    taken_back: Text = ""
    carried_kept: bool = False
    reason: Text = ""
    packs: dict[str, dict[str, int]] = Field(default_factory=dict)


class BudgetMove(Canonical):
    """What is still committed of the budget for an order. Of two words the one of the later moment (``as_of``) holds."""

    facility: FacilityCode
    cost_centre: CostCentreCode
    order: OrderNumber
    committed: Money
    as_of: datetime


class SentDocument(Canonical):
    """A document that left us: its journal message and control numbers (ISA13, GS06, ST02)."""

    kind: str
    message: str
    interchange: str = ""
    group: str = ""
    transaction_set: str = ""
    file: str = ""
    already: bool = False


class SupplierDocument(Canonical):
    """A document for an order's case: exactly one of the nouns, and the journal message it came in.

    ``seal`` is set where it is given to the case (:mod:`canonical.seals`).
    """

    message: str = ""
    key: str
    acknowledgement: OrderAcknowledgement | None = None
    functional: FunctionalAcknowledgement | None = None
    ship_notice: ShipNotice | None = None
    invoice: Invoice | None = None
    receipt: Receipt | None = None
    payment: Payment | None = None
    cancelled_in_erp: bool = False
    attached_by: EmployeeId | None = None
    seal: str = ""


class DocumentsToCheck(Canonical):
    """Documents a case was given, as they came (JSON), in order: did we send them?"""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    case: str
    documents: tuple[bytes, ...]
    as_of: datetime


class CheckedDocuments(Canonical):
    """Which of the documents bear our seal, in the order asked; the others are kept with the case as they came."""

    sealed: tuple[bool, ...]


class OrderEnded(Canonical):
    """Told to the requisition's case when an order's case has ended."""

    order: OrderNumber
    case: str
    business_state: str
    lines: tuple[tuple[str, str], ...] = ()


class CaseQuestion(Canonical):
    """Ask how a case stands, by our own store."""

    case: str


class CaseFound(Canonical):
    """How a case stands; None when our own store does not know it."""

    status: CaseStatus | None = None


class InvoiceCheck(Canonical):
    """Ask whether an invoice was seen before (by supplier, number, date and total), for another or the same case."""

    case: str
    invoice: Invoice
    message: str = ""


class InvoiceSeen(Canonical):
    """Whether the invoice is a duplicate, and of which case's."""

    duplicate: bool = False
    first_case: str = ""
    reason: Text = ""


class SupplierQuestion(Canonical):
    """Read a supplier's row as it stands now (status, bank details)."""

    supplier: SupplierCode
    facility: FacilityCode
    as_of: datetime


class SendOrder(Canonical):
    """Send an order to its supplier; ``attempt`` above 1 is a person's re-send of the same document."""

    order: PurchaseOrder
    attempt: int = 1


class UnreadableDecision(Canonical):
    """A decision or document signal that does not fit, as it came. ``read``: it is a decision, and the case refused it."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    case: str
    data: bytes
    reason: Text
    at: datetime
    read: bool = False


class Alternatives(Canonical):
    """Other ways to get an item: supplier and catalogue number, in words."""

    item: str
    ways: tuple[str, ...] = ()


class AlternativesQuestion(Canonical):
    """Ask who else sells an item on that day."""

    facility: FacilityCode
    item: str
    but: SupplierCode
    as_of: date


class OrderStart(Canonical):
    """What an order's case starts with. Anyone may send one who reaches Temporal: none of it is believed unless our store has it.

    ``carried`` is set when it goes on as a new run; a run takes it as a hint to ask our store, which kept the same.
    """

    order: PurchaseOrder
    parent_case: str = ""
    carried: str = ""
