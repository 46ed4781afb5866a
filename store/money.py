"""What orders promise of a budget, and which invoices were seen before."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Money, zero
from canonical.parties import CostCentre
from canonical.steps import BudgetMove, InvoiceCheck, InvoiceSeen, OrdersRequest
from store.database import transaction
from store.ids import now
from store.register_reading import current, of_others
from store.tables import commitments, invoices, order_numbers, orders


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
    """What an order will promise of the budget, from the moment it has its number; opening it finds this there.

    Asked again with another amount, that holds, until the order's case has begun.
    """
    asked = request.requisition
    promised = {
        "facility": asked.facility,
        "order": order,
        "cost_centre": asked.cost_centre,
        "amount": amount.amount,
        "currency": amount.currency,
        "key": _reserved(request.case),
        "as_of": request.as_of or now(),
    }
    new = upsert(commitments).values(promised)
    keys = ["facility", "order"]
    await connection.execute(
        new.on_conflict_do_update(index_elements=keys, set_=promised, where=_not_begun(request.case))
    )


async def reserved(connection: AsyncConnection, case: str) -> dict[str, Money | None]:
    """What a requisition has reserved under each of its order numbers; None where the order's case has begun, and decides."""
    asked = (
        select(order_numbers.c.number, commitments.c.amount, commitments.c.currency, _begun().label("begun"))
        .join(
            commitments,
            and_(
                commitments.c.facility == order_numbers.c.facility,
                commitments.c.order == order_numbers.c.number,
                commitments.c.key == _reserved(case),
            ),
            isouter=True,
        )
        .where(order_numbers.c.case == case)
    )
    return {
        row.number: None if row.begun else Money(amount=row.amount or 0, currency=row.currency or zero().currency)
        for row in await connection.execute(asked)
    }


async def release(connection: AsyncConnection, case: str, at: datetime, numbers: Collection[str] | None = None) -> None:
    """Free what a requisition reserved for orders that will not be: all whose case has not begun, or those of ``numbers``."""
    freed = update(commitments).where(_not_begun(case), commitments.c.amount != 0)
    if numbers is not None:
        freed = freed.where(commitments.c.order.in_(numbers))
    await connection.execute(freed.values(amount=0, as_of=at))


def _reserved(case: str) -> str:
    return f"{case}/reserve"


def _begun() -> ColumnElement[bool]:
    """Whether the case of a numbered order has begun."""
    return exists().where(orders.c.facility == order_numbers.c.facility, orders.c.number == order_numbers.c.number)


def _not_begun(case: str) -> ColumnElement[bool]:
    """Of a requisition's commitments those that are only reserved yet."""
    own = select(order_numbers.c.number).where(
        order_numbers.c.case == case,
        order_numbers.c.facility == commitments.c.facility,
        ~_begun(),
    )
    return and_(commitments.c.key == _reserved(case), commitments.c.order.in_(own))


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
            "key": "",  # no longer only reserved
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
        # One at a time for a number, so that two that come at once see each other.
        alone = func.pg_advisory_xact_lock(func.hashtextextended(f"invoice/{invoice.supplier}/{invoice.number}", 0))
        async with transaction(self._engine) as connection:
            await connection.execute(select(alone))
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
