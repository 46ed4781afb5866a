"""The hospital's ERP as the platform sees it, where that ERP is Tryton 8.2 with the module ``fascia_key``.

See ``docs/adr/0004-tryton.md`` for why each business step is done the way it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import httpx

from adapters.erp.tryton.bills import Bills
from adapters.erp.tryton.changes import Changes
from adapters.erp.tryton.employees import TrytonEmployees
from adapters.erp.tryton.master import Master
from adapters.erp.tryton.orders import Orders
from adapters.erp.tryton.records import Records
from adapters.erp.tryton.rpc import TrytonRpc
from adapters.erp.tryton.stock import Stock
from canonical.erp_steps import CostCentreActual, ErpChanges, ErpOrder, ErpReceipt
from canonical.invoicing import InvoicePosting, PaymentOrder
from canonical.ports import MasterData
from canonical.purchasing import GoodsReturn, OrderChange, PurchaseOrder
from canonical.stock import OnHand, StockPosted, StockPosting


class TrytonErp:
    """One Tryton database, signed in as the platform's own user."""

    def __init__(self, client: httpx.AsyncClient, url: str, database: str, user: str, password: str) -> None:
        self._client = client
        records = Records(TrytonRpc(client, url, database, user, password))
        self._records = records
        self._orders = Orders(records)
        self._bills = Bills(records)
        self._changes = Changes(records)
        self._master = Master(records)
        self._stock = Stock(records)
        self.employees = TrytonEmployees(records)

    async def create_purchase_order(self, order: PurchaseOrder) -> ErpReceipt:
        return await self._orders.create(order)

    async def change_purchase_order(self, change: OrderChange) -> ErpReceipt:
        return await self._orders.change(change)

    async def cancel_purchase_order(self, change: OrderChange) -> ErpReceipt:
        return await self._orders.cancel(change)

    async def return_goods(self, goods: GoodsReturn) -> ErpReceipt:
        receipt = await self._orders.give_back(goods)
        purchase = await self._records.purchase(goods.order, ["number"])
        lines = await self._records.purchase_lines(purchase["id"])
        credit = await self._bills.credit_returned(goods, lines)
        return receipt.changed(related=(credit,) if credit else ())

    async def post_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        return await self._bills.post(posting)

    async def pay_invoice(self, payment: PaymentOrder) -> ErpReceipt:
        return await self._bills.pay(payment)

    async def cancel_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        return await self._bills.cancel(posting)

    async def purchase_order(self, facility: str, number: str) -> ErpOrder:
        return await self._changes.order(facility, number)

    async def changes(self, facility: str, since: datetime) -> ErpChanges:
        return await self._changes.since(facility, since)

    async def actuals(self, facility: str, from_day: date, to_day: date) -> Sequence[CostCentreActual]:
        return await self._changes.actuals(from_day, to_day)

    async def master_data(self, facility: str) -> MasterData:
        return await self._master.read(facility)

    async def post_stock(self, posting: StockPosting) -> StockPosted:
        return await self._stock.post(posting)

    async def on_hand(self, facility: str, location: str, as_of: datetime) -> Sequence[OnHand]:
        return await self._stock.on_hand(facility, location, as_of)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()
