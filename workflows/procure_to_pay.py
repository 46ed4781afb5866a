"""Get what a department asks for approved, ordered, delivered and paid. One case per requisition.

Taking a requisition back: before its orders exist it simply ends; afterwards each of its orders is taken back by its own
case (see ``order_cancellation``), and this case ends when they have.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field
from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.register import RegisterActivities
    from canonical.base import EmployeeId
    from canonical.cases import Attention, CaseStatus, CheckedDecision, DocumentRef, LineState, State
    from canonical.purchasing import PurchaseOrder, Requisition
    from canonical.steps import (
        ApprovalStep,
        Claimed,
        ClaimRequest,
        Enriched,
        EnrichRequest,
        OrderEnded,
        OrdersRequest,
        OrderStart,
    )
    from workflows.case import CaseWorkflow
    from workflows.corrections import corrected
    from workflows.policies import OUTLIVES_US, own_store
    from workflows.purchase_order import PurchaseOrderCase

KEYWORDS = {
    name: SearchAttributeKey.for_keyword(name)
    for name in ("FasciaProcess", "FasciaFacility", "FasciaState", "FasciaSupplier", "FasciaOrder", "FasciaRequisition")
}
AMOUNT = SearchAttributeKey.for_float("FasciaAmount")


class Approval(BaseModel):
    """One level of approval, given."""

    model_config = ConfigDict(extra="ignore")

    role: str
    by: str
    verified: bool = True


class RequisitionProgress(BaseModel):
    """All of a requisition's case that matters when it goes on in another run."""

    model_config = ConfigDict(extra="ignore")

    requisition: Requisition | None = None
    approvals: list[Approval] = Field(default_factory=list)
    approved: bool = False
    overrun_accepted: str = ""
    refused: str = ""
    cancelling: str = ""
    orders: list[PurchaseOrder] = Field(default_factory=list)
    ended: dict[str, str] = Field(default_factory=dict)
    lines: list[LineState] = Field(default_factory=list)
    held_by: str = ""


