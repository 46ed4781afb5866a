"""What other systems hear from us: each business event by its versioned name, and what it says.

The envelope (:class:`canonical.cases.BusinessEvent`) names the case, the facility and the moment. The data is a flat object
of texts, so that any subscriber can read it: amounts are exact decimals with their currency (``12.50 USD``), dates are ISO
8601, lists are separated by blanks. A field is added with a default and never removed or renamed; another meaning is another
version of the event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from canonical.base import Canonical

Amount = Annotated[str, StringConstraints(pattern=r"^(-?[0-9]+(\.[0-9]+)? [A-Z]{3})?$")]
Day = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
Count = Annotated[str, StringConstraints(pattern=r"^[0-9]*$")]
Flag = Annotated[str, StringConstraints(pattern=r"^(true|false)?$")]


class RequisitionEvent(Canonical):
    """What every event about a requisition says."""

    number: str = ""
    source: str = ""
    department: str = ""
    cost_centre: str = ""
    amount: Amount = ""


class RequisitionReceived(RequisitionEvent):
    """A department asked for something, and we hold it."""

    needed_by: Day = ""
    emergency: Flag = ""
    lines: Count = ""


class RequisitionApproved(RequisitionEvent):
    """Everyone who must approve has (``by``, employee ids), or the rules needed nobody (``policy``; ``why`` names the rule)."""

    by: str = ""
    why: str = ""


class ApprovalOverdue(RequisitionEvent):
    """Nobody has approved in time; ``what`` is what follows: remind, substitute or escalate."""

    what: str = ""


class RequisitionAttentionOverdue(RequisitionEvent):
    """Nobody answers something parked (``kind``, ``reason``, on ``line`` or ``document``); ``what`` follows: remind or escalate."""

    what: str = ""
    owner: str = ""
    kind: str = ""
    reason: str = ""
    line: str = ""
    document: str = ""
    since: str = ""


class RequisitionRefused(RequisitionEvent):
    """An approver said no, or the requisition was cancelled before it was ordered. ``reason`` says which, never a person's words."""

    reason: str = ""


class RequisitionLinesChanged(RequisitionEvent):
    """For the department's own system: the orders its lines went to, and where they are."""

    orders: str = ""
    lines: str = ""
    state: str = ""


class OrderEvent(Canonical):
    """What every event about an order says."""

    order: str = ""
    supplier: str = ""
    requisition: str = ""
    cost_centre: str = ""
    lines: str = ""
    amount: Amount = ""


class OrderIssued(OrderEvent):
    """The order is in the ERP and has left for the supplier."""

    ship_to: str = ""
    needed_by: Day = ""


class OrderAcknowledged(OrderEvent):
    """The supplier answered the order; ``code`` is what it said of the whole."""

    code: str = ""
    expected: Day = ""


class OrderChanged(OrderEvent):
    """The order was changed after it was issued, by us or with our consent."""

    sequence: Count = ""
    reason: str = ""


class OrderShipped(OrderEvent):
    """The supplier says goods are on their way."""

    shipment: str = ""
    expected: Day = ""
    carrier: str = ""
    tracking: str = ""


class OrderClosed(OrderEvent):
    """Nothing more is expected of the order."""

    business_state: str = ""


class OrderCancelled(OrderEvent):
    """The order was taken back. ``reason`` says how, never a person's words."""

    reason: str = ""


class OrderAttentionOverdue(OrderEvent):
    """Nobody answers something parked (``kind``, ``reason``, on ``line`` or ``document``); ``what`` follows: remind or escalate."""

    what: str = ""
    owner: str = ""
    kind: str = ""
    reason: str = ""
    line: str = ""
    document: str = ""
    since: str = ""


class ReceiptPosted(OrderEvent):
    """Goods were taken in and the ERP holds the receipt."""

    receipt: str = ""


class InvoicePosted(OrderEvent):
    """An invoice passed the match and the ERP holds it; ``debit_memo`` is what of it we do not accept."""

    invoice: str = ""
    payable: Amount = ""
    debit_memo: Amount = ""


class InvoiceHeld(OrderEvent):
    """An invoice waits for a person; ``outcome`` names the rule it broke."""

    invoice: str = ""
    outcome: str = ""
    reason: str = ""


class PaymentReleased(OrderEvent):
    """A payment may go to the bank."""

    invoice: str = ""
    pay_on: Day = ""
    discount: Amount = ""


class PaymentReconciled(OrderEvent):
    """The bank has paid."""

    invoice: str = ""
    payment: str = ""


class RecallEvent(Canonical):
    """What every event about a recall says: its class (I, II, III) and how many of its tasks wait, are answered, are late."""

    number: str = ""
    classification: str = ""
    open: Count = ""
    answered: Count = ""
    overdue: Count = ""


class RecallOpened(RecallEvent):
    """Something of what is recalled was used here or is held here; ``added``: the tasks this opened."""

    added: Count = ""


