"""Reads a row of a catalogue file (CSV): an item, how it is packed, what it costs from which day on.

``docs/files.md`` has the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from canonical.catalogue import Action, CatalogueEntry, CataloguePrice
from canonical.supply import Packaging
from gateway.csv_rows import Row
from gateway.mapping import Tongue

COLUMNS: Final = frozenset(
    {"item", "supplier", "catalogue_number", "description", "manufacturer", "manufacturer_item", "action"}
    | {"unit", "base_units", "order_unit", "price", "currency", "valid_from", "valid_to"}
)
REQUIRED: Final = (frozenset({"item", "catalogue_number"}), frozenset({"unit"}))
TOTAL: Final = "price"
ACTIONS: Final[dict[str, Action]] = {
    "": "update",
    "add": "add",
    "update": "update",
    "delete": "delete",
    "deactivate": "deactivate",
    "reactivate": "reactivate",
}


def read(rows: Sequence[Row], tongue: Tongue) -> CatalogueEntry:
    """The entry of one row.

    Raises:
        Malformed: it names no item, or a value cannot be read or mapped; with its row and column.
    """
    (row,) = rows
    item, number = tongue.code("item", row.text("item"), row.path("item")), row.text("catalogue_number")
    if item is None and not number:
        raise row.wrong("item", "neither an item of ours nor a catalogue number")
    action = row.text("action").lower()
    if action not in ACTIONS:
        raise row.wrong("action", f"one of {', '.join(filter(None, ACTIONS))}")
    since, until = row.day("valid_from"), row.day("valid_to")
    if since and until and until < since:
        raise row.wrong("valid_to", "it ends before it begins")
    unit = tongue.unit(row.text("unit"), row.path("unit"))
    price, count = row.price("price", "currency", tongue.sender.currency), row.whole("base_units")
    if unit is None and (price is not None or count is not None):
        raise row.wrong("unit", "in which unit?")
    prices = CataloguePrice(unit=unit, price=price, valid_from=since, valid_to=until) if unit and price else None
    return CatalogueEntry(
        row=str(row.number),
        path=f"row {row.number}",
        action=ACTIONS[action],
        valid_from=since,
        item=item,
        supplier=row.text("supplier") or tongue.sender.code,
        catalogue_number=number,
        description=row.text("description"),
        order_unit=tongue.unit(row.text("order_unit"), row.path("order_unit")) if row.text("order_unit") else None,
        packagings=(Packaging(unit=unit, base_units=count),) if unit and count else (),
        prices=(prices,) if prices else (),
        manufacturer=row.text("manufacturer"),
        manufacturer_item=row.text("manufacturer_item"),
    )
