"""One order at one supplier, from the ERP to the last payment. Ordered once, whatever fails; nothing paid unmatched."""

from __future__ import annotations

import asyncio
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.erp import ErpActivities
    from canonical.cases import Attention, CaseStatus, DocumentRef, State
    from canonical.steps import (
        AlternativesQuestion,
        OpenOrder,
        OrderStart,
    )
    from workflows.order_cancellation import Cancellation
    from workflows.order_decisions import Decisions
    from workflows.order_state import LineProgress, OrderProgress
    from workflows.policies import ask_erp, own_store


@workflow.defn(name="PurchaseOrder")
class PurchaseOrderCase(Decisions, Cancellation):
    """Get one order placed, answered, delivered, billed, matched and paid."""

    @workflow.init
    def __init__(self, start: OrderStart) -> None:
        super().__init__()
        order = start.order
        self.facility, self.parent, self.supplier = (
            order.facility,
            start.parent_case or order.requisition,
            order.supplier,
        )
        self.amount = order.amount
        self.headline = f"order {order.number} to {order.supplier}: {len(order.lines)} line(s), {order.amount}"
        self.progress = OrderProgress(
            order=order, parent_case=self.parent, lines=[LineProgress(line=line) for line in order.lines]
        )

    @workflow.run
    async def run(self, start: OrderStart) -> CaseStatus:
        """The life of an order as one reads it."""
        if not await self._opened(start):
            return self._status(closed=True)
        try:
            await self._live()
        except asyncio.CancelledError:
            self.progress.cancelling = "cancelled in Temporal"
            await self._undo()
            await self._end("cancelled", State.FAILED)
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status(closed=True)

    async def _live(self) -> None:
        if not self.progress.placed and not self.progress.cancelling:
            await self._place()
        await self._follow()
        if self.progress.cancelling and not self.progress.cancelled:
            await self._undo()
        if self.progress.cancelled:
            await self._end("cancelled", State.FAILED)
        elif self.progress.rejected:
            await self._end("rejected by supplier", State.FAILED)
        else:
            await self._end("closed", State.RECONCILED)

    async def _opened(self, start: OrderStart) -> bool:
        request = OpenOrder(order=start.order, run=workflow.info().first_execution_run_id, as_of=workflow.now())
        self.context = await own_store(CaseActivities.open_order, request, "claim the order, commit its budget")
        self.policy, self.generation = self.context.policy, self.context.generation
        if self.context.outcome in ("duplicate", "conflict"):
            self._say(self.context.outcome, state=State.FAILED, next_action="another run has this order")
            return False
        self.revision = self.context.revision
        carried = start.carried or (self.context.carried if self.context.outcome == "resumed" else "")
        if carried:
            self.progress = OrderProgress.model_validate_json(carried)
            self.held_by, self.attention = self.progress.held_by, list(self.progress.attention)
            self.lines = self.progress.line_states()
        return True

    async def _place(self) -> None:
        """In the ERP first, exactly once; then to the supplier, under numbers registered before it leaves."""
        progress = self.progress
        self.lines = progress.line_states()
        self._note(
            DocumentRef(
                kind="order",
                number=progress.order.number,
                state=State.ENRICHED,
                amount=progress.order.amount,
                lines=tuple(line.line.id for line in progress.lines),
            )
        )
        self._say("placing order", state=State.ENRICHED, owner="fascia", next_action="the ERP takes the order")
        created = await self._until_done(
            lambda: ask_erp(ErpActivities.create_purchase_order, progress.order, "create order in ERP", self._seconds),
            "the ERP refused the order",
            document="ERP order",
        )
        if created is None:
            return
        progress.placed, progress.erp_number = True, created.number
        self._note(
            DocumentRef(
                kind="erp_order",
                number=created.number,
                system=created.system,
                state=State.POSTED,
                parent=f"order:{progress.order.number}",
                amount=created.amount,
            )
        )
        if await self._send_order() is not None:
            self._tell(
                "order.issued", progress.order.number, order=progress.order.number, supplier=progress.order.supplier
            )

    # -- following what comes back -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Take in what comes, act on it, show it, wait for more: until the order is settled or taken back."""
        while True:
            self._read_documents()
            await self._work()
            if self.progress.cancelling or (self.progress.settled() and not self._unfinished()):
                return
            self._summarise()
            seen = self._stirred
            await self._record()
            if self._inbox or seen != self._stirred:
                continue
            if workflow.info().is_continue_as_new_suggested() and not self.progress.cancelling:
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(
                    OrderStart(order=self.progress.order, parent_case=self.parent, carried=self._carried())
                )
            deadline = self._next_deadline()
            await self._stir(seen, deadline[0] if deadline else None, deadline[1] if deadline else "")

    def _unfinished(self) -> bool:
        progress = self.progress
        return bool(
            progress.to_amend
            or progress.to_end
            or progress.pending
            or self.attention
            or self.held_by
            or progress.resend
        )

    async def _work(self) -> None:
        """Everything that can be done now. On hold, nothing leaves the house."""
        if self.held_by:
            return
        progress = self.progress
        self._check_deadlines()
        if progress.resend and not progress.cancelling:
            await self._send_order()
        if progress.to_end or progress.to_amend:
            await self._tell_changes()
        if not progress.cancelling:
            await self._work_invoices()

    async def _tell_changes(self) -> None:
        """Lines that changed or ended: the ERP hears of it, and the supplier of what we end ourselves."""
        progress = self.progress
        changed = [line for line in progress.lines if line.line.id in {*progress.to_amend, *progress.to_end}]
        ended = [line for line in progress.lines if f"860:{line.line.id}" in progress.to_end]
        if changed:
            await self._amend_erp(changed)
        if ended and progress.pending is None and not progress.cancelling:
            await self._send_change(self._change(ended, reason="line ended by the buyer"))
        progress.to_amend, progress.to_end = [], []
        for line in changed:
            if line.ended and not any(line is ours for ours in ended):
                await self._offer_alternative(line)
        self._tell("order.changed", f"{progress.changes}", order=progress.order.number)

    async def _offer_alternative(self, line: LineProgress) -> None:
        order = self.progress.order
        question = AlternativesQuestion(
            facility=order.facility, item=line.line.item, but=order.supplier, as_of=workflow.now().date()
        )
        found = await own_store(CaseActivities.alternatives, question, "who else sells it?")
        if found.ways and "alternative" not in line.ended:
            line.ended = f"{line.ended}; alternative: {', '.join(found.ways)}"

    @workflow.signal(name="cancel_order")
    def cancel_order(self, reason: str) -> None:
        """The requisition's case takes the order back."""
        if not self.progress.cancelling:
            self.progress.cancelling = reason or "cancelled with its requisition"
            self._stirred += 1

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
        ]
        dues += [
            (line.waits_until, f"line {line.line.number}: {line.state}", f"line {line.line.id}")
            for line in progress.lines
        ]
        for held in progress.invoices:
            name = held.invoice.number
            if held.state == "posted" and not (held.needs_release and not held.released):
                dues.append((held.pay_at, f"invoice {name} is due", f"pay {name} {held.attempt}"))
            if held.state == "paid":
                dues.append((held.reconcile_by, f"the bank confirms the payment of invoice {name}", f"bank {name}"))
        return [(when, what, name) for when, what, name in dues if when is not None]

    def _check_deadlines(self) -> None:
        now, progress = workflow.now(), self.progress
        for when, what, name in self._deadlines():
            if when > now or name in progress.passed or name.startswith("pay "):
                continue
            progress.passed.append(name)
            if name.startswith("line "):
                line = progress.line(name.removeprefix("line "))
                if line is not None and line.waits_until is not None:
                    line.waits_until = None
                    reason = f"line {line.line.number}: still {line.state} after the time we wait"
                    self._park(
                        Attention(
                            kind="timeout", reason=reason, line=line.line.id, verbs=("accept", "refuse", "cancel")
                        )
                    )
                continue
            if name == "865" and progress.pending and progress.pending.cancel:
                continue
            verbs = {"997": ("resend", "cancel"), "855": ("resend", "cancel"), "hold": ("accept", "cancel")}.get(
                name, ("accept",)
            )
            self._park(Attention(kind="timeout", reason=f"overdue: {what}", document=name, verbs=verbs))

    # -- how it stands -------------------------------------------------------------------------------------------

    def _summarise(self) -> None:
        self.lines = self.progress.line_states()
        if self.held_by:
            self._say_if_new("on hold", "buyer", None, "resume when it may go on")
            return
        parked = self._parked_state()
        if parked:
            self._say_if_new(*parked)
            return
        deadline = self._next_deadline()
        due = deadline[0] if deadline else None
        self._say_if_new(*self._progress_state(due))

    def _parked_state(self) -> tuple[str, str, datetime | None, str] | None:
        if not self.attention:
            return None
        first = self.attention[0]
        act = f"{first.reason} (one of: {', '.join(first.verbs)})"
        kinds = {a.document for a in self.attention}
        if {"855", "997"} & kinds and first.kind == "timeout":
            return "supplier silent", "buyer", None, act
        if any(i.state == "held" for i in self.progress.invoices):
            held = next(i for i in self.progress.invoices if i.state == "held")
            owner = held.match.decides if held.match and held.match.decides else "finance"
            parked = next((a for a in self.attention if a.document == held.invoice.number), first)
            return "invoice blocked", owner, None, f"{parked.reason} (one of: {', '.join(parked.verbs)})"
        if any((a.document or "").startswith("receipt ") for a in self.attention):
            return "receipt unmatched", "receiving", None, act
        if any("release" in a.verbs for a in self.attention):
            return "payment to release", "finance", None, act
        if any("confirm_bank" in a.verbs for a in self.attention):
            return "payment blocked", "finance", None, act
        if first.line is not None:
            return "change to decide", "buyer", None, act
        return "needs attention", "buyer", None, act

    def _progress_state(self, due: datetime | None) -> tuple[str, str, datetime | None, str]:
        progress = self.progress
        states = {invoice.state for invoice in progress.invoices}
        lines_open = [line for line in progress.lines if line.open]
        if not lines_open and "paid" in states:
            return "paid, waiting for bank", "bank", due, "the bank confirms the payment"
        if not lines_open and states & {"posted", "paying"}:
            return "payment due", "finance", due, "paid at terms"
        if not lines_open:
            return "received", "supplier", due, "the supplier sends its invoice"
        if progress.hold_until is not None:
            return "held by supplier", "supplier", due, "the supplier ends its hold"
        if any(line.received > 0 for line in progress.lines):
            return "partly received", "supplier", due, "the rest is delivered"
        if any(line.state == "back-ordered" for line in lines_open):
            return "back-ordered", "supplier", due, "the supplier ships when it has the goods"
        if any(line.shipped > 0 for line in progress.lines):
            return "shipped", "receiving", due, "the goods are received"
        if progress.answered:
            return "acknowledged", "supplier", due, "the supplier ships"
        return "sent to supplier", "supplier", due, "the supplier answers"

    def _say_if_new(self, business_state: str, owner: str, due: datetime | None, next_action: str) -> None:
        if (self.business_state, self.owner, self.next_action) == (
            business_state,
            owner,
            next_action,
        ) and not self._dirty:
            return
        order = ["sent to supplier", "acknowledged", "payment due", "paid, waiting for bank"]
        states = [State.SUBMITTED, State.ACKNOWLEDGED, State.POSTED, State.POSTED]
        state = states[order.index(business_state)] if business_state in order else None
        self._say(business_state, state=state, owner=owner, due=due, next_action=next_action)

    async def _end(self, business_state: str, state: State) -> None:
        self.lines = self.progress.line_states()
        self.attention = []
        self._note(
            DocumentRef(
                kind="order",
                number=self.progress.order.number,
                state=state,
                amount=self.progress.current().amount,
                lines=tuple(line.line.id for line in self.progress.lines),
            )
        )
        if business_state == "closed":
            self._tell("order.closed", self.progress.order.number, order=self.progress.order.number)
        self._say(business_state, state=state)
        await self._record(closed=True)
