"""Which orders may begin: those a requisition of ours made and numbered. Whatever else is started is listed for a person."""

from __future__ import annotations

import hashlib

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Money
from canonical.messages import NewMessage
from canonical.ports import Unmatched
from canonical.steps import OpenOrder, UnreadOrder
from store.case_tables import cases
from store.claim_rules import FORGED, Numbered, misfit, unread
from store.database import transaction
from store.journal import keep_in
from store.moves import mark_in
from store.tables import claims, commitments, order_numbers
from store.unmatched import put_in


async def may_not_begin(connection: AsyncConnection, request: OpenOrder) -> str:
    """Why an order that no case has yet may not begin; empty where it may, or its case is claimed already."""
    order, requisition = request.order, claims.alias("requisition")
    reserved = and_(
        commitments.c.facility == order_numbers.c.facility,
        commitments.c.order == order_numbers.c.number,
        commitments.c.key == func.concat(order_numbers.c.case, "/reserve"),
    )
    asked = (
        select(
            order_numbers.c.case,
            order_numbers.c.content,
            requisition.c.case.is_not(None).label("claimed"),
            func.coalesce(cases.c.closed, False).label("closed"),
            commitments.c.amount,
            commitments.c.currency,
        )
        .join(requisition, requisition.c.case == order_numbers.c.case, isouter=True)
        .join(cases, cases.c.case == order_numbers.c.case, isouter=True)
        .join(commitments, reserved, isouter=True)
        .where(order_numbers.c.facility == order.facility, order_numbers.c.number == order.number)
    )
    if await connection.scalar(select(claims.c.case).where(claims.c.case == order.case_id)) is not None:
        return ""
    row = (await connection.execute(asked)).one_or_none()
    if row is None:
        return misfit(request, None)
    promised = Money(amount=row.amount, currency=row.currency) if row.amount is not None else None
    numbered = Numbered(
        requisition=row.case, claimed=row.claimed, closed=row.closed, content=row.content, reserved=promised
    )
    return misfit(request, numbered)


class StoredOrderStarts:
    """Starts of orders' cases that cannot be read, in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def keep_unread_order(self, start: UnreadOrder) -> None:
        """Keep such a start as it came, and list it for a person: nothing is claimed. Once for each run and content.

        The message is of no case: its name may be that of a genuine one, whose messages are brought to it again.
        """
        content = hashlib.sha256(start.data).hexdigest()
        message = NewMessage(
            door="temporal",
            data=start.data,
            kind="purchase_order",
            key=f"start/{start.case}/{start.run}/{content[:16]}",
            at=start.as_of,
        )
        async with transaction(self._engine) as connection:
            kept = (await keep_in(connection, message)).message
            await mark_in(connection, kept.id, "dead", reason=start.reason)
            await put_in(connection, unread(start, kept.id))


def conflict(request: OpenOrder, content: str, reason: str) -> Unmatched:
    """The start of an order that is not followed, as it is listed: once for each run that tries."""
    order = request.order
    return Unmatched(
        id=f"conflict-{hashlib.sha256(f'{order.case_id}/{request.run}/{content}'.encode()).hexdigest()[:32]}",
        kind="order",
        number=order.number,
        supplier=order.supplier,
        order=order.number,
        facility=order.facility,
        reason=reason,
        case=order.case_id,
        at=request.as_of,
    )


def forged(request: OpenOrder, content: str, why: str) -> Unmatched:
    """The start of an order that no requisition of ours made."""
    return conflict(request, content, f"{why}; {FORGED}")
