"""What the parts of the ERP suite share: who works in the ERP beside us, and how one asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from canonical.erp_steps import ErpOrder
from canonical.errors import Unavailable
from canonical.ports import Erp
from canonical.purchasing import PurchaseOrder, Receipt
from tests.adapters.erp.build import FACILITY

Answer = TypeVar("Answer")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class People(Protocol):
    """Who works in the ERP beside us."""

    def receive(
        self,
        order: str,
        lines: Mapping[str, Decimal | int] | None = None,
        *,
        delivery_note: str = "",
        unordered: Mapping[str, Decimal | int] | None = None,
    ) -> str: ...
    def cancel_receipt(self, number: str) -> None: ...
    def cancel_order(self, order: str) -> None: ...
    def bank_confirms(self, order: str | None = None) -> int: ...
    def bank_refuses(self, order: str | None = None) -> int: ...
    def orders(self) -> dict[str, int]: ...


def states(documents: Any) -> list[tuple[str, str]]:
    return sorted((one.kind, one.state) for one in documents)


async def until_answered(step: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again under the same key until there is an answer, as the engine does."""
    for _ in range(1200):
        try:
            return await step()
        except Unavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("never answered")


class Suite:
    """What every part of the suite asks with; a subclass gives the fixtures ``erp`` and ``people``."""

    async def receipts(self, erp: Erp, order: PurchaseOrder) -> list[Receipt]:
        changes = await erp.changes(FACILITY, LONG_AGO)
        return [one for one in changes.receipts if one.order == order.number]

    async def stands(self, erp: Erp, order: PurchaseOrder) -> ErpOrder:
        return await erp.purchase_order(FACILITY, order.number)
