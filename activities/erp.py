"""Finance and stock steps in the ERP; the wiring says which ERP serves which facility."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import activity

from canonical.base import FacilityCode
from canonical.erp_steps import ErpReceipt
from canonical.invoicing import InvoicePosting, PaymentOrder
from canonical.ports import Erp
from canonical.purchasing import GoodsReturn, OrderChange, PurchaseOrder


class ErpActivities:
    """One step each; repeated under the same key, the ERP holds one document."""

    def __init__(self, erp_for: Callable[[FacilityCode], Erp]) -> None:
        self._erp_for = erp_for

    @activity.defn
    async def create_purchase_order(self, order: PurchaseOrder) -> ErpReceipt:
        """Create and confirm the order."""
        return await self._erp_for(order.facility).create_purchase_order(order)

    @activity.defn
    async def change_purchase_order(self, change: OrderChange) -> ErpReceipt:
        """Change lines of the order."""
        return await self._erp_for(change.order.facility).change_purchase_order(change)

    @activity.defn
    async def cancel_purchase_order(self, change: OrderChange) -> ErpReceipt:
        """Take back what is not yet received."""
        return await self._erp_for(change.order.facility).cancel_purchase_order(change)

    @activity.defn
    async def return_goods(self, goods: GoodsReturn) -> ErpReceipt:
        """Book goods back to the supplier."""
        return await self._erp_for(goods.order.facility).return_goods(goods)

    @activity.defn
    async def post_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        """Post an invoice the match let through."""
        return await self._erp_for(posting.order.facility).post_invoice(posting)

    @activity.defn
    async def cancel_invoice(self, posting: InvoicePosting) -> ErpReceipt:
        """Take back a posted, unpaid invoice."""
        return await self._erp_for(posting.order.facility).cancel_invoice(posting)

    @activity.defn
    async def pay_invoice(self, payment: PaymentOrder) -> ErpReceipt:
        """Instruct a payment."""
        return await self._erp_for(payment.facility).pay_invoice(payment)
