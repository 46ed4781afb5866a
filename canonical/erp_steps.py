"""What steps at the ERP are given and give back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from canonical.base import Canonical, CostCentreCode, Money, OrderNumber
from canonical.invoicing import Payment
from canonical.purchasing import (
    Receipt,
)


class ErpReceipt(Canonical):
    """What the ERP made or found under our key. ``already``: it was there before this call."""

    system: str
    kind: str
    id: str
    number: str
    key: str
    state: str = ""
    amount: Money | None = None
    already: bool = False
    related: tuple[str, ...] = ()


class ErpDocument(Canonical):
    """A document of the ERP, as asked for."""

    kind: str
    id: str
    number: str
    state: str
    key: str = ""
    amount: Money | None = None
    reference: str = ""


class ErpOrder(Canonical):
    """An order as the ERP holds it, with everything that hangs on it."""

    order: OrderNumber
    document: ErpDocument | None = None
    receipts: tuple[ErpDocument, ...] = ()
    invoices: tuple[ErpDocument, ...] = ()
    payments: tuple[ErpDocument, ...] = ()
    returns: tuple[ErpDocument, ...] = ()
    received: dict[str, Decimal] = Field(default_factory=dict)


class CostCentreActual(Canonical):
    """What the ERP has booked on a cost centre."""

    cost_centre: CostCentreCode
    actual: Money


class ErpChanges(Canonical):
    """What changed in the ERP since a moment; ``until`` is where the next question starts (less the overlap)."""

    receipts: tuple[Receipt, ...] = ()
    cancelled_orders: tuple[OrderNumber, ...] = ()
    payments: tuple[Payment, ...] = ()
    until: datetime
