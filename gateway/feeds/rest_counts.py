"""Reads what somebody counted at a location (JSON by REST): item by item, lot by lot, in whichever unit."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from canonical.base import exact, in_words, read_strictly
from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from canonical.stock import CountLine, StockCount
from gateway.mapping import Tongue

MOST: Final = 5000  # lines of one count


class CountLineIn(BaseModel):
    """What lies there of one item: ``amount`` in ``unit``, in text or whole; of one ``lot``, where lots were counted apart."""

    model_config = ConfigDict(frozen=True)

    item: str = Field(min_length=1, max_length=80)
    lot: str = Field(default="", max_length=40)
    amount: Decimal = Field(ge=0, allow_inf_nan=False, max_digits=15, decimal_places=6)
    unit: str = Field(default="", max_length=20)

    @field_validator("amount", mode="before")
    @classmethod
    def _no_float(cls, value: object) -> object:
        return exact(value, "an amount")


class CountIn(BaseModel):
    """A count of a location at one moment: on the shelf (``par``) or in the store. What is not named was not counted."""

    model_config = ConfigDict(frozen=True)

    location: str = Field(min_length=1, max_length=80)
    kind: Literal["par", "warehouse"] = "par"
    counted_at: datetime | None = Field(default=None, description="with its zone; without one, when the request came")
    lines: tuple[CountLineIn, ...] = Field(min_length=1, max_length=MOST)

    @model_validator(mode="after")
    def _with_zone(self) -> Self:
        if self.counted_at is not None and self.counted_at.tzinfo is None:
            raise ValueError("counted_at needs its zone")
        return self


def read(data: bytes, number: str, at: datetime, sender: Sender, mappings: Mappings) -> tuple[StockCount, ...]:
    """The count of one request; ``at`` is when it came.

    Raises:
        Malformed: it is not as agreed, or counts one thing twice, with its path.
    """
    counted, tongue = read_strictly(CountIn, data), Tongue(sender, mappings)
    lines: list[CountLine] = []
    seen: set[tuple[str, str]] = set()
    for place, one in enumerate(counted.lines):
        item = tongue.ours("item", one.item)
        if (item, one.lot) in seen:
            raise Malformed(
                f"lines.{place}.item: it was counted above", path=f"lines.{place}.item", code="data-invalid"
            )
        seen.add((item, one.lot))
        lines.append(CountLine(item=item, lot=one.lot, amount=one.amount, unit=tongue.ours("unit", one.unit)))
    try:
        return (
            StockCount(
                facility=sender.facility,
                location=tongue.ours("location", counted.location),
                source=sender.source or sender.code,
                number=number,
                kind=counted.kind,
                counted_at=counted.counted_at or at,
                lines=tuple(lines),
            ),
        )
    except ValidationError as wrong:
        problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
        path = ".".join(str(part) for part in problem["loc"])
        raise Malformed(f"{path}: {in_words(problem['msg'])}", path=path, code="data-invalid") from None
