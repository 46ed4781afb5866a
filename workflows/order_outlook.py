"""What an order waits for and until when, what happens when that time is over, and how it stands in people's words."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from canonical.cases import Attention, CheckedDecision, State
    from canonical.matching import RECEIPT_MISSING
    from workflows.acknowledgements import LONGEST_PROMISE
    from workflows.order_decisions import Decisions
    from workflows.order_payments import payment_of
    from workflows.order_state import LineProgress

# What a person may say when a deadline has passed.
OVERDUE_VERBS = {
    "997": ("resend", "cancel"),
    "855": ("resend", "cancel"),
    "865": ("retry", "accept"),
    "hold": ("accept", "cancel"),
    "receipt": ("retry", "cancel"),
    "invoice": ("retry", "accept"),
}
OVERDUE_DOCUMENT = {"receipt": "goods"}

# What is parked under these is finance's to answer.
FINANCE = ("bank ", "ERP invoice ", "ERP payment ")

STATES = {
    "sent to supplier": State.SUBMITTED,
    "acknowledged": State.ACKNOWLEDGED,
    "payment due": State.POSTED,
    "paid, waiting for bank": State.POSTED,
}

Standing = tuple[str, str, datetime | None, str]  # state, owner, due, next action


class Outlook(Decisions):
    """Deadlines, and the one line everybody reads."""

    # -- time ----------------------------------------------------------------------------------------------------

    def _next_deadline(self) -> tuple[datetime, str] | None:
        waiting = [(when, what) for when, what, name in self._deadlines() if name not in self.progress.passed]
        return min(waiting, default=None)

    def _deadlines(self) -> list[tuple[datetime, str, str]]:
        """What is waited for: until when, in words, and the name under which it passes once."""
        progress = self.progress
        dues: list[tuple[datetime | None, str, str]] = [
            (progress.functional_due, "the supplier's system confirms our order (997)", "997"),
            (progress.answer_due, "the supplier answers our order (855)", "855"),
            (progress.hold_until, "the supplier ends its hold", "hold"),
            (progress.pending.due if progress.pending else None, "the supplier answers our change (865)", "865"),
            (progress.receipt_due, self._goods_in_words(), "receipt"),
            (progress.invoice_due if progress.unbilled() else None, "the supplier sends its invoice", "invoice"),
        ]
        dues += [
            (line.waits_until, f"line {line.line.number}: {line.state}", f"line {line.line.id}")
            for line in progress.lines
        ]
        for held in progress.invoices:
            released = held.released or not held.needs_release
            if held.state == "posted" and released and not self._waits(payment_of(held)):
                dues.append((held.pay_at, f"invoice {held.name} is due", f"pay {held.name} {held.attempt}"))
            if held.state == "paid":
                what = f"the bank confirms the payment of invoice {held.name}"
                dues.append((held.reconcile_by, what, f"bank {held.name}"))
        return [(when, what, name) for when, what, name in dues if when is not None]

    def _check_deadlines(self) -> None:
        """What is overdue needs a person, once."""
        self._expect_goods()
        now, progress = workflow.now(), self.progress
        for when, what, name in self._deadlines():
            if when > now or name in progress.passed or name.startswith("pay "):
                continue
            progress.passed.append(name)
            if name.startswith("line "):
                self._line_overdue(name.removeprefix("line "))
                continue
            verbs = OVERDUE_VERBS.get(name, ("retry", "accept"))
            document = OVERDUE_DOCUMENT.get(name, name)
            self._park(Attention(kind="timeout", reason=f"overdue: {what}", document=document, verbs=verbs))

    def _line_overdue(self, line_id: str) -> None:
        line = self.progress.line(line_id)
        if line is None or line.waits_until is None or line.ended:
            return
        line.waits_until = None
        reason, verbs = (
            f"line {line.line.number}: still {line.state} after the time we wait",
            ("accept", "refuse", "cancel"),
        )
        self._park(Attention(kind="timeout", reason=reason, line=line.line.id, verbs=verbs))

    def _expect_goods(self) -> None:
        """Goods the supplier said it will ship have a time to come in, also while no ship notice tells of them.

        From the day it names, or from now where it names none or one that is over; beyond a year it is asked about after one.
        """
        progress, now = self.progress, workflow.now()
        awaited = self._awaited()
        if progress.promised and not awaited:
            self._no_goods_due()
        if progress.receipt_due is not None or not awaited or self._giving_up():
            return
        # A name for each document read by then: a run that passed over it before this was mended stops at its next one.
        if not workflow.patched(f"goods-are-waited-for-{len(progress.seen)}"):
            return
        calendar, within = self._calendar(), timedelta(seconds=self.context.policy.receipt_within)
        today = now.date()  # what is promised may be any day of any year
        day = min(min(max(line.expected or today, today), today + LONGEST_PROMISE) for line in awaited)
        progress.receipt_due = calendar.add(max(calendar.begins(day), now), within)
        progress.promised = True
        self._not_passed("receipt")

    def _awaited(self) -> list[LineProgress]:
        """The lines the supplier will ship something of, as far as it said."""
        if self.progress.hold_until is not None:
            return []
        lines = [line for line in self.progress.lines if line.open and line.acknowledged]
        return [line for line in lines if line.proposal is None and line.waits_until is None]

    def _goods_in_words(self) -> str:
        if not self.progress.promised:
            return "the goods on their way are received"
        lines = [
            f"{line.line.number}{f' (promised for {line.expected})' if line.expected else ''}"
            for line in self._awaited()
        ]
        return f"the supplier delivers line {', '.join(lines)}"

    # -- how it stands -------------------------------------------------------------------------------------------

    def _state_after(self, checked: CheckedDecision) -> str:
        if self._giving_up() or self.held_by:
            return super()._state_after(checked)
        if not self.progress.sends:  # its first steps are tried, or tried again
            return "placing order"
        return (self._parked_state() or self._progress_state(None))[0]

    def _summarise(self) -> None:
        self.lines = self.progress.line_states()
        if self.held_by:
            self._say_if_new("on hold", "buyer", None, "resume when it may go on")
            return
        deadline = self._next_deadline()
        self._say_if_new(*(self._parked_state() or self._progress_state(deadline[0] if deadline else None)))

    def _parked_state(self) -> Standing | None:
        if not self.attention:
            return None
        first = min(self.attention, key=lambda a: a.kind == "unproven")  # what may be forged hides nothing genuine
        names = {a.document for a in self.attention}
        verbs = {verb for a in self.attention for verb in a.verbs}
        held = min(
            (i for i in self.progress.invoices if i.state == "held"),
            key=lambda i: i.outcome == RECEIPT_MISSING,
            default=None,
        )
        if first.kind == "timeout" and {"855", "997"} & names:
            return "supplier silent", "buyer", None, _act(first)
        if held is not None:
            owner = held.match.decides if held.match and held.match.decides else "finance"
            parked = next((a for a in self.attention if a.document == held.name), first)
            blocked = "receipt missing" if held.outcome == RECEIPT_MISSING else "invoice blocked"
            return blocked, owner, None, _act(parked)
        if any((a.document or "").startswith("receipt ") for a in self.attention):
            return "receipt unmatched", "receiving", None, _act(first)
        unreceived = next((a for a in self.attention if (a.document or "").endswith("/goods")), None)
        if unreceived is not None:
            return "payment blocked", "finance", None, _act(unreceived)
        if "release" in verbs:
            return "payment to release", "finance", None, _act(first)
        if any((a.document or "").endswith("/bank") for a in self.attention):
            return "payment blocked", "finance", None, _act(first)
        if first.line is not None:
            return "change to decide", "buyer", None, _act(first)
        return (
            "needs attention",
            "finance" if (first.document or "").startswith(FINANCE) else "buyer",
            None,
            _act(first),
        )

    def _progress_state(self, due: datetime | None) -> Standing:
        progress = self.progress
        states = {invoice.state for invoice in progress.invoices}
        lines_open = [line for line in progress.lines if line.open]
        if progress.hold_until is not None:
            return "held by supplier", "supplier", due, "the supplier ends its hold"
        if not lines_open:
            return self._billing_state(states, due)
        if any(line.received > 0 for line in progress.lines):
            return "partly received", "supplier", due, "the rest is delivered"
        if any(line.state == "back-ordered" for line in lines_open):
            return "back-ordered", "supplier", due, "the supplier ships when it has the goods"
        if any(line.shipped > 0 for line in progress.lines):
            return "shipped", "receiving", due, "the goods are received"
        if progress.answered:
            return "acknowledged", "supplier", due, "the supplier ships"
        return "sent to supplier", "supplier", due, "the supplier answers"

    def _billing_state(self, states: set[str], due: datetime | None) -> Standing:
        if self.progress.pending is not None:
            return "waiting for the supplier", "supplier", due, "the supplier answers our change (865)"
        if "posted" in states:
            return "payment due", "finance", due, "paid at terms"
        if self.progress.unbilled():
            here = "used" if self.progress.order.after_use else "received"
            return here, "supplier", due, "the supplier sends its invoice"
        if "paid" in states:
            return "paid, waiting for bank", "bank", due, "the bank confirms the payment"
        return "received", "supplier", due, "the supplier sends its invoice"

    def _say_if_new(self, business_state: str, owner: str, due: datetime | None, next_action: str) -> None:
        standing = (self.business_state, self.owner, self.next_action)
        if standing != (business_state, owner, next_action) or self._dirty:
            self._say(business_state, state=STATES.get(business_state), owner=owner, due=due, next_action=next_action)


def _act(parked: Attention) -> str:
    return f"{parked.reason} (one of: {', '.join(parked.verbs)})"
