"""How each supplier of the demonstration behaves, item by item, as data: who answers what, how soon, and who makes which mistake.

``demo/seed/partner_script.json`` holds it. Times are seconds. Nothing in the suppliers' program depends on a story's name.
"""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from demo.x12_plain import Envelope, Marks

SEED = Path(__file__).with_name("seed")


class Billing(BaseModel):
    """What goes wrong with the invoices of an item. A price or quantity of None is the right one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    price: Decimal | None = None
    extra: Decimal = Decimal(0)
    again_after: float | None = None
    wrong_order_number: bool = False


class Behaviour(BaseModel):
    """What a supplier does when an item is ordered. ``answer`` is ACK01; IB ships ``share`` now and the rest later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: str = "IA"
    price: Decimal | None = None
    substitute: str = ""
    share: Decimal = Decimal(0)
    rest_after: float = 10
    silent: int = 0
    ships: bool = True
    bills: bool = True
    change: str = "AT"
    billing: Billing = Billing()
    times: dict[str, float] = Field(default_factory=dict)


class Trader(BaseModel):
    """One supplier: its X12 id, marks, terms, times and items."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    customer: str
    marks: list[str] = Field(default_factory=lambda: ["*", "~", ">"])
    line_break: bool = True
    terms: list[str] = Field(default_factory=lambda: ["0", "0", "30"])
    freight: Decimal = Decimal(0)
    times: dict[str, float] = Field(default_factory=dict)
    items: dict[str, Behaviour] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)

    @property
    def envelope(self) -> Envelope:
        """How it writes to the hospital."""
        element, segment, component = self.marks
        return Envelope(self.id, self.customer, Marks(element, segment, component, self.line_break))

    def behaviour(self, catalogue: str) -> Behaviour:
        """What it does with an item: the script's, or the ordinary thing; an item it does not sell is refused (R2)."""
        if catalogue in self.items:
            return self.items[catalogue]
        if self.units and catalogue not in self.units:
            return Behaviour(answer="R2", ships=False)
        return Behaviour()

    def delay(self, kind: str, behaviour: Behaviour | None = None) -> float:
        """Seconds before it sends a document of a kind."""
        own = behaviour.times if behaviour else {}
        return own.get(kind, self.times.get(kind, 1.0))


def load(script: Path | None = None) -> dict[str, Trader]:
    """The suppliers with a mailbox; what each sells comes from the hospital's own list of supplier items."""
    told: dict[str, Any] = json.loads((script or SEED / "partner_script.json").read_text(encoding="utf-8"))
    with (SEED / "supplier_items.csv").open(encoding="utf-8", newline="") as file:
        sold = list(csv.DictReader(file))
    return {
        code: Trader.model_validate(
            row | {"units": {item["catalogue_number"]: item["order_unit"] for item in sold if item["supplier"] == code}}
        )
        for code, row in told.items()
    }
