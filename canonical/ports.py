"""The verbs: what we ask of an ERP, a supplier, a mailbox, our journal, register, cases and engine.

Adapters, the store and fakes implement these Protocols; ``workers.wiring`` chooses which. Every call may be made twice and
then has one effect (our key goes with it). Raised everywhere: Unavailable, Throttled, Rejected, Malformed
(:mod:`canonical.errors`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from pydantic import Field

from canonical.base import Canonical, Money
from canonical.cases import Answer, CaseChange, CaseStatus, CheckedDecision, Decision, DecisionToCheck, Trouble
from canonical.erp_steps import CostCentreActual, ErpChanges, ErpOrder, ErpReceipt
from canonical.invoicing import InvoicePosting, PaymentOrder, Remittance
from canonical.messages import Asking, KeepResult, Kept, Move, NewMessage
from canonical.parties import CostCentre, Department, Employee, Facility, Location, Partner, Policy, Supplier
from canonical.purchasing import GoodsReturn, OrderChange, PurchaseOrder, Requisition
from canonical.steps import (
    BudgetMove,
    CheckedDocuments,
    Claimed,
    ClaimRequest,
    DocumentsToCheck,
    InvoiceCheck,
    InvoiceSeen,
    OpenOrder,
    OrderNumbers,
    OrdersRequest,
    SentDocument,
    SupplierDocument,
    UnreadOrder,
)
from canonical.stock_ports import StockErp
from canonical.supply import ContractPrice, Item


class MasterData(Canonical):
    """What the ERP is the authority for."""

    items: tuple[Item, ...] = ()
    suppliers: tuple[Supplier, ...] = ()
    cost_centres: tuple[CostCentre, ...] = ()
    locations: tuple[Location, ...] = ()
    employees: tuple[Employee, ...] = ()


class Erp(StockErp, Protocol):
    """The facility's enterprise resource planning system. ``today``-like dates come as fields of the argument."""

    async def create_purchase_order(self, order: PurchaseOrder) -> ErpReceipt:
        """Create and confirm the order, once, under ``order.case_id + '/create/' + order.number``."""
        ...

    async def change_purchase_order(self, change: OrderChange) -> ErpReceipt:
        """Change quantity, price or date of lines, or end a line's open rest."""
        ...

    async def cancel_purchase_order(self, change: OrderChange) -> ErpReceipt:
        """Take back what is not yet received. Rejected when goods were received and not returned."""
        ...

    async def return_goods(self, goods: GoodsReturn) -> ErpReceipt:
        """Book received goods back to the supplier."""
        ...

    async def post_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        """Post the supplier's invoice as billed; with a debit memo above zero, post that credit note too (``related``)."""
        ...

    async def pay_invoice(self, payment: PaymentOrder) -> ErpReceipt:
        """Instruct the payment of a posted invoice, net of its debit memo and discount; the bank's word comes later."""
        ...

    async def cancel_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        """Take back a posted, unpaid invoice."""
        ...

    async def purchase_order(self, facility: str, number: str) -> ErpOrder:
        """The order as it stands, with receipts, invoices, payments, returns."""
        ...

    async def changes(self, facility: str, since: datetime) -> ErpChanges:
        """Receipts, cancellations and payments that changed since then, of orders that carry our key."""
        ...

    async def actuals(self, facility: str, from_day: date, to_day: date) -> Sequence[CostCentreActual]:
        """What is booked on each cost centre between two days."""
        ...

    async def master_data(self, facility: str) -> MasterData:
        """Items, suppliers, cost centres, locations as the ERP holds them."""
        ...


class SupplierChannel(Protocol):
    """The way to one supplier. A repeat under the same key puts the same bytes under the same control numbers."""

    async def send_order(self, order: PurchaseOrder, partner: Partner, attempt: int = 1) -> SentDocument:
        """850. ``attempt`` above 1 is a person's re-send: the same document again, on purpose."""
        ...

    async def send_change(self, change: OrderChange, partner: Partner) -> SentDocument:
        """860."""
        ...

    async def send_remittance(self, remittance: Remittance, partner: Partner) -> SentDocument:
        """820."""
        ...


class ControlNumbers(Canonical):
    """The numbers of one outbound interchange: ISA13, GS06, ST02; and when they were given (ISA09, ISA10)."""

    interchange: int
    group: int
    transaction_set: int
    given_at: datetime


class Numbering(Protocol):
    """Control numbers, persisted: the same key always has the same numbers."""

    async def control_numbers(self, partner: str, key: str, *, case: str, kind: str) -> ControlNumbers:
        """The numbers for this key, given now or before. A reply's number is thereby known before anything leaves."""
        ...