class RecallAttentionOverdue(RecallEvent):
    """Nobody answers (``kind``, ``reason``, ``document``: tasks, scope or status); ``what`` follows: remind or escalate."""

    what: str = ""
    owner: str = ""
    kind: str = ""
    reason: str = ""
    line: str = ""
    document: str = ""
    since: str = ""


class RecallAnswered(RecallEvent):
    """Each of its tasks is answered."""


class RecallClosed(RecallEvent):
    """A person closed it; ``blocked``: whether what it means stays stopped."""

    blocked: Flag = ""


class OnboardingEvent(Canonical):
    """What every event about a clinician's case says: an opaque key of the person, how the case stands, the role and where."""

    person: str = ""
    headline: str = ""
    role: str = ""
    department: str = ""
    cost_centre: str = ""


class OnboardingChanged(OnboardingEvent):
    """The case stands otherwise than ``before``; ``stopped``: checks that stop everything (``licence:IL=expired``, separated by
    blanks); ``taken_back``: whatever was given is being taken back."""

    before: str = ""
    stopped: str = ""
    taken_back: Flag = ""


class OnboardingOpened(OnboardingChanged):
    """Somebody is to work at a facility, or works there, and we have begun to see to it."""


class OnboardingAttentionOverdue(OnboardingEvent):
    """Nobody answers (``kind``, ``reason``, ``document``: tasks, stopped, a side of access); ``what`` follows: remind or escalate."""

    what: str = ""
    owner: str = ""
    kind: str = ""
    reason: str = ""
    line: str = ""
    document: str = ""
    since: str = ""


class OnboardingClosed(OnboardingEvent):
    """The employment is over, or never began, and every system was seen to have nothing of the person any more."""


class AccessEvent(Canonical):
    """What every event about somebody's access says: whose (our opaque key), and in which target."""

    person: str = ""
    target: str = ""


class AccessCrossed(AccessEvent):
    """A write crossed a revocation block, and was undone at once."""


class AccessEnabledOutside(AccessEvent):
    """An account that we took away was found on again: nobody of ours switched it on."""


class AccessAttentionOverdue(AccessEvent):
    """Nobody mends what a target refuses (``kind``, ``reason``, ``document``: the target); ``what`` follows: remind or escalate."""

    what: str = ""
    owner: str = ""
    kind: str = ""
    reason: str = ""
    line: str = ""
    document: str = ""
    since: str = ""


class RevocationEvent(Canonical):
    """What every event about a revocation says: whose, and which targets are confirmed off and which are not."""

    person: str = ""
    confirmed: str = ""
    missing: str = ""


class RevocationConfirmed(RevocationEvent):
    """All access was seen off twice; ``seconds`` since the block."""

    seconds: str = ""


class RevocationEscalated(RevocationEvent):
    """A revocation is not confirmed in the time the policy gives it."""


class RevocationAttentionOverdue(AccessAttentionOverdue):
    """It still is not; ``what`` follows: remind or escalate."""


EVENTS: dict[str, type[Canonical]] = {
    "requisition.received.v1": RequisitionReceived,
    "requisition.approved.v1": RequisitionApproved,
    "requisition.approval_overdue.v1": ApprovalOverdue,
    "requisition.attention_overdue.v1": RequisitionAttentionOverdue,
    "requisition.refused.v1": RequisitionRefused,
    "requisition.lines_changed.v1": RequisitionLinesChanged,
    "order.issued.v1": OrderIssued,
    "order.acknowledged.v1": OrderAcknowledged,
    "order.changed.v1": OrderChanged,
    "order.shipped.v1": OrderShipped,
    "order.attention_overdue.v1": OrderAttentionOverdue,
    "order.closed.v1": OrderClosed,
    "order.cancelled.v1": OrderCancelled,
    "receipt.posted.v1": ReceiptPosted,
    "invoice.posted.v1": InvoicePosted,
    "invoice.held.v1": InvoiceHeld,
    "payment.released.v1": PaymentReleased,
    "payment.reconciled.v1": PaymentReconciled,
    "recall.opened.v1": RecallOpened,
    "recall.attention_overdue.v1": RecallAttentionOverdue,
    "recall.answered.v1": RecallAnswered,
    "recall.closed.v1": RecallClosed,
    "onboarding.opened.v1": OnboardingOpened,
    "onboarding.changed.v1": OnboardingChanged,
    "onboarding.attention_overdue.v1": OnboardingAttentionOverdue,
    "onboarding.closed.v1": OnboardingClosed,
    "access.crossed.v1": AccessCrossed,
    "access.enabled_outside.v1": AccessEnabledOutside,
    "access.attention_overdue.v1": AccessAttentionOverdue,
    "revocation.confirmed.v1": RevocationConfirmed,
    "revocation.escalated.v1": RevocationEscalated,
    "revocation.attention_overdue.v1": RevocationAttentionOverdue,
}
