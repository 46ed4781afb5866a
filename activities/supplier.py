"""Documents to suppliers; the wiring says which channel a partner is reached by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from temporalio import activity

from canonical.errors import Rejected, Throttled
from canonical.invoicing import Remittance
from canonical.parties import Partner
from canonical.ports import Register, SupplierChannel
from canonical.purchasing import OrderChange
from canonical.steps import SendOrder, SentDocument


class SupplierActivities:
    """Each document leaves once under its key, however often the step is repeated."""

    def __init__(
        self,
        channel_for: Callable[[Partner], SupplierChannel],
        register: Register,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),  # when a wire is open is no rule of the business
    ) -> None:
        self._channel_for = channel_for
        self._now = now
        self._register = register

    async def _partner(self, supplier: str) -> Partner:
        partner = await self._register.partner(supplier)
        if partner is None or not partner.active:
            raise Rejected(f"supplier {supplier} has no active partner row: nobody to send to", code="unknown-code")
        now = self._now()
        if not partner.window.is_open(now):
            opens = partner.window.add(now, timedelta())
            raise Throttled(
                f"the mailbox of {supplier} is closed until {opens:%Y-%m-%d %H:%M} UTC",
                retry_after=(opens - now).total_seconds(),
                code="closed",
                system="supplier",
            )
        return partner

    @activity.defn
    async def send_order(self, send: SendOrder) -> SentDocument:
        """Send the order (850)."""
        partner = await self._partner(send.order.supplier)
        return await self._channel_for(partner).send_order(send.order, partner, send.attempt)

    @activity.defn
    async def send_change(self, change: OrderChange) -> SentDocument:
        """Send a change or cancellation (860)."""
        partner = await self._partner(change.order.supplier)
        return await self._channel_for(partner).send_change(change, partner)

    @activity.defn
    async def send_remittance(self, remittance: Remittance) -> SentDocument:
        """Tell the supplier what a payment is for (820)."""
        partner = await self._partner(remittance.order.supplier)
        return await self._channel_for(partner).send_remittance(remittance, partner)
