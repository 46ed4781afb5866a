"""Keeps the register as the ERP has it: what is booked on cost centres, which suppliers are blocked, whose bank details changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Protocol

import structlog

from canonical.erp_steps import CostCentreActual
from canonical.parties import CostCentre, Supplier
from canonical.ports import Erp

log = structlog.get_logger(__name__)


class RegisterFromErp(Protocol):
    """The records the ERP is the authority for."""

    async def cost_centres(self, facility: str) -> Sequence[CostCentre]:
        """Every cost centre of a facility, with its budget's period."""
        ...

    async def take_actuals(self, facility: str, actuals: Sequence[CostCentreActual]) -> None:
        """Write what is booked."""
        ...

    async def take_suppliers(self, suppliers: Sequence[Supplier]) -> None:
        """Write status and bank fingerprint as the ERP has them; what a person confirmed stays."""
        ...


class RegisterRefresh:
    """One round takes over what the ERP knows better than we do."""

    def __init__(
        self,
        facility: str,
        erp: Erp,
        register: RegisterFromErp,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._facility = facility
        self._erp = erp
        self._register = register
        self._clock = clock

    async def once(self) -> None:
        """Ask for actuals and suppliers, and write them."""
        today = self._clock().date()
        for first, last in periods(await self._register.cost_centres(self._facility), today):
            actuals = await self._erp.actuals(self._facility, first, last)
            await self._register.take_actuals(self._facility, actuals)
        await self._register.take_suppliers((await self._erp.master_data(self._facility)).suppliers)


def periods(cost_centres: Sequence[CostCentre], today: date) -> list[tuple[date, date]]:
    """The budget periods running today; a cost centre without one counts the calendar year."""
    found = {
        (centre.period_from or date(today.year, 1, 1), centre.period_to or date(today.year, 12, 31))
        for centre in cost_centres
        if centre.active
    }
    return sorted((first, last) for first, last in found if first <= today <= last)
