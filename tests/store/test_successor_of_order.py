"""What ``fascia case resume`` finds of an order in our own database."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Rejected
from canonical.steps import OrderStart
from cli import successor
from store.cases import StoredCases
from store.tables import order_numbers
from tests.store import build
from workers.wiring import Wiring

CARRIED_BY_ANOTHER = json.dumps({"requisition": None, "orders": []})


async def test_an_order_begins_from_what_its_requisition_made_though_another_process_wrote_under_its_name(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[OrderStart] = []

    async def begin(wiring: Wiring, case: str, start: OrderStart) -> str:
        begun.append(start)
        return "run-2"

    monkeypatch.setattr(successor, "_begun", begin)
    wiring = cast(Wiring, SimpleNamespace(database=engine))
    cases, asked, order = StoredCases(engine, build.SEAL_KEY), build.requisition(), build.order("PO000054")
    await cases.record(build.change(order.case_id, carried=CARRIED_BY_ANOTHER))
    with pytest.raises(Rejected, match="does not know what"):  # the number is not given yet
        await successor._order(wiring, order.case_id)
    row: dict[str, Any] = {"case": asked.case_id, "part": "1", "facility": "NGH", "number": order.number, "content": ""}
    async with engine.begin() as connection:
        await connection.execute(insert(order_numbers).values(row))
    carried = json.dumps({"orders": [order.model_dump(mode="json")]})
    await cases.record(build.change(asked.case_id, carried=carried))
    await (await successor._order(wiring, order.case_id))()
    assert [(one.order, one.parent_case, one.carried) for one in begun] == [(order, asked.case_id, "")]
