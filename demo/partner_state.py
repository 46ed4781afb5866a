"""What a supplier remembers on disk: orders, shipments, invoices, remittances and numbers. A restart forgets nothing.

The demonstration's checks read this file to learn what really reached the supplier, and how often.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class LineHeld(BaseModel):
    """One ordered line and what became of it. ``now`` is what ships at once of a back-ordered line."""

    number: str
    catalogue: str
    quantity: Decimal
    unit: str
    price: Decimal
    ordered_price: Decimal
    code: str = "IA"
    offered: str = ""
    now: Decimal = Decimal(0)
    shipped: Decimal = Decimal(0)
    invoiced: Decimal = Decimal(0)
    ended: bool = False
    waits: bool = False

    @property
    def open(self) -> Decimal:
        """What is still to be shipped."""
        return Decimal(0) if self.ended else self.quantity - self.shipped


class Shipment(BaseModel):
    """One shipment: quantities by line number."""

    number: str
    quantities: dict[str, Decimal]


class Billed(BaseModel):
    """One invoice as it was sent; ``times`` counts the interchanges it went out in."""

    number: str
    dated: str
    order: str
    total: Decimal
    segments: list[list[str]]
    times: int = 0
    paid: Decimal = Decimal(0)


class OrderHeld(BaseModel):
    """One order, however often it was sent to us (``times``, with the control numbers of each)."""

    number: str
    dated: str
    ship_to: str
    reference: str
    times: int = 1
    numbers: list[tuple[str, str, str]] = Field(default_factory=list)
    lines: list[LineHeld]
    acknowledged: int = 0
    changes: dict[str, str] = Field(default_factory=dict)
    cancelled: bool = False
    shipments: list[Shipment] = Field(default_factory=list)
    invoices: list[Billed] = Field(default_factory=list)


class Planned(BaseModel):
    """Something to send when its time comes. Once ``file`` is set its bytes are fixed: a restart puts the same again."""

    due: float
    kind: str
    order: str = ""
    detail: dict[str, Any] = Field(default_factory=dict)
    file: str = ""
    text: str = ""
    numbers: tuple[int, int, int] = (0, 0, 0)


class Handled(BaseModel):
    """An interchange of the hospital's that was read: who numbered it how, and what we answered."""

    file: str
    stamp: int = 0
    number: str
    digest: str
    documents: list[str] = Field(default_factory=list)
    verdict: str = ""


class Said(BaseModel):
    """What the hospital answered to a document of ours: a 997 (AK1/AK9) or a TA1."""

    kind: str
    group: str = ""
    number: str
    code: str
    note: str = ""


class Remitted(BaseModel):
    """A remittance advice: invoice and amount."""

    reference: str
    invoice: str
    amount: Decimal
    known: bool


class Sent(BaseModel):
    """A file the supplier left for the hospital: what, about which order, under which numbers (ISA13, GS06)."""

    file: str
    kind: str
    order: str = ""
    number: str = ""
    group: str = ""
    spoiled: str = ""


class Memory(BaseModel):
    """Everything one supplier remembers."""

    model_config = ConfigDict(extra="forbid")

    interchange: int = 0
    group: int = 0
    transaction: int = 0
    shipments: int = 0
    invoices: int = 0
    orders: dict[str, OrderHeld] = Field(default_factory=dict)
    planned: list[Planned] = Field(default_factory=list)
    handled: list[Handled] = Field(default_factory=list)
    said: list[Said] = Field(default_factory=list)
    remitted: list[Remitted] = Field(default_factory=list)
    sent: list[Sent] = Field(default_factory=list)

    def numbers(self) -> tuple[int, int, int]:
        """The next control numbers of ours: interchange, group, transaction set."""
        self.interchange += 1
        self.group += 1
        self.transaction += 1
        return self.interchange, self.group, self.transaction

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(self.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> Memory:
        """What was remembered, or nothing at a first start."""
        if not path.exists():
            return cls()
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


def state_file(home: Path, supplier: str) -> Path:
    """Where a supplier's memory is kept, beside its mailbox and out of the mailbox's sight."""
    return home / "partners" / ".memory" / f"{supplier}.json"
