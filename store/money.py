"""What orders promise of a budget, and which invoices were seen before."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Money, zero
from canonical.parties import CostCentre
from canonical.steps import BudgetMove, InvoiceCheck, InvoiceSeen, OrdersRequest
from store.database import transaction
from store.ids import now
from store.register_reading import current, of_others
from store.tables import commitments, invoices


async def budget_left(connection: AsyncConnection, request: OrdersRequest) -> Money | None:
    """Budget less actual less what others committed, of the requisition's cost centre; None where no budget limits it.

    A budget in another currency is the check's problem (``RegisterActivities.enrich``), not this sum's.
    """
    asked = request.requisition
    centre = await current(connection, CostCentre, "cost_centre", asked.facility, asked.cost_centre, request.dated)
    if centre is None or centre.budget is None or centre.budget.currency != request.currency:
        return None
    promised = select(func.sum(commitments.c.amount)).where(
        commitments.c.facility == asked.facility,
        commitments.c.cost_centre == asked.cost_centre,
        of_others(request.case),
    )
    committed = await connection.scalar(promised)
    spent = (centre.actual or zero(request.currency)) + Money(amount=committed or 0, currency=request.currency)
    return centre.budget - spent


async def reserve(connection: AsyncConnection, request: OrdersRequest, order: str, amount: Money) -> None:
    """What an order will promise of the budget, from the moment it has its number; opening it finds this there."""
    asked = request.requisition
    promised = {
        "facility": asked.facility,
        "order": order,
        "cost_centre": asked.cost_centre,
        "amount": amount.amount,
        "currency": amount.currency,
        "key": f"{request.case}/reserve",
        "as_of": request.as_of or now(),
    }
    await connection.execute(upsert(commitments).values(promised).on_conflict_do_nothing())


class StoredMoney:
    """Commitments and invoices in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def move_budget(self, move: BudgetMove) -> None:
        """Set what is committed for an order; an older word does not replace a newer one."""
        values = {
            "facility": move.facility,
            "order": move.order,
            "cost_centre": move.cost_centre,
            "amount": move.committed.amount,
            "currency": move.committed.currency,
            "key": move.key,
            "as_of": move.as_of,
        }
        asked = upsert(commitments).values(values)
        newer = commitments.c.as_of <= asked.excluded.as_of
        async with transaction(self._engine) as connection:
            await connection.execute(
                asked.on_conflict_do_update(index_elements=["facility", "order"], set_=values, where=newer)
            )

    async def check_invoice(self, check: InvoiceCheck) -> InvoiceSeen:
        """Remember the invoice for this case, or say whose it was first.

        The same message asked again (a retry, a resumed case) is the first; another message with the same supplier,
        number, date and total is a duplicate, in the same case too. Another date or total under the same number is said.
        """
        invoice = check.invoice
        row = {
            "key": invoice.key,
            "supplier": invoice.supplier,
            "number": invoice.number,
            "case": check.case,
            "message": check.message,
        }
        same_number = (
            select(invoices)
            .where(invoices.c.supplier == invoice.supplier, invoices.c.number == invoice.number)
            .order_by(invoices.c.at, invoices.c.key)
        )
        async with transaction(self._engine) as connection:
            await connection.execute(upsert(invoices).values(row | {"at": now()}).on_conflict_do_nothing())
            seen = {found.key: found for found in await connection.execute(same_number)}
        first = seen.pop(invoice.key)
        if (first.case, first.message) != (check.case, check.message):
            why = f"invoice {invoice.number} of {invoice.supplier} with this date and total was received before"
            return InvoiceSeen(duplicate=True, first_case=first.case, reason=why)
        if seen:
            other = next(iter(seen.values()))
            why = f"invoice {invoice.number} of {invoice.supplier} was received before with another date or total"
            return InvoiceSeen(first_case=other.case, reason=why)
        return InvoiceSeen()
