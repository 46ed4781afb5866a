"""Needs under way in our own store: which there are, what is told of them, and that a use of ours stands behind an order after use."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Quantity
from canonical.cases import DocumentRef
from canonical.messages import NewMessage
from canonical.purchasing import Receipt, ReceivedLine, Requisition
from canonical.steps import SupplierDocument
from store.cases import StoredCases
from store.ids import now
from store.journal import StoredJournal
from store.replenishment import LotCame, StoredReplenishment
from store.usage_tables import stock_needs
from tests.store import build


async def a_need(engine: AsyncEngine, name: str, **fields: Any) -> None:
    at = now()
    about = {
        "facility": "NGH",
        "location": "OR",
        "item": name,
        "supply": "purchase",
        "state": "ordered",
        "quantity": 100,
    }
    row = {"id": name, "case": f"procure_to_pay/NGH/replenishment/{name}", "at": at, "changed_at": at}
    async with engine.begin() as connection:
        await connection.execute(insert(stock_needs).values({**about, **row, **fields}))


@pytest.fixture
def needs(engine: AsyncEngine) -> StoredReplenishment:
    return StoredReplenishment(engine)


async def test_needs_under_way_are_found_page_by_page(engine: AsyncEngine, needs: StoredReplenishment) -> None:
    for name in ("N1", "N2", "N3"):
        await a_need(engine, name)
    await a_need(engine, "N4", state="received")
    await a_need(engine, "N5", case="")
    first = await needs.unfinished(limit=2)
    assert [need.id for need in first] == ["N1", "N2"]
    assert [need.id for need in await needs.unfinished("N2")] == ["N3"]


async def test_what_is_told_of_a_need_is_not_told_over_a_change_made_meanwhile(
    engine: AsyncEngine, needs: StoredReplenishment
) -> None:
    await a_need(engine, "N1")
    (before,) = await needs.unfinished()
    came = before.model_copy(update={"received": 60})
    assert await needs.tell(before, came, [LotCame(lot="L-1", quantity=60)])
    assert not await needs.tell(before, came, []), "somebody told it already"
    async with engine.connect() as connection:
        row = (await connection.execute(select(stock_needs))).one()
    assert (row.received, row.lots) == (60, [{"lot": "L-1", "expires": None, "quantity": 60}])


async def test_the_receipts_of_an_order_are_those_its_case_was_told_of(
    engine: AsyncEngine, needs: StoredReplenishment
) -> None:
    quantity = Quantity.model_validate({"value": "1", "unit": "BX"})
    line = ReceivedLine(line="1", item="ITM-1001", quantity=quantity, lot="L-1")
    receipt = Receipt(facility="NGH", order="PO-1", key="S1/PO-1", received_at=build.NOW, lines=(line,))
    document = SupplierDocument(key="receipt/S1", receipt=receipt)
    kept = await StoredJournal(engine).keep(NewMessage(door="erp", data=document.model_dump_json().encode()))
    cases = StoredCases(engine, build.SEAL_KEY)
    seen = DocumentRef(kind="receipt", number="S1", system="erp", message=kept.message.id)
    await cases.record(build.change("purchase_order/NGH/PO-1", 1, documents=(seen,)))
    (found,) = await needs.receipts("purchase_order/NGH/PO-1")
    assert found.receipt == receipt


async def test_an_order_after_use_is_believed_only_where_exactly_that_use_asked_for_it(engine: AsyncEngine) -> None:
    cases = StoredCases(engine, build.SEAL_KEY)
    asked = build.requisition("N1", source="replenishment", after_use=True)
    assert not await cases.was_used(asked), "nobody used anything"
    document = asked.model_dump(mode="json", exclude_defaults=True)
    await a_need(engine, "N1", event="E1", requisition=document)
    assert await cases.was_used(asked)
    more = asked.model_copy(update={"cost_centre": "CC-9999"})
    assert not await cases.was_used(more), "another order under the same number"


async def test_an_order_after_use_whose_use_was_taken_back_is_not_believed(engine: AsyncEngine) -> None:
    asked = build.requisition("N1", source="replenishment", after_use=True)
    document = asked.model_dump(mode="json", exclude_defaults=True)
    await a_need(engine, "N1", event="E1", state="cancelled", requisition=document)
    assert not await StoredCases(engine, build.SEAL_KEY).was_used(asked)


def test_requisitions_of_before_have_nothing_used() -> None:
    assert not Requisition.model_validate(build.requisition("R").model_dump()).after_use