class Journal(Protocol):
    """Every message in or out, bytes as received. Nothing is acknowledged before it is in here."""

    async def keep(self, message: NewMessage) -> KeepResult:
        """Keep it whole, or find that it is here already."""
        ...

    async def keep_many(self, messages: Sequence[NewMessage]) -> Sequence[KeepResult]:
        """Keep many, in their order, each as :meth:`keep` would; nothing is told before all of it is durable."""
        ...

    async def mark(
        self, message: str, state: str, *, reason: str = "", case: str = "", kind: str = "", control_number: str = ""
    ) -> None:
        """Move a message to received, validated, routed, refused, dead, corrected, skipped, sent or acknowledged; with the reason."""
        ...

    async def mark_many(self, moves: Sequence[Move]) -> None:
        """Make many moves, all or none, each as :meth:`mark` would."""
        ...

    async def answered(self, message: str, answer: str) -> None:
        """Link the message that answers this one (its 997, TA1 or reply)."""
        ...

    async def read(self, message: str) -> Kept | None:
        """The message with its bytes, or None."""
        ...

    async def history(self, message: str) -> Sequence[tuple[str, str, datetime]]:
        """Every state it had, in their order: which, why, since when."""
        ...

    async def kept_under(self, prefix: str) -> Sequence[Kept]:
        """What came in under keys that begin so, in the order it was kept; conflicts left out."""
        ...

    async def unrouted(self, older_than: datetime, limit: int = 100, *, after: Kept | None = None) -> Sequence[Kept]:
        """What was kept outside any stream and is not routed, oldest first, for the sweep; ``after``: the page before's last."""
        ...

    async def next_to_route(
        self, shard: int | Collection[int], of: int, limit: int = 500, *, without: Collection[str] = ()
    ) -> Sequence[Kept]:
        """What came in streams of this shard (or of several) and is not yet routed: urgent first, with what waits before it there.

        Streams that are parked are left out, and those in ``without``. Who routes a stream's messages one after the other, in
        the order given, keeps its order.
        """
        ...

    async def park(self, stream: str, message: str, reason: str) -> None:
        """Let a stream wait behind one of its messages until a person has dealt with that."""
        ...

    async def unpark(self, stream: str) -> None:
        """Let a stream go on; one that is not parked stays as it is."""
        ...


class Outbound(Protocol):
    """What leaves us by channels: kept and queued, sent in order by whoever sends for the channel."""

    async def put(self, channel: str, message: NewMessage) -> KeepResult:
        """Keep a message and queue it, once under its key; ``control_number`` is its MSH-10, unlike any other's there."""
        ...


class Announcement(Canonical):
    """What a door learnt when it announced a case: new, same (content seen before) or conflict; has a run taken it yet?"""

    outcome: str = Field(pattern="^(new|same|conflict)$")
    case: str
    started: bool = False


class Unmatched(Canonical):
    """A document without an open case, for a person to attach or set aside. ``document`` is a SupplierDocument in JSON."""

    id: str
    kind: str
    number: str = ""
    supplier: str = ""
    order: str = ""
    facility: str = ""
    reason: str = ""
    message: str = ""
    state: str = "open"
    at: datetime
    document: str = ""
    case: str = ""


