"""Reads the rows of one count of a location from a file of counts (CSV), an item or lot each. ``docs/files.md`` has the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time
from typing import Final, Literal
from zoneinfo import ZoneInfo

from canonical.stock import CountLine, StockCount
from gateway.csv_rows import Row
from gateway.mapping import CODE, Tongue

COLUMNS: Final = frozenset({"number", "location", "kind", "counted_at", "item", "lot", "quantity", "unit"})
REQUIRED: Final = (
    frozenset({"number"}),
    frozenset({"location"}),
    frozenset({"counted_at"}),
    frozenset({"item"}),
    frozenset({"quantity"}),
)
TOTAL: Final = "quantity"
GROUP: Final = "number"
KINDS: Final[dict[str, Literal["par", "warehouse"]]] = {"par": "par", "warehouse": "warehouse"}
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?", re.ASCII)
PLACES: Final = 6


def read(rows: Sequence[Row], tongue: Tongue) -> StockCount:
    """The count of these rows, which share its number. Codes the sender's tables do not know go on as they were written.

    Raises:
        Malformed: they contradict each other, count one thing twice, or a value cannot be read; with its row and column.
    """
    first = rows[0]
    for column in ("location", "kind", "counted_at"):
        other = next((row for row in rows if row.text(column) not in ("", first.text(column))), None)
        if other is not None:
            raise other.wrong(column, "another row of this count says otherwise")
    location = tongue.ours("location", first.needed("location"))
    if not CODE.fullmatch(location):
        raise first.wrong("location", "this is no location of ours")
    number = first.needed("number")
    if len(number) > 80:
        raise first.wrong("number", "at most 80 characters")
    return StockCount(
        facility=tongue.sender.facility,
        location=location,
        source=tongue.sender.source or tongue.sender.code,
        number=number,
        kind=_kind(first),
        counted_at=_moment(first, tongue),
        lines=_lines(rows, tongue),
    )


def _lines(rows: Sequence[Row], tongue: Tongue) -> tuple[CountLine, ...]:
    found: dict[tuple[str, str], CountLine] = {}
    for row in rows:
        item, lot, unit = (
            tongue.ours("item", row.needed("item")),
            row.text("lot"),
            tongue.ours("unit", row.text("unit")),
        )
        for column, text, most in (("item", item, 80), ("lot", lot, 40), ("unit", unit, 20)):
            if len(text) > most:
                raise row.wrong(column, f"at most {most} characters")
        amount = row.number_of("quantity")
        if amount is None or amount < 0 or -int(amount.as_tuple().exponent) > PLACES:
            raise row.wrong("quantity", "nothing or more was counted, of six places at most")
        if (item, lot) in found:
            raise row.wrong("item", "this was counted above")
        found[item, lot] = CountLine(item=item, lot=lot, amount=amount, unit=unit)
    return tuple(found.values())


def _kind(row: Row) -> Literal["par", "warehouse"]:
    found = KINDS.get(row.text("kind").lower() or "par")
    if found is None:
        raise row.wrong("kind", f"one of {', '.join(KINDS)}")
    return found


def _moment(row: Row, tongue: Tongue) -> datetime:
    """``2026-11-21T06:00`` with its zone, or in that of the sender's row; a day alone is its beginning."""
    text, zone = row.needed("counted_at"), ZoneInfo(tongue.sender.time_zone)
    found = _MOMENT.fullmatch(text)
    if found is None:
        day = row.day("counted_at")
        assert day is not None
        return datetime.combine(day, time(), zone)
    try:
        at = datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3] or ''}")
    except ValueError:
        raise row.wrong("counted_at", "this is no time like 2026-11-21T06:00") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)
