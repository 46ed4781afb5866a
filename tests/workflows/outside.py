"""The ERP and the suppliers as a process sees them in tests: they write down what they are asked, and can refuse or fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from canonical.erp_steps import CostCentreActual, ErpChanges, ErpOrder, ErpReceipt
from canonical.errors import Rejected, Unavailable
from canonical.invoicing import InvoicePosting, PaymentOrder, Remittance
from canonical.parties import Partner
from canonical.ports import MasterData
from canonical.purchasing import GoodsReturn, OrderChange, PurchaseOrder
from canonical.steps import SentDocument
from canonical.stock import OnHand, StockPosted, StockPosting
from tests.fakes.erp_stock import FakeStock


class Outside:
    """Records every call under its key, once; ``refuse`` and ``fail`` hold the steps that say no or do not answer.

    ``unanswered``: a posting is in the books, or a remittance in the mailbox, and the answer waits for this.
    """

    def __init__(self) -> None:
        self.documents: dict[str, list[tuple[str, Any]]] = {}
        self.refuse: dict[str, str] = {}
        self.fail: dict[str, int] = {}
        self.unanswered: dict[str, asyncio.Event] = {}
        self.stock = FakeStock()

    def _take(self, order: str, step: str, key: str, what: Any) -> bool:
        if self.fail.get(step, 0) > 0:
            self.fail[step] -= 1
            raise Unavailable(f"{step} does not answer", system="erp")
        if step in self.refuse:
            raise Rejected(self.refuse[step], system="erp")
        held = self.documents.setdefault(order, [])
        if any(name == f"{step} {key}" for name, _ in held):
            return False
        held.append((f"{step} {key}", what))
        return True

    def steps(self, order: str) -> list[str]:
        """The steps carried out for an order, in order."""
        return [name.split(" ", 1)[0] for name, _ in self.documents.get(order, [])]

    def last(self, order: str, step: str) -> Any:
        """What the last such step was asked."""
        return [what for name, what in self.documents[order] if name.split(" ", 1)[0] == step][-1]

    def _receipt(self, step: str, order: str, key: str, what: Any) -> ErpReceipt:
        new = self._take(order, step, key, what)
        return ErpReceipt(system="erp", kind=step, id=key, number=f"{step}-{order}", key=key, already=not new)

    async def create_purchase_order(self, order: PurchaseOrder) -> ErpReceipt:
        return self._receipt("create", order.number, order.case_id, order)

    async def change_purchase_order(self, change: OrderChange) -> ErpReceipt:
        return self._receipt("change", change.order.number, change.key, change)

    async def cancel_purchase_order(self, change: OrderChange) -> ErpReceipt:
        return self._receipt("cancel", change.order.number, change.key, change)

    async def return_goods(self, goods: GoodsReturn) -> ErpReceipt:
        return self._receipt("return", goods.order.number, goods.key, goods)

    async def post_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        posted = self._receipt("post", posting.order.number, posting.key, posting)
        if "post" in self.unanswered:
            await self.unanswered["post"].wait()
        return posted

    async def cancel_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        return self._receipt("unpost", posting.order.number, posting.key, posting)

    async def pay_invoice(self, payment: PaymentOrder) -> ErpReceipt:
        return self._receipt("pay", payment.order, payment.key, payment)

    async def purchase_order(self, facility: str, number: str) -> ErpOrder:
        return ErpOrder(order=number)

    async def changes(self, facility: str, since: datetime) -> ErpChanges:
        return ErpChanges(until=since)

    async def actuals(self, facility: str, from_day: date, to_day: date) -> Sequence[CostCentreActual]:
        return ()

    async def master_data(self, facility: str) -> MasterData:
        return MasterData()

    async def post_stock(self, posting: StockPosting) -> StockPosted:
        return await self.stock.post_stock(posting)

    async def on_hand(self, facility: str, location: str, as_of: datetime) -> Sequence[OnHand]:
        return await self.stock.on_hand(facility, location, as_of)

    async def send_order(self, order: PurchaseOrder, partner: Partner, attempt: int = 1) -> SentDocument:
        self._take(order.number, "850", str(attempt), order)
        return SentDocument(kind="850", message=f"850-{order.number}-{attempt}")

    async def send_change(self, change: OrderChange, partner: Partner) -> SentDocument:
        self._take(change.order.number, "860", change.key, change)
        return SentDocument(kind="860", message=f"860-{change.order.number}-{change.sequence}")

    async def send_remittance(self, remittance: Remittance, partner: Partner) -> SentDocument:
        self._take(remittance.order.number, "820", remittance.key, remittance)
        if "820" in self.unanswered:
            await self.unanswered["820"].wait()
        return SentDocument(kind="820", message=f"820-{remittance.order.number}")
