"""Completing a requisition from the register: what each line is, costs and needs, and who must approve it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from temporalio import activity

from canonical.base import LineId, Money, total, zero
from canonical.cases import Attention
from canonical.errors import Malformed
from canonical.parties import CostCentre, Employee, Facility, Policy, Supplier
from canonical.ports import Register
from canonical.purchasing import OrderLine, Requisition, RequisitionLine
from canonical.steps import ApprovalStep, Approver, Enriched, EnrichedLine, EnrichRequest
from canonical.supply import ContractPrice, Item, SupplierItem

FIX = ("correct", "retry", "reject", "cancel")
NOT_USED = Attention(
    kind="business-rule",
    reason="an order after use, and no such use is known here: nothing is paid unreceived on somebody's word",
    path="after_use",
    verbs=FIX,
)


def _problem(kind: str, reason: str, path: str, line: LineId | None = None) -> Attention:
    return Attention(kind=kind, reason=reason, path=path, line=line, verbs=FIX)


class RegisterActivities:
    """Look-ups of master data for a process, as of a day that is an argument."""

    def __init__(self, register: Register) -> None:
        self._register = register

    @activity.defn
    async def enrich(self, request: EnrichRequest) -> Enriched:
        """Validate a requisition against the register and complete it.

        Every problem is reported at once, with the path a person corrects; nothing is guessed.
        """
        requisition, today = request.requisition, request.as_of.date()
        policy = await self._register.policy(requisition.facility, today)
        facility = await self._register.facility(requisition.facility)
        if facility is None:
            nowhere = _problem("unknown-code", f"facility {requisition.facility} is not in the register", "facility")
            return Enriched(amount=zero(policy.currency), problems=(nowhere,), policy=policy)
        lines = [await self._line(requisition, line, today, policy, facility) for line in requisition.lines]
        try:
            amount = total([line.line.amount for line in lines if line.line is not None], facility.currency)
            too_much: list[Attention] = []
        except Malformed as wrong:
            amount, too_much = zero(facility.currency), [_problem(wrong.code, wrong.message, "lines")]
        cost_centre = await self._register.cost_centre(requisition.facility, requisition.cost_centre)
        left = await self._budget_left(requisition, cost_centre, facility.currency)
        problems = [
            *await self._parties(requisition),
            *_budget_problems(requisition, cost_centre, left, amount, today),
            *too_much,
            *(problem for line in lines for problem in line.problems),
        ]
        auto_reason = _auto_reason(lines, amount, policy)
        steps = [] if auto_reason else await self._approvals(requisition, lines, amount, policy, today)
        problems += [_nobody(step) for step in steps if not step.approvers]
        return Enriched(
            lines=tuple(lines),
            amount=amount,
            problems=tuple(problems),
            approvals=tuple(steps),
            escalate_to=tuple(await self._above(requisition, steps, policy, today)),
            auto_approved=bool(auto_reason),
            auto_reason=auto_reason,
            budget_left=left,
            policy=policy,
            calendar=facility.calendar,
        )

    async def _parties(self, requisition: Requisition) -> list[Attention]:
        problems = []
        if await self._register.department(requisition.facility, requisition.department) is None:
            problems.append(_problem("unknown-code", f"department {requisition.department} is unknown", "department"))
        requester = await self._register.employee(requisition.facility, requisition.requester)
        if requester is None or not requester.active:
            problems.append(_problem("unknown-code", "the requester is not an active employee", "requester"))
        for place in {requisition.deliver_to, *(line.deliver_to for line in requisition.lines if line.deliver_to)}:
            if await self._register.location(requisition.facility, place) is None:
                problems.append(_problem("unknown-code", f"location {place} is unknown", "deliver_to"))
        return sorted(problems, key=lambda problem: problem.reason)

    async def _budget_left(self, requisition: Requisition, centre: CostCentre | None, currency: str) -> Money | None:
        if centre is None or centre.budget is None or centre.budget.currency != currency:
            return None
        own = requisition.case_id  # a check that is repeated does not meet its own orders
        committed = await self._register.committed(requisition.facility, centre.code, own) or zero(currency)
        return centre.budget - (centre.actual or zero(currency)) - committed

    async def _line(
        self, requisition: Requisition, asked: RequisitionLine, today: date, policy: Policy, facility: Facility
    ) -> EnrichedLine:
        where = f"lines.{asked.id}"
        item = await self._item(requisition, asked)
        if item is None or not item.active:
            what = asked.item or asked.supplier_item or "the description alone"
            return _stuck(
                asked, _problem("unknown-code", f"{what} is not an active item of ours", f"{where}.item", asked.id)
            )
        sold = item.at_supplier(asked.supplier, today) if asked.supplier else item.preferred_supplier(today)
        if sold is None:
            who = asked.supplier or "any supplier"
            return _stuck(
                asked, _problem("data-missing", f"{item.code} is not sold by {who}", f"{where}.supplier", asked.id)
            )
        supplier = await self._register.supplier(sold.supplier)
        if supplier is None or supplier.status != "active":
            reason = f"supplier {sold.supplier} is {supplier.status if supplier else 'unknown'}"
            return _stuck(asked, _problem("business-rule", reason, f"{where}.supplier", asked.id))
        contracts = await self._register.contract_prices(requisition.facility, item.code, today)
        contract = next((price for price in contracts if price.supplier == sold.supplier and price.holds(today)), None)
        try:
            line = _order_line(asked, item, sold, contract, facility)
            problems = _price_problems(asked, line, item, sold, contract, supplier, policy)
            capital = item.capital and line.amount.amount >= policy.approval.capital_over
        except Malformed as wrong:
            return _stuck(asked, _problem(wrong.code, wrong.message, f"{where}.{wrong.path}", asked.id))
        if line.unit_price.currency != facility.currency:
            reason = f"priced in {line.unit_price.currency}, {facility.code} orders in {facility.currency}"
            return _stuck(asked, _problem("business-rule", reason, f"{where}.unit_price", asked.id))
        return EnrichedLine(
            line=line,
            requisition_line=asked.id,
            supplier=sold.supplier,
            ship_to=asked.deliver_to or requisition.deliver_to,
            contract=contract.contract if contract else None,
            on_contract=contract is not None,
            at_par=item.stocked_at_par,
            capital=capital,
            problems=tuple(problems),
        )

    async def _item(self, requisition: Requisition, asked: RequisitionLine) -> Item | None:
        if asked.item:
            return await self._register.item(requisition.facility, asked.item)
        if asked.supplier_item and asked.supplier:
            return await self._register.item_by_catalogue(requisition.facility, asked.supplier, asked.supplier_item)
        return None

    async def _approvals(
        self, requisition: Requisition, lines: list[EnrichedLine], amount: Money, policy: Policy, today: date
    ) -> list[ApprovalStep]:
        roles = [
            (level.role, f"above {level.over} {amount.currency}")
            for level in sorted(policy.approval.levels, key=lambda level: level.over)
            if amount.amount > level.over
        ] or [(policy.approval.levels[0].role, "every requisition")]
        if any(line.capital for line in lines):
            roles.insert(0, (policy.approval.extra_role, f"capital of {policy.approval.capital_over} or more"))
        elif any(line.line is not None and not line.on_contract for line in lines):
            roles.insert(0, (policy.approval.extra_role, "a line is off contract"))
        steps: dict[str, ApprovalStep] = {}
        for role, why in roles:
            steps.setdefault(
                role, ApprovalStep(role=role, why=why, approvers=await self._who(requisition, role, today))
            )
        return list(steps.values())

    async def _above(
        self, requisition: Requisition, steps: list[ApprovalStep], policy: Policy, today: date
    ) -> list[ApprovalStep]:
        """For each step, who it escalates to: the next level's people."""
        ladder = [level.role for level in sorted(policy.approval.levels, key=lambda level: level.over)]
        above = []
        for step in steps:
            place = ladder.index(step.role) if step.role in ladder else -1
            role = ladder[min(place + 1, len(ladder) - 1)]
            above.append(ApprovalStep(role=role, why="escalated", approvers=await self._who(requisition, role, today)))
        return above

    async def _who(self, requisition: Requisition, role: str, today: date) -> tuple[Approver, ...]:
        people = [e for e in await self._register.employees(requisition.facility, role) if _may(e, requisition)]
        own = [e for e in people if requisition.cost_centre in e.cost_centres]
        return tuple(Approver(id=e.id, substitute=e.substitute, away=e.away(today)) for e in (own or people))


