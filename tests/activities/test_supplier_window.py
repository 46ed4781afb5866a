"""A supplier's mailbox is served in its own hours: what is due outside them waits and says until when."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from activities.supplier import SupplierActivities
from canonical.calendar import BusinessCalendar, OpenHours
from canonical.errors import Throttled
from canonical.purchasing import PurchaseOrder
from canonical.steps import SendOrder
from tests import build
from tests.fakes.register import FakeRegister
from tests.workflows.outside import Outside

MORNINGS = BusinessCalendar(
    code="mornings",
    time_zone="America/New_York",
    hours=tuple(OpenHours(weekday=day, opens=time(6), closes=time(12)) for day in range(5)),
)


def _order() -> PurchaseOrder:
    lines = [
        {
            "id": "1",
            "number": 1,
            "requisition_line": "1",
            "item": "ITM-1002",
            "supplier_item": "ALP-1002",
            "quantity": {"value": "1", "unit": "BX"},
            "unit_price": {"amount": "2"},
        }
    ]
    return PurchaseOrder.model_validate(
        {
            "facility": "NGH",
            "number": "PO1",
            "supplier": "ALPINE",
            "ship_to": "OR-1",
            "cost_centre": "CC-4100",
            "ordered_on": date(2026, 11, 20),
            "lines": lines,
        }
    )


def _steps(now: datetime) -> tuple[SupplierActivities, Outside]:
    register, outside = FakeRegister(*build.hospital()), Outside()
    partner = next(
        one for one in register.records if getattr(one, "our_id", "") and getattr(one, "code", "") == "ALPINE"
    )
    register.put(partner.model_copy(update={"window": MORNINGS}))
    return SupplierActivities(lambda _: outside, register, lambda: now), outside


async def test_an_order_due_at_night_waits_until_the_mailbox_opens() -> None:
    friday_night = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
    steps, outside = _steps(friday_night)
    with pytest.raises(Throttled, match="closed until 2026-11-23 11:00 UTC") as closed:
        await steps.send_order(SendOrder(order=_order()))
    assert (closed.value.retry_after, outside.documents) == (60 * 3600, {})


async def test_an_order_due_in_the_morning_leaves_at_once() -> None:
    steps, outside = _steps(datetime(2026, 11, 20, 14, 0, tzinfo=UTC))
    await steps.send_order(SendOrder(order=_order()))
    assert outside.steps("PO1") == ["850"]