@workflow.defn
class ProcureToPay(CaseWorkflow):
    """From the department's request to the last order's end."""

    process = "procure_to_pay"

    def __init__(self) -> None:
        super().__init__()
        self.progress = RequisitionProgress()
        self.enriched: Enriched | None = None
        self._step: ApprovalStep | None = None
        self._others: set[EmployeeId] = set()
        self._released = 0
        self._children: list[asyncio.Task[None]] = []

    @workflow.run
    async def run(self, wire: RawValue) -> CaseStatus:
        """The process as one reads it."""
        claimed = await self._claimed(wire)
        if claimed is None:
            return self._status(closed=True)
        try:
            return await self._live()
        except asyncio.CancelledError:
            self.progress.cancelling = self.progress.cancelling or "cancelled in Temporal"
            await self._take_back()
            await self._end("cancelled", State.FAILED)
            raise

    async def _live(self) -> CaseStatus:
        if not self.progress.orders:
            emergency = self.progress.requisition is not None and self.progress.requisition.emergency
            if not await self._checked():
                return await self._end("cancelled" if self.progress.cancelling else "refused", State.FAILED)
            if not emergency and not await self._approved():
                return await self._end("cancelled" if self.progress.cancelling else "refused", State.FAILED)
            await self._split()
        await self._ordered()
        return await self._end("cancelled" if self._all_cancelled() else "closed", self._final_state())

    # -- claim ---------------------------------------------------------------------------------------------------

    async def _claimed(self, wire: RawValue) -> Claimed | None:
        """Claim the case for this requisition; None when another case has it, or a person gave up on what was sent."""
        claimed = await self._claim(
            wire.payload.data, wire.payload.metadata.get("encoding", b"").decode("ascii", "replace")
        )
        self.generation, self.revision = claimed.generation, claimed.revision
        if claimed.outcome in ("duplicate", "conflict"):
            self.business_state, self.state = claimed.outcome, State.FAILED
            self.next_action = f"see {claimed.first or claimed.case}"
            workflow.set_current_details(f"**{claimed.outcome}** of {claimed.first or claimed.case}")
            return None
        while claimed.outcome in ("unreadable", "misnamed"):
            again = await self._unreadable(claimed)
            if again is None:
                return None
            claimed = again
        if claimed.outcome == "resumed" and claimed.carried:
            self.progress = RequisitionProgress.model_validate_json(claimed.carried)
            self.held_by, self.lines = self.progress.held_by, list(self.progress.lines)
        if self.progress.requisition is None:
            self.progress.requisition = claimed.requisition
        requisition = self._requisition
        self.facility = requisition.facility
        self.headline = (
            f"requisition {requisition.number} of {requisition.department}: {len(requisition.lines)} line(s)"
            f"{', emergency' if requisition.emergency else ''}"
        )
        if not self.lines:
            self.lines = [
                LineState(
                    line=line.id,
                    requisition_line=line.id,
                    item=line.item or "",
                    state="asked",
                    ordered=line.quantity.value,
                    unit=line.quantity.unit,
                )
                for line in requisition.lines
            ]
        self._note(
            DocumentRef(
                kind="requisition",
                number=requisition.number,
                system=requisition.source,
                state=State.RECEIVED,
                message=claimed.message,
                lines=tuple(line.id for line in requisition.lines),
            )
        )
        return claimed

    async def _claim(self, data: bytes, encoding: str) -> Claimed:
        request = ClaimRequest(
            case=self.case,
            run=workflow.info().first_execution_run_id,
            data=data,
            encoding=encoding,
            as_of=workflow.now(),
        )
        return await own_store(CaseActivities.claim, request, "claim the requisition")

    async def _unreadable(self, claimed: Claimed) -> Claimed | None:
        """What cannot be read waits for a person: a readable one in its place, or the end."""
        problem = claimed.problem or Attention(kind="parse", reason="the requisition cannot be read")
        self._park(problem.model_copy(update={"verbs": ("correct", "cancel", "reject"), "document": "requisition"}))
        self._note(DocumentRef(kind="requisition", number="unreadable", state=State.FAILED, message=claimed.message))
        self.headline = "a requisition that cannot be read"
        self._say(
            "needs attention",
            state=State.RECEIVED,
            owner="support",
            next_action="correct it (a whole requisition), or cancel",
        )
        await self._record()
        while not self._gave_up() and self.progress.requisition is None:
            seen = self._stirred
            await self._record()
            await self._stir(seen, None, "")
        self.attention = []
        if self.progress.requisition is None:
            await self._end("cancelled" if self.progress.cancelling else "refused", State.FAILED)
            return None
        return await self._claim(self.progress.requisition.model_dump_json().encode(), "json/plain")

    @property
    def _requisition(self) -> Requisition:
        if self.progress.requisition is None:
            raise ApplicationError("the requisition is not read yet", type="NotOpen")
        return self.progress.requisition

    # -- check ---------------------------------------------------------------------------------------------------

    async def _checked(self) -> bool:
        """Validate and complete it from the register, again after each correction, until nothing stands in the way."""
        while not self._gave_up():
            request = EnrichRequest(requisition=self._requisition, as_of=workflow.now())
            found = await own_store(RegisterActivities.enrich, request, "check against the register")
            self.enriched, self.policy, self.amount = found, found.policy, found.amount
            self._complete_lines(found)
            problems = [p for p in found.problems if not ("accept" in p.verbs and self.progress.overrun_accepted)]
            if not problems and not self.held_by:
                self.state = State.ENRICHED
                return True
            self.attention = []
            for problem in problems:
                self._park(problem)
            if self.held_by:
                self._say("on hold", owner="buyer", next_action="resume when it may go on")
            else:
                owner = "finance" if all("accept" in p.verbs for p in problems) else "buyer"
                self._say(
                    "needs attention",
                    state=State.VALIDATED,
                    owner=owner,
                    next_action="correct it, then it is checked again",
                )
            await self._until_released()
            self.attention = []
        return False

    async def _until_released(self) -> None:
        """Wait until a person's word lets the check run again, or ends it."""
        released = self._released
        while self._released == released and not self._gave_up():
            seen = self._stirred
            await self._record()
            await self._stir(seen, None, "")

    def _complete_lines(self, found: Enriched) -> None:
        asked = {line.id: line for line in self._requisition.lines}
        self.lines = [
            LineState(
                line=line.requisition_line,
                requisition_line=line.requisition_line,
                item=line.line.item if line.line else asked[line.requisition_line].item or "",
                state="needs attention" if line.problems else "checked",
                ordered=line.line.quantity.value if line.line else asked[line.requisition_line].quantity.value,
                unit=line.line.quantity.unit if line.line else asked[line.requisition_line].quantity.unit,
            )
            for line in found.lines
        ]

    # -- approve -------------------------------------------------------------------------------------------------

    async def _approved(self) -> bool:
        """Every level gives its approval, in order; True when all have."""
        enriched = self._enriched
        if enriched.auto_approved and not self.progress.approved:
            self.progress.approved = True
            self._tell(
                "requisition.approved", "auto", number=self._requisition.number, by="policy", why=enriched.auto_reason
            )
        for place, step in enumerate(enriched.approvals):
            if any(given.role == step.role for given in self.progress.approvals):
                continue
            if not await self._approved_by(step, enriched.escalate_to[place]):
                return False
        if enriched.approvals and not self.progress.approved:
            self.progress.approved = True
            by = ", ".join(given.role for given in self.progress.approvals)
            self._tell("requisition.approved", "people", number=self._requisition.number, by=by)
        return True

    async def _approved_by(self, step: ApprovalStep, above: ApprovalStep) -> bool:
        """One level: its people, their substitutes when away or after a while, the level above after longer."""
        rules, calendar = self._enriched.policy.approval, self._enriched.calendar
        began = workflow.now()
        moments = [
            (calendar.add(began, timedelta(seconds=rules.remind_after)), "remind"),
            (calendar.add(began, timedelta(seconds=rules.substitute_after)), "substitute"),
            (calendar.add(began, timedelta(seconds=rules.escalate_after)), "escalate"),
        ]
        self._step, self._others = step, {a.substitute for a in step.approvers if a.away and a.substitute}
        due = moments[2][0]
        action = f"approve or reject as {step.role} ({step.why})"
        if self._others:
            action = f"{action}; a substitute may, the approver is away"
        self._say("pending approval", owner=step.role, due=due, next_action=action)
        while not self._gave_up() and not any(given.role == step.role for given in self.progress.approvals):
            seen = self._stirred
            if self.held_by:
                self._say("on hold", owner="buyer", next_action="resume when it may go on")
            elif self.business_state == "on hold":
                self._say("pending approval", owner=step.role, due=due, next_action=action)
            await self._record()
            await self._stir(seen, moments[0][0] if moments else None, f"approval as {step.role}")
            while moments and moments[0][0] <= workflow.now():
                action = self._overdue(moments.pop(0)[1], step, above)
        self._step = None
        return not self._gave_up()

    def _overdue(self, what: str, step: ApprovalStep, above: ApprovalStep) -> str:
        """A reminder, then the substitutes, then the level above; the business event is what mails and pages people."""
        if what == "substitute":
            self._others |= {a.substitute for a in step.approvers if a.substitute}
        if what == "escalate":
            self._others |= {a.id for a in above.approvers}
        owner = {"remind": step.role, "substitute": f"{step.role} (substitute)", "escalate": above.role}[what]
        action = f"approve or reject as {owner}: {what}"
        self._say("pending approval", owner=owner, due=self.due, next_action=action)
        self._tell("requisition.approval_overdue", f"{step.role}/{what}", number=self._requisition.number, what=what)
        return action

    def _gave_up(self) -> bool:
        return bool(self.progress.refused or self.progress.cancelling)

    @property
    def _enriched(self) -> Enriched:
        if self.enriched is None:
            raise ApplicationError("the requisition is not checked yet", type="NotOpen")
        return self.enriched

    # -- order ---------------------------------------------------------------------------------------------------

    async def _split(self) -> None:
        request = OrdersRequest(
            case=self.case,
            requisition=self._requisition,
            lines=self._enriched.lines,
            currency=self._enriched.amount.currency,
            dated=workflow.now().date(),
        )
        orders = await own_store(CaseActivities.split_orders, request, "split into orders")
        self.progress.orders = list(orders.orders)

    async def _ordered(self) -> None:
        """One case per order; this one ends when its lines end. An emergency is approved meanwhile."""
        self._children = [asyncio.create_task(self._follow(order)) for order in self.progress.orders]
        self._set_lines("ordered")
        numbers = ", ".join(order.number for order in self.progress.orders)
        self._tell(
            "requisition.lines_changed", "ordered", number=self._requisition.number, orders=numbers, state="ordered"
        )
        self._say(
            "ordered",
            state=State.SUBMITTED,
            owner="suppliers",
            next_action=f"orders {numbers} are followed to their end",
        )
        approval: asyncio.Task[bool] | None = None
        if self._requisition.emergency and not self.progress.approved and self.enriched is not None:
            approval = asyncio.create_task(self._approved_after())
        while not self._all_ended():
            seen = self._stirred
            await self._record()
            if self.progress.cancelling:
                await self._take_back()
                return
            await self._stir(seen, None, "")
        if approval is not None:
            await approval

    async def _approved_after(self) -> bool:
        """The emergency path: ordered first, approved within its time; a rejection is for a person to act on."""
        given = await self._approved()
        if not given and self.progress.refused:
            reason = f"rejected after the emergency order: {self.progress.refused}"
            self.progress.refused = ""
            self._park(Attention(kind="business-rule", reason=reason, document="approval", verbs=("accept", "cancel")))
        self._say("ordered", state=State.SUBMITTED, owner="suppliers", next_action="orders are followed to their end")
        self._stirred += 1
        return given

    async def _follow(self, order: PurchaseOrder) -> None:
        """Start an order's case, or find it running, and hear how it ends."""
        if order.number in self.progress.ended:
            return
        start = OrderStart(order=order, parent_case=self.case)
        try:
            child = await workflow.start_child_workflow(
                PurchaseOrderCase.run,
                start,
                id=order.case_id,
                static_summary=f"order {order.number} to {order.supplier}, {order.amount}",
                search_attributes=_attributes(order, self._requisition),
                parent_close_policy=OUTLIVES_US["parent_close_policy"],
                cancellation_type=OUTLIVES_US["cancellation_type"],
            )
        except WorkflowAlreadyStartedError:
            return  # an earlier run of this case started it: its end is told by signal (engine sweep)
        try:
            status = await child
        except Exception:
            return
        self._order_ended(order, status.business_state, {line.requisition_line: line.state for line in status.lines})

    def _order_ended(self, order: PurchaseOrder, business_state: str, lines: dict[str, str]) -> None:
        self.progress.ended[order.number] = business_state
        self.lines = [
            line.model_copy(update={"state": lines.get(line.line, business_state)})
            if any(ours.requisition_line == line.line for ours in order.lines)
            else line
            for line in self.lines
        ]
        number = self._requisition.number
        self._tell("requisition.lines_changed", order.number, number=number, orders=order.number, state=business_state)
        self._dirty = True
        self._stirred += 1

    @workflow.signal(name="order_ended")
    def order_ended(self, told: OrderEnded) -> None:
        """An order this run did not start itself has ended."""
        order = next((o for o in self.progress.orders if o.number == told.order), None)
        if order is not None and told.order not in self.progress.ended:
            self._order_ended(order, told.business_state, dict(told.lines))

    def _set_lines(self, state: str) -> None:
        where = {line.requisition_line: order.number for order in self.progress.orders for line in order.lines}
        self.lines = [
            line.model_copy(update={"state": state, "order": where.get(line.line, "")}) for line in self.lines
        ]

    def _all_ended(self) -> bool:
        return all(order.number in self.progress.ended for order in self.progress.orders)

    def _all_cancelled(self) -> bool:
        return bool(self.progress.ended) and all(state == "cancelled" for state in self.progress.ended.values())

    def _final_state(self) -> State:
        return State.FAILED if self._all_cancelled() else State.RECONCILED

    async def _take_back(self) -> None:
        """Take every open order back; each case undoes its own."""
        if not self.progress.orders:
            return
        self._say("cancelling", owner="fascia", next_action="the orders are being taken back")
        await self._record()
        for order in self.progress.orders:
            if order.number not in self.progress.ended:
                handle = workflow.get_external_workflow_handle_for(PurchaseOrderCase.run, order.case_id)
                try:
                    await handle.signal(PurchaseOrderCase.cancel_order, self.progress.cancelling)
                except Exception:
                    self.progress.ended.setdefault(order.number, "ended")
        await workflow.wait_condition(self._all_ended)

    # -- decisions -----------------------------------------------------------------------------------------------

    def _open_verbs(self) -> frozenset[str]:
        verbs = super()._open_verbs()
        return verbs | {"approve", "reject"} if self._step is not None and not self.held_by else verbs

    def _role_fits(self, checked: CheckedDecision) -> bool:
        """An approval step names its own people, and who asked may not approve."""
        verb = checked.decision.verb
        if verb in ("approve", "reject") and self._step is not None:
            if checked.employee == self._requisition.requester:
                raise ApplicationError("who asks may not approve", type="NotAllowed")
            if any(given.by == checked.employee for given in self.progress.approvals):
                raise ApplicationError("one person gives one level of approval", type="NotAllowed")
            people = {a.id for a in self._step.approvers} | self._others
            return checked.employee in people
        if checked.roles == ("requester",) and self.progress.requisition is not None:
            return super()._role_fits(checked) and checked.employee == self._requisition.requester
        return super()._role_fits(checked)

    def _apply(self, checked: CheckedDecision) -> str:
        decision = checked.decision
        who = checked.employee or decision.actor.known_by
        message = f"{decision.verb}: done"
        match decision.verb:
            case "approve":
                role = self._step.role if self._step else ""
                self.progress.approvals.append(Approval(role=role, by=who, verified=checked.verified))
                message = f"approved as {role}"
            case "reject":
                self.progress.refused = decision.reason
                self._tell("requisition.refused", "refused", number=self.progress_number, reason="rejected")
                message = "rejected"
            case "cancel":
                self.progress.cancelling = decision.reason
                message = "the requisition is being taken back"
            case "hold":
                self.held_by = self.progress.held_by = who
                message = "on hold"
            case "resume":
                self.held_by = self.progress.held_by = ""
                message = "goes on"
            case "accept":
                self.progress.overrun_accepted = who
                self.attention = []
                message = "accepted as it is"
            case "correct":
                self.progress.requisition = corrected(self.progress.requisition, decision.correction, self.case)
                message = "corrected, and checked again"
        self._released += 1
        return message

    @property
    def progress_number(self) -> str:
        """The requisition's number where it is known."""
        return self.progress.requisition.number if self.progress.requisition else ""

    def _carried(self) -> str:
        return self.progress.model_copy(update={"lines": self.lines}).model_dump_json()

    async def _end(self, business_state: str, state: State) -> CaseStatus:
        self.attention = []
        if business_state in ("cancelled", "refused") and not self.progress.orders:
            self.lines = [line.model_copy(update={"state": business_state}) for line in self.lines]
        reason = self.progress.refused or self.progress.cancelling
        self._say(business_state, state=state, next_action=reason)
        await self._record(closed=True)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status(closed=True)


def _attributes(order: PurchaseOrder, requisition: Requisition) -> TypedSearchAttributes:
    values = {
        "FasciaProcess": "purchase_order",
        "FasciaFacility": order.facility,
        "FasciaState": "placing order",
        "FasciaSupplier": order.supplier,
        "FasciaOrder": order.number,
        "FasciaRequisition": requisition.number,
    }
    pairs: list[SearchAttributePair[str] | SearchAttributePair[float]] = [
        SearchAttributePair(KEYWORDS[name], value) for name, value in values.items()
    ]
    return TypedSearchAttributes([*pairs, SearchAttributePair(AMOUNT, float(order.amount.amount))])