def _may(person: Employee, requisition: Requisition) -> bool:
    return person.active and person.id != requisition.requester


def _stuck(asked: RequisitionLine, problem: Attention) -> EnrichedLine:
    return EnrichedLine(requisition_line=asked.id, problems=(problem,))


def _nobody(step: ApprovalStep) -> Attention:
    return _problem("business-rule", f"nobody may approve as {step.role} ({step.why})", "approvals")


def _order_line(
    asked: RequisitionLine, item: Item, sold: SupplierItem, contract: ContractPrice | None, facility: Facility
) -> OrderLine:
    """The line in the supplier's order unit, at the contract's price, else the asked one.

    Raises:
        Malformed: a unit the item is not packed in, or a quantity that is not a whole number of order units.
    """
    quantity = item.convert(asked.quantity, sold.order_unit, sold.supplier)
    if contract is not None:
        price = item.price_in(contract.price, contract.unit, sold.order_unit, sold.supplier)
    elif asked.unit_price is not None:
        price = item.price_in(asked.unit_price, asked.quantity.unit, sold.order_unit, sold.supplier)
    else:
        price = zero(facility.currency)
    return OrderLine(
        id=asked.id,
        number=1,
        requisition_line=asked.id,
        item=item.code,
        description=item.description or asked.description,
        supplier_item=sold.catalogue_number,
        quantity=quantity,
        base_units=item.base_units(sold.order_unit, sold.supplier),
        unit_price=price,
        contract=contract.contract if contract else None,
        tracking=item.tracking,
        bulk=item.bulk,
        lot=asked.lot,
        serial=asked.serial,
        procedure=asked.procedure,
    )


