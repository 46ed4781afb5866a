"""Needs of locations, followed from our own store: how the cases that bring them stand, and what came of them so far."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from pydantic import Field
from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical
from canonical.purchasing import Requisition
from canonical.steps import SupplierDocument
from store.case_tables import cases, documents
from store.database import transaction
from store.ids import now
from store.kept import kept
from store.tables import messages
from store.usage_tables import stock_needs, usage_events

UNFINISHED = ("open", "ordered", "back-ordered")


class FollowedNeed(Canonical):
    """A need whose requisition is under way. ``quantity``, ``received``, ``put_away``: base units; ``event``: the use it follows.

    ``news``: when its requisition's case, or one of its orders', last changed.
    """

    id: str
    facility: str
    location: str
    item: str
    state: str
    quantity: int
    received: int = 0
    put_away: int = 0
    case: str
    event: str = ""
    orders: str = ""
    reason: str = ""
    expected: date | None = None
    news: datetime | None = None


class LotCame(Canonical):
    """How much of a lot came for a need, in base units, so far."""

    lot: str = ""
    expires: date | None = None
    quantity: int = Field(ge=0)


class StoredReplenishment:
    """Questions about needs, and their state as their orders have it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def unfinished(self, after: str = "", limit: int = 200) -> Sequence[FollowedNeed]:
        """Needs whose requisition was started and that have not come whole, in the order of their ids, from ``after`` on."""
        own = select(func.max(cases.c.changed_at)).where(cases.c.case == stock_needs.c.case).scalar_subquery()
        orders = select(func.max(cases.c.changed_at)).where(cases.c.parent == stock_needs.c.case).scalar_subquery()
        columns = [stock_needs.c[name] for name in FollowedNeed.model_fields if name != "news"]
        asked = (
            select(*columns, func.greatest(own, orders).label("news"))
            .where(stock_needs.c.state.in_(UNFINISHED), stock_needs.c.case != "", stock_needs.c.id > after)
            .order_by(stock_needs.c.id)
            .limit(limit)
        )
        async with transaction(self._engine) as connection:
            return [FollowedNeed.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def tell(self, before: FollowedNeed, after: FollowedNeed, lots: Sequence[LotCame]) -> bool:
        """Write how a need stands now; False where it was changed meanwhile: it is looked at again."""
        changes = after.model_dump(include={"state", "received", "orders", "reason", "expected"})
        asked = (
            update(stock_needs)
            .where(
                stock_needs.c.id == before.id,
                stock_needs.c.state == before.state,
                stock_needs.c.received == before.received,
            )
            .values(**changes, lots=[lot.model_dump(mode="json") for lot in lots], changed_at=now())
        )
        async with transaction(self._engine) as connection:
            return bool((await connection.execute(asked)).rowcount)

    async def receipts(self, case: str) -> Sequence[SupplierDocument]:
        """The receipts an order's case was told of, as the ERP told them."""
        told = documents.c.case == case, documents.c.kind == "receipt", documents.c.message != ""
        asked = select(messages).where(messages.c.id.in_(select(documents.c.message).where(*told)))
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked)).mappings().all()
        return [SupplierDocument.model_validate_json(kept(row).data) for row in rows]


async def used_for(engine: AsyncEngine, requisition: Requisition) -> bool:
    """Whether a use in our own store asked for exactly this order after use, and it was not taken back."""
    void = usage_events.c
    taken_back = exists().where(  # also where the ERP is away and that is still to be posted
        void.voids == stock_needs.c.event,
        void.voids != "",
        void.kind == "void",
        void.state.in_(("waiting", "taken", "posted", "voided")),
    )
    asked = select(stock_needs.c.requisition).where(
        ~taken_back,
        stock_needs.c.id == requisition.number,
        stock_needs.c.facility == requisition.facility,
        stock_needs.c.event != "",
        stock_needs.c.state.not_in(("cancelled", "refused")),
    )
    async with transaction(engine) as connection:
        found = await connection.scalar(asked)
    return found is not None and Requisition.model_validate(found) == requisition
