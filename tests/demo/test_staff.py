"""When the story is over, what suppliers ship is taken in once, and what waits for the bank is paid."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from demo.erp_acts import OrderDocuments
from demo.partner_state import LineHeld, Memory, OrderHeld, Shipment, state_file
from demo.staff import Staff
from demo.stage import Stage
from demo.story_doors import Doors


class Erp:
    """The storekeeper's and the bank's ERP, in memory."""

    def __init__(self) -> None:
        self.received: dict[str, Decimal] = {}
        self.receipts: list[dict[str, Decimal]] = []
        self.paid: list[str] = []

    def documents(self, order: str) -> OrderDocuments:
        return OrderDocuments(order, received=dict(self.received))

    def receive(self, order: str, lines: dict[str, Decimal]) -> str:
        self.receipts.append(dict(lines))
        for item, quantity in lines.items():
            self.received[item] = self.received.get(item, Decimal(0)) + quantity
        return str(len(self.receipts))

    def bank_confirms(self, order: str) -> int:
        self.paid.append(order)
        return 1


class Listing:
    """A door that lists one open order in a state."""

    def __init__(self, state: str) -> None:
        self.state = state

    async def look(self, _who: str, _path: str) -> dict[str, Any]:
        return {"cases": [{"case": "purchase_order/NGH/PO1", "business_state": self.state}]}


def staff(home: Path, state: str, shipped: int) -> tuple[Staff, Erp]:
    line = LineHeld(
        number="1",
        catalogue="ALP-GLV-M",
        quantity=Decimal(10),
        unit="BX",
        price=Decimal(1),
        ordered_price=Decimal(1),
        shipped=Decimal(shipped),
    )
    shipments = [Shipment(number="S", quantities={"1": Decimal(shipped)})] if shipped else []
    order = OrderHeld(number="PO1", dated="20260101", ship_to="X", reference="R", lines=[line], shipments=shipments)
    Memory(orders={"PO1": order}).save(state_file(home, "ALPINE"))
    erp = Erp()
    stage = cast(Stage, SimpleNamespace(home=home, erp=erp))
    return Staff(stage, cast(Doors, Listing(state)), lambda _: None), erp


async def test_what_was_shipped_is_taken_in_once(tmp_path: Path) -> None:
    at_work, erp = staff(tmp_path, "shipped", shipped=6)
    erp.received["ITM-1001"] = Decimal(2)
    await at_work.once()
    await at_work.once()
    assert erp.receipts == [{"ITM-1001": Decimal(4)}]
    assert erp.paid == []


async def test_nothing_is_taken_in_of_an_order_that_is_being_cancelled(tmp_path: Path) -> None:
    at_work, erp = staff(tmp_path, "cancelling", shipped=6)
    await at_work.once()
    assert erp.receipts == []


async def test_a_payment_that_waits_for_the_bank_is_paid(tmp_path: Path) -> None:
    at_work, erp = staff(tmp_path, "paid, waiting for bank", shipped=0)
    await at_work.once()
    assert erp.paid == ["PO1"]
