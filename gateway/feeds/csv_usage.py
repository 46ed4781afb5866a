"""Reads a row of a file of uses (CSV): one thing taken from a stock location, or taken back. ``docs/files.md`` has the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from canonical.errors import Malformed
from canonical.senders import Sender
from canonical.udi import Udi
from canonical.usage import YEARS, UsageEvent
from formats import udi
from gateway.csv_rows import Row
from gateway.mapping import Tongue

COLUMNS: Final = frozenset(
    {"number", "sequence", "location", "item", "barcode", "description", "quantity", "unit", "lot", "serial", "expires"}
    | {"used_at", "kind", "voids", "voids_sequence", "encounter", "procedure_code", "cost_centre", "wasted"}
)
REQUIRED: Final = (
    frozenset({"number"}),
    frozenset({"item", "barcode"}),
    frozenset({"quantity"}),
    frozenset({"used_at"}),
)
TOTAL: Final = "quantity"
KINDS: Final = ("use", "void", "empty-bin")
_WHEN: Final = re.compile(r"(\d{4}-?\d\d-?\d\d)[T ](\d\d:?\d\d(?::?\d\d)?)(Z|[+-]\d\d:?\d\d)?", re.ASCII)


def read(rows: Sequence[Row], tongue: Tongue) -> UsageEvent:
    """The use of this row. Codes the sender's tables do not know go on as they were written.

    Raises:
        Malformed: a number, quantity, time or barcode that cannot be read; with its row and column.
    """
    (row,) = rows
    sender, device = tongue.sender, _device(row)
    kind = row.text("kind").lower() or "use"
    if kind not in KINDS:
        raise row.wrong("kind", f"one of {', '.join(KINDS)}")
    place = tongue.ours("location", row.text("location")) or sender.deliver_to or ""
    centre = row.text("cost_centre")
    encounter = row.text("encounter")
    said: dict[str, Any] = {
        "facility": sender.facility,
        "source": sender.source or sender.code,
        "number": _short(row, "number", 80) or row.needed("number"),
        "sequence": row.whole("sequence") or 1,
        "kind": kind,
        "location": place[:80],
        "item": tongue.ours("item", row.text("item"))[:80],
        "description": row.text("description")[:2000],
        "device": device,
        "amount": _amount(row, kind),
        "unit": tongue.ours("unit", row.text("unit"))[:20],
        "lot": _one_of(row, "lot", device.lot if device else ""),
        "serial": _one_of(row, "serial", device.serial if device else ""),
        "expires": row.day("expires") or (device.expires if device else None),
        "used_at": _when(row, sender),
        "encounter": f"visit|{sender.facility}|{encounter}"[:200] if encounter else "",
        "procedure_code": row.text("procedure_code")[:40],
        "cost_centre": tongue.code("cost_centre", centre, row.path("cost_centre")) if centre else None,
        "wasted": row.text("wasted").lower() in ("y", "yes", "1", "true"),
    }
    if kind == "void":
        said |= {"voids_number": _short(row, "voids", 80), "voids_sequence": row.whole("voids_sequence") or 1}
        said["amount_stated"] = row.number_of("quantity") is not None
        if not said["voids_number"]:
            raise row.wrong("voids", "the number of the use that is taken back stands here")
    elif not said["item"] and device is None:
        raise row.wrong("item", "an item or a barcode says what was used")
    return UsageEvent.model_validate(said)


def _device(row: Row) -> Udi | None:
    if not row.text("barcode"):
        return None
    try:
        return udi.read(row.text("barcode"))
    except Malformed as wrong:
        raise row.wrong("barcode", wrong.message) from None


def _amount(row: Row, kind: str) -> Decimal:
    found = row.number_of("quantity")
    if found is None and kind != "use":  # it takes all of a use back, or says only that a bin is empty
        return Decimal(1)
    if found is None or found <= 0:
        raise row.wrong("quantity", "more than nothing was used")
    if int(found.as_tuple().exponent) < -6:
        raise row.wrong("quantity", "six digits behind the decimal sign at most")
    return found


def _when(row: Row, sender: Sender) -> datetime:
    """``2026-11-21T08:30``, with its zone (``Z``, ``-05:00``) or in that of the sender's row; a day alone is its beginning."""
    text, zone = row.needed("used_at"), ZoneInfo(sender.time_zone)
    found = _WHEN.fullmatch(text)
    try:
        if found is None:
            day = row.day("used_at")
            assert day is not None
            return datetime.combine(day, time(), zone)
        day_, clock = found[1].replace("-", ""), found[2].replace(":", "")
        at = datetime.fromisoformat(f"{day_}T{clock}{(found[3] or '').replace(':', '')}")
    except (ValueError, Malformed):
        raise row.wrong("used_at", "this is no time like 2026-11-21T08:30 or 2026-11-21T08:30-05:00") from None
    if at.year not in YEARS:
        raise row.wrong("used_at", "this is in no year things are used")
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


def _one_of(row: Row, column: str, scanned: str) -> str:
    """A lot or serial as written, else as the barcode has it; where both are there they are the same."""
    written = _short(row, column, 40)
    if written and scanned and written != scanned:
        raise row.wrong(column, f"the barcode says another {column}")
    return written or scanned


def _short(row: Row, column: str, most: int) -> str:
    text = row.text(column)
    if len(text) > most or not text.isprintable():
        raise row.wrong(column, f"at most {most} characters that can be printed")
    return text
