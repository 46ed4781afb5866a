"""What the tests of the store begin with: documents, changes, rows of the register."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical, Money, Quantity, content_hash
from canonical.cases import CaseChange, State
from canonical.invoicing import Invoice
from canonical.ports import Cases
from canonical.purchasing import OrderLine, PurchaseOrder, Requisition, RequisitionLine, numbered_content
from canonical.steps import Claimed, ClaimRequest, OpenOrder, OrdersRequest
from store.register_reading import other_names
from store.tables import register, register_keys

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEAL_KEY = b"the seal key of the tests"


def requisition(number: str = "R-1", **fields: Any) -> Requisition:
    line = RequisitionLine(id="1", item="ITM-1001", quantity=Quantity(value=Decimal(5), unit="BX"))
    content = {
        "facility": "NGH",
        "source": "surgery",
        "number": number,
        "department": "surgery",
        "cost_centre": "CC-4100",
        "requester": "E-100",
        "deliver_to": "OR-1",
        "lines": [line.model_dump()],
    }
    return Requisition.model_validate(content | fields)


def start(of: Requisition, run: str = "run-1", **fields: Any) -> ClaimRequest:
    return ClaimRequest(
        **{"case": of.case_id, "run": run, "data": of.model_dump_json().encode(), "as_of": NOW, **fields}
    )


def order(number: str = "PO000001", **fields: Any) -> PurchaseOrder:
    line = OrderLine(
        id="1",
        number=1,
        requisition_line="1",
        item="ITM-1001",
        supplier_item="ALP-1",
        quantity=Quantity(value=Decimal(5), unit="BX"),
        unit_price=Money(amount=Decimal("12.50")),
    )
    content = {
        "facility": "NGH",
        "number": number,
        "requisition": requisition().case_id,
        "supplier": "ALPINE",
        "ship_to": "OR-1",
        "cost_centre": "CC-4100",
        "ordered_on": date(2026, 3, 2),
        "lines": [line.model_dump()],
    }
    return PurchaseOrder.model_validate(content | fields)


async def numbered(cases: Cases, order: PurchaseOrder, *, claimed: bool = True, content: str | None = None) -> None:
    """The order's requisition has made it: it has its number."""
    asked = requisition()
    if claimed:
        await cases.claim(start(asked))
    request = OrdersRequest(
        case=asked.case_id, requisition=asked, lines=(), currency="USD", dated=NOW.date(), as_of=NOW
    )
    made = numbered_content(order) if content is None else content
    given = await cases.order_numbers(request, {"its lines": order.amount}, {"its lines": made})
    assert given.numbers == (order.number,)


async def opened(cases: Cases, order: PurchaseOrder, *, content: str | None = None, goes_on: bool = False) -> Claimed:
    """The order is made, and its case has begun."""
    await numbered(cases, order, content=content)
    return await cases.open_order(OpenOrder(order=order, run="run-1", as_of=NOW, goes_on=goes_on))


def change(case: str, revision: int = 1, run: str = "run-1", **fields: Any) -> CaseChange:
    return CaseChange(
        **{
            "case": case,
            "process": "procure_to_pay",
            "facility": "NGH",
            "run": run,
            "revision": revision,
            "state": State.RECEIVED,
            "business_state": f"revision {revision}",
            "changed_at": NOW + timedelta(minutes=revision),
            **fields,
        }
    )


def invoice(number: str = "INV-1", total: str = "62.50", day: int = 3) -> Invoice:
    return Invoice(supplier="ALPINE", number=number, invoiced_on=date(2026, 3, day), total=Money(amount=Decimal(total)))


async def put(
    engine: AsyncEngine, kind: str, facility: str, code: str, record: Canonical, valid_from: date = date(2000, 1, 1)
) -> None:
    """A record of the register, whoever its authority is."""
    names = [{"kind": kind, "facility": facility, "key": key, "code": code} for key in other_names(record)]
    async with engine.begin() as connection:
        await connection.execute(
            insert(register).values(
                kind=kind,
                facility=facility,
                code=code,
                valid_from=valid_from,
                document=record.model_dump_json(),
                source="test",
                hash=content_hash(record),
                loaded_at=datetime.now(UTC),
            )
        )
        if names:
            await connection.execute(insert(register_keys), names)
