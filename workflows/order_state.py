"""How far an order has come, line by line and invoice by invoice: what a case holds and a successor goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from canonical.base import LineId, Money
from canonical.cases import Answer, Attention, LineState
from canonical.invoicing import Invoice, InvoicePosting, PaymentOrder
from canonical.matching import Match, Progress
from canonical.purchasing import OrderLine, PurchaseOrder, Receipt
from canonical.steps import SupplierDocument

PAID = ("paid", "reconciled")
LET_THROUGH = ("to_post", "posted", "unreceived", "blocked")


class Held(BaseModel):
    """State of a running case: mutable, tolerant, written as JSON with every change."""

    model_config = ConfigDict(extra="ignore")


class Proposal(Held):
    """What the supplier proposes for a line, until a person takes or refuses it."""

    code: str
    price: Money | None = None
    quantity: Decimal | None = None
    supplier_item: str = ""
    dated: date | None = None


class LineProgress(Held):
    """One order line: ordered as it now stands, and what became of it. Quantities in the order unit."""

    line: OrderLine
    state: str = "ordered"
    acknowledged: bool = False
    shipped: Decimal = Decimal(0)
    received: Decimal = Decimal(0)
    returned: Decimal = Decimal(0)
    invoiced: Decimal = Decimal(0)
    accepted_over: Decimal = Decimal(0)
    expected: date | None = None
    waits_until: datetime | None = None
    proposal: Proposal | None = None
    ended: str = ""
    answered: str = ""  # what the supplier last said of it, so that the same word again changes nothing

    @property
    def over(self) -> Decimal:
        """What is here beyond the order and nobody has agreed to keep."""
        return max(self.kept - self.line.quantity.value - self.accepted_over, Decimal(0))

    @property
    def open(self) -> bool:
        """Whether goods are still to come."""
        return not self.ended and self.received < self.line.quantity.value

    @property
    def kept(self) -> Decimal:
        """What came and stayed."""
        return self.received - self.returned


def begun(line: OrderLine, *, used: bool) -> LineProgress:
    """A line as its order begins; of one after use everything is here, and gone."""
    if not used:
        return LineProgress(line=line)
    return LineProgress(line=line, state="used", received=line.quantity.value)


class InvoiceProgress(Held):
    """One invoice. ``state``: new, matching, held, to_post, posted, unreceived, blocked, paid, reconciled, refusing, refused,
    cancelled.

    ``name`` is its number, or a number of its own where the supplier used one twice. ``asked``: what the ERP was asked to
    post, and may hold whatever it answered. ``paying``: the attempt the ERP was last asked to pay. ``goods``: of what it
    bills, how much was here when it was matched, by line in the order unit; None: matched by a run that did not keep it.
    ``bank_seen``: the fingerprint of the bank details its payment was parked for; ``bank_changed_by``: who, where known,
    changed them.
    """

    invoice: Invoice
    name: str = ""
    message: str = ""
    state: str = "new"
    outcome: str = ""
    match: Match | None = None
    goods: dict[LineId, Decimal] | None = None
    short: bool = False
    decided_by: list[str] = Field(default_factory=list)
    asked: InvoicePosting | None = None
    posting: InvoicePosting | None = None
    pay_at: datetime | None = None
    needs_release: str = ""
    released: bool = False
    payment: PaymentOrder | None = None
    attempt: int = 1
    paying: int = 0
    discount_until: datetime | None = None
    net_due: datetime | None = None
    reconcile_by: datetime | None = None
    paid_as: str = ""
    remitted: bool = False
    claimed_back: bool = False
    bank_seen: str = ""
    bank_changed_by: str = ""
    several: bool = False

    @property
    def final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("reconciled", "refused", "cancelled")

    @property
    def let_through(self) -> bool:
        """Whether it is on its way into the books, or was: what it bills no other invoice may bill again."""
        return self.state in ("to_post", "refusing")

    def accepted(self, line_id: LineId) -> Decimal:
        """How much of a line it bills and we accept, in the order unit."""
        lines = [line for line in self.match.lines if line.line == line_id] if self.match else []
        return sum(((line.accepted if self.short else line.billed).value for line in lines), Decimal(0))

    def needs(self, line_id: LineId) -> Decimal:
        """How much of a line must be here for it to be posted and paid, in the order unit."""
        return self.accepted(line_id) if self.goods is None else self.goods.get(line_id, Decimal(0))


class PendingChange(Held):
    """An 860 that waits for its 865."""

    sequence: int
    cancel: bool
    lines: list[LineId] = Field(default_factory=list)
    due: datetime
    answer: str = ""


class OrderProgress(Held):
    """All of an order's case that matters when it goes on in another run."""

    order: PurchaseOrder
    parent_case: str = ""
    placing: bool = False  # the ERP was asked, and may hold it
    placed: bool = False
    sending: bool = False  # the 850 may have left
    sends: int = 0
    resend: bool = False
    functional: str = ""
    answered: bool = False
    answer_due: datetime | None = None
    functional_due: datetime | None = None
    hold_until: datetime | None = None
    lines: list[LineProgress] = Field(default_factory=list)
    invoices: list[InvoiceProgress] = Field(default_factory=list)
    changes: int = 0
    pending: PendingChange | None = None
    to_amend: list[LineId] = Field(default_factory=list)
    to_end: list[LineId] = Field(default_factory=list)
    to_return: list[LineId] = Field(default_factory=list)
    returns: int = 0
    shipments: dict[str, dict[str, Decimal]] = Field(default_factory=dict)
    receipts: list[str] = Field(default_factory=list)  # keys counted by runs of before ``told_receipts``; only read
    told_receipts: dict[str, Receipt] = Field(default_factory=dict)  # the newest told under each key
    seen: list[str] = Field(default_factory=list)
    unproven: dict[str, SupplierDocument] = Field(default_factory=dict)  # without a valid seal: a person decides
    vouched: list[SupplierDocument] = Field(default_factory=list)  # of those, what a person took, not yet read
    passed: list[str] = Field(default_factory=list)
    cancelling: str = ""
    cancelled: bool = False
    cancelled_in_erp: bool = False
    rejected: str = ""
    bank_seen: str = ""  # the newest any payment was parked for
    bank_confirmed: str = ""
    held_by: str = ""
    attention: list[Attention] = Field(default_factory=list)
    parked: list[Attention] = Field(default_factory=list)
    last_receipt: datetime | None = None
    receipt_due: datetime | None = None
    promised: bool = False  # that time is for goods the supplier said it will ship, not for goods on their way
    invoice_due: datetime | None = None
    unbilled_accepted: bool = False
    supplier_free: bool = False
    erp_number: str = ""
    revision: int = 0
    answers: dict[str, Answer] = Field(default_factory=dict)

    def line(self, line_id: LineId | None) -> LineProgress | None:
        """The line of that id."""
        return next((line for line in self.lines if line.line.id == line_id), None)

    def by_number(self, number: int | None, supplier_item: str) -> LineProgress | None:
        """The line a supplier means: by PO101, else by the catalogue number alone where only one has it."""
        if number is not None:
            found = next((line for line in self.lines if line.line.number == number), None)
            if found is not None:
                return found
        same = [line for line in self.lines if supplier_item and line.line.supplier_item == supplier_item]
        return same[0] if len(same) == 1 else None

    def invoice(self, name: str | None) -> InvoiceProgress | None:
        """The invoice of that name."""
        return next((i for i in self.invoices if i.name == name), None)

    def current(self) -> PurchaseOrder:
        """The order as it now stands, lines changed."""
        return self.order.model_copy(update={"lines": tuple(line.line for line in self.lines)})

    def before(
        self, packs: dict[str, dict[str, int]], others: Sequence[InvoiceProgress] = ()
    ) -> dict[LineId, Progress]:
        """What the match needs to know of each line. What ``others`` bill counts as billed, though it is not posted yet."""
        return {
            line.line.id: Progress(
                received=line.kept,
                invoiced=line.invoiced + sum((other.accepted(line.line.id) for other in others), Decimal(0)),
                more_expected=line.open,
                units=packs.get(line.line.item, {}),
            )
            for line in self.lines
        }

    def lacking(self, held: InvoiceProgress) -> list[LineProgress]:
        """The lines of which less is here than when the invoice was matched: a receipt was taken back, or goods returned.

        What is here counts for paid invoices first, then for the others in the order they came, as far as it goes.
        """
        left = {line.line.id: line.kept for line in self.lines}
        asking = [one for one in self.invoices if one is held or one.state in (*LET_THROUGH, *PAID)]
        for one in sorted(asking, key=lambda one: one.state not in PAID):
            lacking = [line for line in self.lines if one.needs(line.line.id) > max(left[line.line.id], Decimal(0))]
            if one is held:
                return lacking
            if not lacking or one.state in PAID:
                left = {line_id: count - one.needs(line_id) for line_id, count in left.items()}
        return []

    def settled(self) -> bool:
        """Whether every line has come or ended, and everything that came is billed and paid."""
        if any(line.open for line in self.lines) or any(not invoice.final for invoice in self.invoices):
            return False
        return self.unbilled_accepted or not self.unbilled()

    def unbilled(self) -> bool:
        """Whether something came that no invoice asks for yet."""
        return any(line.invoiced < line.kept for line in self.lines)

    def committed(self) -> Money:
        """What of the order's amount is still to be billed: what stays committed in the budget."""
        still = [
            line.line.unit_price.times(
                max((line.kept if line.ended else line.line.quantity.value) - line.invoiced, Decimal(0))
            )
            for line in self.lines
        ]
        amount = sum((money.rounded().amount for money in still), Decimal(0))
        return Money(amount=amount, currency=self.order.currency)

    def line_states(self) -> list[LineState]:
        """The lines as people see them."""
        return [
            LineState(
                line=line.line.id,
                requisition_line=line.line.requisition_line,
                order=self.order.number,
                item=line.line.item,
                state=line.ended or line.state,
                expected=line.expected.isoformat() if line.expected else "",
                ordered=line.line.quantity.value,
                shipped=line.shipped,
                received=line.kept,
                invoiced=line.invoiced,
                unit=line.line.quantity.unit,
                base_units=line.line.base_units,
                ended=bool(line.ended),
            )
            for line in self.lines
        ]