class Cases(Protocol):
    """Claims, the read model of cases, decisions and unmatched documents in our own store."""

    async def announce(self, case: str, content_hash: str, message: str, content: str = "") -> Announcement:
        """A door says it will start this case; unless it is a conflict, the message is validated and the case's from now on.

        ``content`` is the requisition in JSON, where the message says it in other words: a run that was started with what
        cannot be read goes on with it, and so does a successor.
        """
        ...

    async def keep_asking(self, asking: Sequence[Asking]) -> Sequence[KeepResult]:
        """Keep messages in their order, each as the journal would, and announce what each asks for, by one commit.

        Whose message is kept and validated, its case is announced by it. Any other case was asked for before, or its message
        was kept before: it is announced by itself, which says what is there.
        """
        ...

    async def claim(self, request: ClaimRequest) -> Claimed:
        """Journal the bytes of a start, read them strictly and claim the case for its first run."""
        ...

    async def open_order(self, request: OpenOrder) -> Claimed:
        """Claim an order's case; commit its budget; register order number and supplier for replies.

        The first claim is for the order as its requisition's case numbered it, while that case is open; anything else is a
        conflict, listed among the unmatched with the reason, and commits and registers nothing.
        """
        ...

    async def keep_unread_order(self, start: UnreadOrder) -> None:
        """Keep the start of an order's case that cannot be read as it came, and list it for a person: nothing is claimed.

        Once for each run and content, however often it is asked.
        """
        ...

    async def order_numbers(
        self, request: OrdersRequest, groups: Mapping[str, Money], contents: Mapping[str, str]
    ) -> OrderNumbers:
        """A number for each group of lines, and the group's amount reserved of the budget, in one step; once, when asked again.

        ``contents``: of each group, the hash of the order it becomes, its number left out
        (:func:`canonical.purchasing.numbered_content`); asked again, the last word holds, and where the amounts are others
        too, the budget is asked again, for as long as the order's case has not begun.

        Of two requisitions that ask for the last money at once one gets it; the other hears what is left, and nothing is
        numbered or reserved.
        """
        ...

    async def was_used(self, requisition: Requisition) -> bool:
        """Whether a use in our own store asked for exactly this order after use."""
        ...

    async def record(self, change: CaseChange) -> None:
        """Write the case as it stands, its documents, lineage and outbox events, in one transaction.

        A requisition that ends without orders frees what it had reserved of its budget.
        """
        ...

    async def status(self, case: str) -> CaseStatus | None:
        """The case as the read model has it."""
        ...

    async def keep_reason(self, case: str, decision: str, reason: str) -> None:
        """Keep the text of a decision's reason under the decision's id; the first one stays."""
        ...

    async def check(self, request: DecisionToCheck) -> CheckedDecision:
        """Check a decision's seal and find the person and roles behind it; the reason's text goes no further than our store."""
        ...

    async def check_documents(self, request: DocumentsToCheck) -> CheckedDocuments:
        """Check the seals of documents a case was given; one without a valid seal is kept as it came, with the reason."""
        ...

    async def keep_unreadable_decision(
        self, case: str, data: bytes, reason: str, at: datetime, *, read: bool = False
    ) -> None:
        """A decision that does not fit is written to the case with the reason, never dropped. ``read``: the case refused it."""
        ...

    async def trouble(self, trouble: Trouble) -> None:
        """Show (or clear: without a system's name, of any) on the case that an outside system does not answer."""
        ...

    async def move_budget(self, move: BudgetMove) -> None:
        """Set what is committed for an order on its cost centre."""
        ...

    async def check_invoice(self, check: InvoiceCheck) -> InvoiceSeen:
        """Remember the invoice for this case, or say whose it was first."""
        ...

    async def order_case(self, order: str, supplier: str = "") -> str | None:
        """The case of an order number as the supplier writes it, open or not; None when unknown."""
        ...

    async def case_of_control_number(self, partner: str, kind: str, number: str) -> str | None:
        """The case whose outbound interchange (kind TA1) or group (kind 997) had this number."""
        ...

    async def put_unmatched(self, document: Unmatched) -> None:
        """List a document that has no open case."""
        ...

    async def settle_unmatched(self, messages: Sequence[str], why: str) -> None:
        """What was listed of messages that were taken after all waits for nobody any more."""
        ...


class Register(Protocol):
    """Master data, as of a day."""

    async def facility(self, code: str) -> Facility | None: ...
    async def department(self, facility: str, code: str) -> Department | None: ...
    async def location(self, facility: str, code: str) -> Location | None: ...
    async def item(self, facility: str, code: str) -> Item | None: ...
    async def item_by_catalogue(self, facility: str, supplier: str, catalogue_number: str) -> Item | None: ...
    async def supplier(self, code: str) -> Supplier | None: ...
    async def partner(self, supplier: str) -> Partner | None: ...
    async def contract_prices(self, facility: str, item: str, as_of: date) -> Sequence[ContractPrice]: ...
    async def cost_centre(self, facility: str, code: str) -> CostCentre | None: ...
    async def committed(self, facility: str, cost_centre: str, but: str = "") -> Money | None:
        """What orders promise of a cost centre, those of the requisition's case ``but`` left out."""
        ...

    async def employee(self, facility: str, person: str) -> Employee | None: ...
    async def employee_by_login(self, facility: str, login: str) -> Employee | None:
        """The active person of a facility behind a shell login."""
        ...

    async def employees(self, facility: str, role: str) -> Sequence[Employee]: ...
    async def policy(self, facility: str, as_of: date) -> Policy: ...
    async def confirm_bank(self, supplier: str, fingerprint: str, by: Employee, at: datetime) -> Supplier:
        """A person has checked these bank details with the supplier. Rejected: they changed again, or this person changed them."""
        ...


class Engine(Protocol):
    """Temporal as doors see it."""

    async def start_requisition(self, case: str, data: bytes, *, trace: str = "") -> str:
        """Start the case of a requisition; returns its run id.

        Empty where a run stands under its name already (begun by another door, perhaps with something nobody could read):
        that one is told to look again, and takes what was announced if it has nothing better.
        """
        ...

    async def look_again(self, case: str) -> bool:
        """Tell a waiting case that what it waits for may have changed outside; False when no open case has that name."""
        ...

    async def deliver(self, case: str, document: SupplierDocument) -> bool:
        """Signal a document to an open case; False when no open case has that name."""
        ...

    async def decide(self, case: str, decision: Decision) -> Answer:
        """Give a decision by update; raises Rejected with the case's reason, Unavailable when nothing decided it."""
        ...
