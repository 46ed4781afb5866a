"""One order at one supplier, from the ERP to the last payment. Ordered once, whatever fails; nothing paid unmatched."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.erp import ErpActivities
    from canonical.cases import CaseStatus, DocumentRef, State
    from canonical.steps import (
        AlternativesQuestion,
        CaseQuestion,
        OpenOrder,
        OrderStart,
        UnreadableDecision,
        UnreadOrder,
    )
    from workflows.order_outlook import Outlook
    from workflows.order_starts import read_order
    from workflows.order_state import LineProgress, OrderProgress, begun
    from workflows.policies import ask_erp, own_store


@workflow.defn(name="PurchaseOrder")
class PurchaseOrderCase(Outlook):
    """Get one order placed, answered, delivered, billed, matched and paid."""

    @workflow.init
    def __init__(self, wire: RawValue) -> None:
        super().__init__()
        self._read = read_order(wire)
        if (start := self._read.start) is None:  # there is no progress then, and nothing to give up
            return
        order = start.order
        self.facility, self.supplier, self.amount = order.facility, order.supplier, order.amount
        self.parent = order.requisition or start.parent_case
        self.headline = f"order {order.number} to {order.supplier}: {len(order.lines)} line(s), {order.amount}"
        self.progress = OrderProgress(
            order=order, parent_case=self.parent, lines=[begun(line, used=order.after_use) for line in order.lines]
        )

    @workflow.run
    async def run(self, wire: RawValue) -> CaseStatus:
        """The life of an order as one reads it."""
        return await self._lived(self._live(wire))

    async def _live(self, wire: RawValue) -> CaseStatus:
        if (start := self._read.start) is None:
            return await self._not_ours(wire)
        if not await self._opened(start):
            return self._status(closed=True)
        if not self._giving_up():
            await self._place()
        await self._follow()
        if self._giving_up() and not self.progress.cancelled:
            await self._undo()
        if self.progress.cancelled:
            return await self._end("cancelled", State.FAILED)
        if self.progress.rejected:
            return await self._end("rejected by supplier", State.FAILED)
        return await self._end("closed", State.RECONCILED)

    async def _not_ours(self, wire: RawValue) -> CaseStatus:
        """Nothing begins with what cannot be read: it is kept as it came and listed for a person, and this run ends."""
        reason = self._read.reason[:2000]
        self._say("unreadable", state=State.FAILED, next_action=reason)
        self._ready = True  # whoever decides about it hears that there is nothing to decide
        workflow.set_current_details(f"**unreadable**: {reason}")
        kept = UnreadOrder(
            case=self.case,
            run=workflow.info().first_execution_run_id,
            data=wire.payload.data,
            reason=reason,
            as_of=workflow.now(),
        )
        await own_store(CaseActivities.keep_unread_order, kept, "keep a start that cannot be read")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status(closed=True)

    def _giving_up(self) -> bool:
        return self._read.start is None or super()._giving_up()

    async def _opened(self, start: OrderStart) -> bool:
        """Claim the order's case, and find what an earlier run left."""
        request = OpenOrder(
            order=start.order,
            run=workflow.info().first_execution_run_id,
            as_of=workflow.now(),
            case=self.case,
            goes_on=bool(start.carried),
        )
        self.context = await own_store(CaseActivities.open_order, request, "claim the order, commit its budget")
        self.policy, self.generation, self._ready = self.context.policy, self.context.generation, True
        if self.context.outcome in ("duplicate", "conflict"):
            why = self.context.reason or "another run has this order"
            self._say(self.context.outcome, state=State.FAILED, next_action=why)
            return False
        carried = self.context.carried
        if not self.context.carried_kept:  # a run from before our store was asked for it
            carried = carried or start.carried
        if carried:
            asked = self.progress.cancelling  # by a signal that came before this
            self.progress = OrderProgress.model_validate_json(carried)
            self.progress.cancelling = self.progress.cancelling or asked
            self.held_by, self.attention = self.progress.held_by, list(self.progress.attention)
            self._parked_before = [one for one in self.progress.parked if one not in self.attention]
            self._answers = dict(self.progress.answers)
        if self.context.taken_back and not self._giving_up():
            self._give_up(self.context.taken_back)
        self.revision = max(self.context.revision, self.progress.revision)
        self.lines = self.progress.line_states()
        return True

    async def _place(self) -> None:
        """In the ERP first, exactly once; then to the supplier, under numbers registered before it leaves."""
        progress = self.progress
        if not progress.placed and not await self._created():
            return
        if not progress.sends and await self._send_order() is not None:
            order = progress.order
            needed = order.needed_by.isoformat() if order.needed_by else ""
            self._tell("order.issued", order.number, ship_to=order.ship_to, needed_by=needed)
            if order.after_use:  # nothing is to come but the bill
                self._after_receipt()

    async def _created(self) -> bool:
        progress = self.progress
        self._note(self._order_document(State.ENRICHED))
        self._say("placing order", state=State.ENRICHED, owner="fascia", next_action="the ERP takes the order")
        was, progress.placing = progress.placing, True
        await self._record()  # so that there is a case to see, and to show the trouble on, while the ERP is away
        created = await self._until_done(
            lambda: ask_erp(ErpActivities.create_purchase_order, progress.order, "create order in ERP", self._seconds),
            "the ERP refused the order",
            document="ERP order",
        )
        progress.placing = was and created is None
        if created is None:
            return False
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
        return True

    # -- following what comes back -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Take in what comes, act on it, show it, wait for more: until the order is settled or taken back."""
        while True:
            seen = self._round_began = self._stirred
            self._read_documents()
            await self._work()
            if self._giving_up() or (self.progress.settled() and not self._unfinished()):
                return
            self._summarise()
            await self._record()
            if self._inbox or seen != self._stirred:
                continue
            if workflow.info().is_continue_as_new_suggested() and not self._leaving():
                if workflow.patched("recorded-before-it-continues"):
                    self._dirty = True  # the next run goes on from what our store kept, so all of it is there
                    await self._record()
                await workflow.wait_condition(workflow.all_handlers_finished)
                if self._inbox or seen != self._stirred:
                    continue
                workflow.continue_as_new(
                    OrderStart(order=self.progress.order, parent_case=self.parent, carried=self._carried())
                )
            deadline = None if self.held_by else self._next_deadline()
            await self._stir(seen, deadline[0] if deadline else None, deadline[1] if deadline else "")

    def _unfinished(self) -> bool:
        progress = self.progress
        waits = progress.to_amend or progress.to_end or progress.to_return or progress.pending or progress.resend
        unpaid = any(i.state in ("paid", "reconciled") and not i.remitted for i in progress.invoices)
        came = self._inbox or self._unsealed or progress.vouched
        return bool(waits or unpaid or self.attention or self.held_by or came)

    async def _work(self) -> None:
        """Everything that can be done now. On hold, nothing leaves the house."""
        if self.held_by:
            return
        progress = self.progress
        self._check_deadlines()
        if progress.resend and not self._giving_up():
            await self._send_order()
        if not self._giving_up():
            await self._tell_changes()
        if progress.to_return and not self._giving_up():
            await self._return_over()
        if not self._giving_up():
            await self._work_invoices()

    async def _return_over(self) -> None:
        """What came too much and nobody keeps goes back."""
        taken = list(self.progress.to_return)
        over = {line.line.id: line.over for line in self.progress.lines if line.line.id in taken}
        await self._return_goods(over, "more than was ordered", back=False)
        self.progress.to_return = _without(self.progress.to_return, taken)

    async def _tell_changes(self) -> None:
        """Lines that changed or ended: the ERP hears of it, and the supplier of what we end ourselves."""
        progress = self.progress
        amended, ended = list(progress.to_amend), [name for name in progress.to_end if not name.startswith("860:")]
        changed = [line for line in progress.lines if line.line.id in {*amended, *ended}]
        if changed:
            if progress.rejected and all(line.received == 0 for line in progress.lines):
                await self._cancel_in_erp(back=False)
                await self._commit_budget()
            elif not await self._amend_erp(changed):
                return
            progress.to_amend = _without(progress.to_amend, amended)
            progress.to_end = _without(progress.to_end, ended)
            self._tell("order.changed", f"{progress.changes}", sequence=f"{progress.changes}")
            for line in changed:
                if line.ended and f"860:{line.line.id}" not in progress.to_end:
                    await self._offer_alternative(line)
        await self._tell_supplier()

    async def _tell_supplier(self) -> None:
        """One change at a time: the next leaves when the last is answered."""
        progress = self.progress
        told = [name for name in progress.to_end if name.startswith("860:")]
        if told and progress.pending is None and not self._giving_up():
            lines = [line for line in progress.lines if f"860:{line.line.id}" in told]
            await self._send_change(self._change(lines, reason="line ended by the buyer"))
            progress.to_end = _without(progress.to_end, told)

    async def _offer_alternative(self, line: LineProgress) -> None:
        order = self.progress.order
        question = AlternativesQuestion(
            facility=order.facility, item=line.line.item, but=order.supplier, as_of=workflow.now().date()
        )
        found = await own_store(CaseActivities.alternatives, question, "who else sells it?")
        if found.ways and "alternative" not in line.ended:
            line.ended = f"{line.ended}; alternative: {', '.join(found.ways)}"

    @workflow.signal(name="cancel_order")
    async def cancel_order(self, raw: RawValue) -> None:
        """The requisition's case takes the order back: it says so in our own store first, and only that is believed."""
        if self._giving_up():
            return
        if workflow.patched("cancellation-looked-up") and not await self._taken_back():
            reason = "cancel_order signal: its requisition is not being cancelled"
            kept = UnreadableDecision(case=self.case, data=raw.payload.data, reason=reason, at=workflow.now())
            await own_store(CaseActivities.keep_unreadable, kept, "keep a signal that is not true")
            return
        if not self._giving_up():
            self._give_up("cancelled with its requisition")
            self._stirred += 1

    async def _taken_back(self) -> bool:
        """Whether the requisition's case is being cancelled, by our own store."""
        question = CaseQuestion(case=self.parent)
        found = await own_store(CaseActivities.how_it_stands, question, "is its requisition cancelled?")
        return found.status is not None and found.status.business_state.startswith("cancel")

    async def _end(self, business_state: str, state: State) -> CaseStatus:
        """Say how it ended, for good; what comes too late is listed for a person, never lost."""
        self.lines = self.progress.line_states()
        self.attention = []
        self._note(self._order_document(state))
        if business_state != "cancelled":
            self._tell("order.closed", self.progress.order.number, business_state=business_state)
        self._say(business_state, state=state, next_action=self.progress.rejected or self.progress.cancelling)
        await self._record(closed=True)
        await workflow.wait_condition(workflow.all_handlers_finished)
        while self._inbox or self._unsealed or self.progress.unproven:
            await self._list_late()
            await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status(closed=True)


def _without(names: list[str], taken: list[str]) -> list[str]:
    """The names less those taken, each once: one that was put there again meanwhile stays."""
    left = list(names)
    for name in taken:
        if name in left:
            left.remove(name)
    return left
