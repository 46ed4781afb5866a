"""Steps on our own store: claim a case, write how it stands, check who decided, keep the budget."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from temporalio import activity

from activities.register import NOT_USED, over_budget
from canonical.base import Money, case_parts, total
from canonical.calendar import BusinessCalendar
from canonical.cases import CaseChange, CheckedDecision, DecisionToCheck
from canonical.errors import Unavailable
from canonical.parties import Policy, Supplier
from canonical.ports import Cases, Register, Unmatched
from canonical.purchasing import OrderLine, PurchaseOrder, numbered_content
from canonical.steps import (
    Alternatives,
    AlternativesQuestion,
    BudgetMove,
    CaseFound,
    CaseQuestion,
    CheckedDocuments,
    Claimed,
    ClaimRequest,
    DocumentsToCheck,
    EnrichedLine,
    InvoiceCheck,
    InvoiceSeen,
    OpenOrder,
    OrderContext,
    Orders,
    OrdersRequest,
    SupplierQuestion,
    UnreadableDecision,
    UnreadOrder,
)

# How a requisition says that it takes its orders back (workflows.requisition_orders).
TAKEN_BACK = ("cancelling", "cancelled")


class CaseActivities:
    """What a case does in our own store, as local activities: quick, and repeated without effect."""

    def __init__(self, cases: Cases, register: Register) -> None:
        self._cases = cases
        self._register = register

    @activity.defn
    async def claim(self, request: ClaimRequest) -> Claimed:
        """Journal a start, read it strictly, claim the case."""
        return await self._cases.claim(request)

    @activity.defn
    async def record(self, change: CaseChange) -> None:
        """Write the case as it stands."""
        await self._cases.record(change)

    @activity.defn
    async def check_decision(self, request: DecisionToCheck) -> CheckedDecision:
        """Check a decision's seal and find who gave it."""
        return await self._cases.check(request)

    @activity.defn
    async def check_documents(self, request: DocumentsToCheck) -> CheckedDocuments:
        """Check the seals of documents that came for a case."""
        return await self._cases.check_documents(request)

    @activity.defn
    async def keep_unreadable(self, what: UnreadableDecision) -> None:
        """Write what does not fit to the case, with the reason."""
        await self._cases.keep_unreadable_decision(what.case, what.data, what.reason, what.at, read=what.read)

    @activity.defn
    async def split_orders(self, request: OrdersRequest) -> Orders:
        """Split approved lines by supplier, ship-to and contract, number the orders and reserve their budget."""
        if request.requisition.after_use and not await self._cases.was_used(request.requisition):
            return Orders(problem=NOT_USED)
        groups: dict[str, list[EnrichedLine]] = defaultdict(list)
        for line in request.lines:
            groups[f"{line.supplier}|{line.ship_to}|{line.contract or ''}"].append(line)
        orders = {key: await self._order(request, "not-numbered", groups[key]) for key in sorted(groups)}
        amounts = {key: order.amount for key, order in orders.items()}
        contents = {key: numbered_content(order) for key, order in orders.items()}
        given = await self._cases.order_numbers(request, amounts, contents)
        if given.budget_left is not None:
            needed = request.amount or total(list(amounts.values()), request.currency)
            return Orders(problem=over_budget(request.requisition.cost_centre, given.budget_left, needed))
        numbered = zip(orders.values(), given.numbers, strict=True)
        return Orders(orders=tuple(order.model_copy(update={"number": number}) for order, number in numbered))

    async def _order(self, request: OrdersRequest, number: str, lines: list[EnrichedLine]) -> PurchaseOrder:
        requisition, first = request.requisition, lines[0]
        supplier = await self._supplier(first.supplier or "")
        numbered = [
            line.line.model_copy(update={"number": position})
            for position, line in enumerate(lines, start=1)
            if isinstance(line.line, OrderLine)
        ]
        return PurchaseOrder(
            facility=requisition.facility,
            number=number,
            requisition=request.case,
            requester=requisition.requester,
            supplier=supplier.code,
            ship_to=first.ship_to,
            department=requisition.department,
            cost_centre=requisition.cost_centre,
            currency=request.currency,
            contract=first.contract,
            ordered_on=request.dated,
            needed_by=requisition.needed_by,
            emergency=requisition.emergency,
            after_use=requisition.after_use,
            net_days=supplier.terms.net_days,
            lines=tuple(numbered),
        )

    @activity.defn
    async def open_order(self, request: OpenOrder) -> OrderContext:
        """Claim the order's case, commit its budget, and read the rules it goes by."""
        order = request.order
        claimed = await self._cases.open_order(request)
        if claimed.outcome not in ("claimed", "resumed"):
            return _not_its_own(order, claimed)
        facility = await self._register.facility(order.facility)
        policy = await self._register.policy(order.facility, request.as_of.date())
        supplier = await self._supplier(order.supplier)
        if facility is None:
            raise Unavailable(f"facility {order.facility} is not in the register", code="unknown-code", system="store")
        packs: dict[str, dict[str, int]] = {}
        for line in order.lines:
            item = await self._register.item(order.facility, line.item)
            if item is not None:
                packs[line.item] = _packs(item.base_unit, [(p.unit, p.base_units) for p in item.packagings]) | _packs(
                    line.quantity.unit,
                    [
                        (p.unit, p.base_units)
                        for s in item.suppliers
                        if s.supplier == order.supplier
                        for p in s.packagings
                    ],
                    line.base_units,
                )
        partner = await self._register.partner(order.supplier)
        taken_back = await self._taken_back(order) if claimed.outcome == "resumed" else ""
        return OrderContext(
            outcome=claimed.outcome,
            generation=claimed.generation,
            revision=claimed.revision,
            carried=claimed.carried,
            policy=policy,
            calendar=facility.calendar,
            partner=partner.model_copy(update={"mailbox_key_file": "", "mailbox_host_key": ""}) if partner else None,
            supplier=supplier,
            terms=policy.payment.on_our_clock(supplier.terms),
            taken_back=taken_back,
            carried_kept=True,
            packs=packs,
        )

    @activity.defn
    async def keep_unread_order(self, start: UnreadOrder) -> None:
        """Keep the start of an order's case that cannot be read, and list it for a person."""
        await self._cases.keep_unread_order(start)

    async def _taken_back(self, order: PurchaseOrder) -> str:
        """Whether the order's requisition takes it back: it says so in our store before it tells the order's case, so what an
        earlier run of that case was told and did not take in is known to the next.
        """
        asked = await self._cases.status(order.requisition) if order.requisition else None
        if asked is None or asked.business_state not in TAKEN_BACK:
            return ""
        return "cancelled with its requisition"

    async def _supplier(self, code: str) -> Supplier:
        supplier = await self._register.supplier(code)
        if supplier is None:
            raise Unavailable(f"supplier {code} is not in the register", code="unknown-code", system="store")
        return supplier

    @activity.defn
    async def supplier_now(self, question: SupplierQuestion) -> Supplier:
        """The supplier's row as it stands: blocked since, bank details changed since? Who changed them by a login of the
        facility is named by their employee id, as decisions name people.
        """
        supplier = await self._supplier(question.supplier)
        changed_by = supplier.bank_changed_by
        person = await self._register.employee_by_login(question.facility, changed_by) if changed_by else None
        return supplier if person is None else supplier.changed(bank_changed_by=person.id)

    @activity.defn
    async def move_budget(self, move: BudgetMove) -> None:
        """Set what is committed for an order."""
        await self._cases.move_budget(move)

    @activity.defn
    async def check_invoice(self, check: InvoiceCheck) -> InvoiceSeen:
        """Whether this invoice was seen before."""
        return await self._cases.check_invoice(check)

    @activity.defn
    async def how_it_stands(self, question: CaseQuestion) -> CaseFound:
        """How another case stands; what another process wrote under its name is not it."""
        found = await self._cases.status(question.case)
        ours = found is not None and found.process == case_parts(question.case)[0]
        return CaseFound(status=found if ours else None)

    @activity.defn
    async def list_unmatched(self, document: Unmatched) -> None:
        """List a document that came too late for its case, for a person to attach or set aside."""
        await self._cases.put_unmatched(document)

    @activity.defn
    async def alternatives(self, question: AlternativesQuestion) -> Alternatives:
        """Who else sells an item on that day."""
        item = await self._register.item(question.facility, question.item)
        ways = []
        for other in item.suppliers if item else ():
            if other.supplier != question.but and item is not None and item.at_supplier(other.supplier, question.as_of):
                price = await self._price(question.facility, question.item, other.supplier, question.as_of)
                ways.append(f"{other.supplier} {other.catalogue_number}{f' at {price}' if price else ''}")
        return Alternatives(item=question.item, ways=tuple(ways))

    async def _price(self, facility: str, item: str, supplier: str, as_of: date) -> Money | None:
        prices = await self._register.contract_prices(facility, item, as_of)
        return next((price.price for price in prices if price.supplier == supplier), None)


def _not_its_own(order: PurchaseOrder, claimed: Claimed) -> OrderContext:
    """The run ends here. No rules are read for it: what it names, a supplier above all, may be nowhere in the register."""
    return OrderContext(
        outcome="duplicate" if claimed.outcome == "duplicate" else "conflict",
        generation=claimed.generation,
        policy=Policy(facility=order.facility),
        calendar=BusinessCalendar(),
        supplier=Supplier(code=order.supplier),
        carried_kept=True,
        reason=claimed.reason,
    )


def _packs(base: str, packagings: list[tuple[str, int]], base_units: int = 1) -> dict[str, int]:
    return {base: base_units} | dict(packagings)