def _price_problems(
    asked: RequisitionLine,
    line: OrderLine,
    item: Item,
    sold: SupplierItem,
    contract: ContractPrice | None,
    supplier: Supplier,
    policy: Policy,
) -> list[Attention]:
    path = f"lines.{asked.id}.unit_price"
    if line.unit_price.amount <= 0:
        return [_problem("data-missing", f"{item.code} has neither a contract price nor a price asked", path, asked.id)]
    if line.unit_price.currency != supplier.currency:
        reason = f"priced in {line.unit_price.currency}, {supplier.code} sells in {supplier.currency}"
        return [_problem("business-rule", reason, path, asked.id)]
    if asked.unit_price is None or contract is None:
        return []
    expected = item.price_in(asked.unit_price, asked.quantity.unit, sold.order_unit, sold.supplier)
    if expected.currency != line.unit_price.currency:
        reason = f"asked in {expected.currency}, contract {contract.contract} is in {line.unit_price.currency}"
        return [_problem("business-rule", reason, path, asked.id)]
    difference = abs(expected.amount - line.unit_price.amount)
    if difference * 100 > line.unit_price.amount * policy.tolerances.price_percent:
        reason = f"asked at {expected} per {sold.order_unit}, contract {contract.contract} says {line.unit_price}"
        return [_problem("business-rule", reason, path, asked.id)]
    return []


def _budget_problems(
    requisition: Requisition, centre: CostCentre | None, left: Money | None, amount: Money, today: date
) -> list[Attention]:
    if centre is None or not centre.active:
        return [_problem("unknown-code", f"cost centre {requisition.cost_centre} is not an active one", "cost_centre")]
    over = (centre.period_from and today < centre.period_from) or (centre.period_to and today > centre.period_to)
    if over:
        return [_problem("business-rule", f"the budget of {centre.code} is not for today", "cost_centre")]
    if centre.budget is not None and centre.budget.currency != amount.currency:
        reason = f"the budget of {centre.code} is kept in {centre.budget.currency}, this needs {amount}"
        return [_problem("business-rule", reason, "cost_centre")]
    if left is not None and amount.amount > left.amount:
        return [over_budget(centre.code, left, amount)]
    return []


def over_budget(cost_centre: str, left: Money, needed: Money) -> Attention:
    """Finance's question: is it bought although the budget does not have the money?"""
    reason = f"budget exceeded: {cost_centre} has {left} left, this needs {needed}"
    return Attention(kind="business-rule", reason=reason, path="cost_centre", verbs=("accept", *FIX))


def _auto_reason(lines: list[EnrichedLine], amount: Money, policy: Policy) -> str:
    usual = all(line.line is not None and line.on_contract and line.at_par for line in lines)
    if usual and Decimal(0) < amount.amount <= policy.approval.auto_limit:
        return f"{amount} is at most {policy.approval.auto_limit}, every line on contract and at par"
    return ""
