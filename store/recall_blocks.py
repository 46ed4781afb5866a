"""What recalls in force forbid: read wherever goods are used or moved, so a recall holds from its commit on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Which = tuple[str, str, str]  # item, lot, serial

# A lot or serial is in a range as numbers are: by length first, then by its characters, in capitals as blocks have them. A range
# with no end is its beginning alone; one with neither says nothing of lots (or serials), and a block with no range at all is of
# the whole item.
_RECALLED: Final = text("""
SELECT g.item, g.lot, g.serial, min(b.recall) AS recall
FROM unnest(CAST(:items AS text[]), CAST(:lots AS text[]), CAST(:serials AS text[])) AS g (item, lot, serial)
JOIN recall_blocks AS b ON b.active AND b.item = g.item AND b.facility IN ('', :facility)
AND (b.lot_from = '' OR (g.lot <> ''
    AND (length(g.lot), upper(g.lot) COLLATE "C") >= (length(b.lot_from), b.lot_from COLLATE "C")
    AND (length(g.lot), upper(g.lot) COLLATE "C")
        <= (length(coalesce(nullif(b.lot_to, ''), b.lot_from)), coalesce(nullif(b.lot_to, ''), b.lot_from) COLLATE "C")))
AND (b.serial_from = '' OR (g.serial <> ''
    AND (length(g.serial), upper(g.serial) COLLATE "C") >= (length(b.serial_from), b.serial_from COLLATE "C")
    AND (length(g.serial), upper(g.serial) COLLATE "C")
        <= (length(coalesce(nullif(b.serial_to, ''), b.serial_from)),
            coalesce(nullif(b.serial_to, ''), b.serial_from) COLLATE "C")))
GROUP BY g.item, g.lot, g.serial""")


async def recalled(connection: AsyncConnection, facility: str, pairs: Collection[Which]) -> dict[Which, str]:
    """Of items with lot and serial (either may be empty) those that a recall forbids, each with the recall's number."""
    if not pairs:
        return {}
    items, lots, serials = zip(*sorted(set(pairs)), strict=True)
    given = {"facility": facility, "items": list(items), "lots": list(lots), "serials": list(serials)}
    found = await connection.execute(_RECALLED, given)
    return {(row.item, row.lot, row.serial): row.recall for row in found}
