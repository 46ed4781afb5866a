"""Reads the rows of one requisition from a file of requisitions (CSV), a line each. ``docs/files.md`` has the columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from canonical.base import Quantity
from canonical.purchasing import Requisition, RequisitionLine
from gateway.csv_rows import Row
from gateway.mapping import CODE, Tongue

COLUMNS: Final = frozenset(
    {"number", "line", "item", "description", "quantity", "unit", "supplier", "supplier_item", "unit_price", "currency"}
    | {"department", "cost_centre", "requester", "deliver_to", "needed_by", "priority", "note"}
)
REQUIRED: Final = (
    frozenset({"number"}),
    frozenset({"item", "description", "supplier_item"}),
    frozenset({"quantity"}),
)
TOTAL: Final = "quantity"
GROUP: Final = "number"
LONGEST_NOTE: Final = 2000


def read(rows: Sequence[Row], tongue: Tongue) -> Requisition:
    """The requisition of these rows, which share its number.

    Raises:
        Malformed: they contradict each other, or a value cannot be read or mapped; with its row and column.
    """
    sender, first = tongue.sender, rows[0]

    def ours(table: str, column: str) -> Callable[[Row], str | None]:
        return lambda row: tongue.code(table, row.text(column), row.path(column))

    places = [ours("location", "deliver_to")(row) for row in rows]
    deliver_to = next(filter(None, places), None) or sender.deliver_to or _nobody(first, "deliver_to")
    days = [row.day("needed_by") for row in rows]
    return Requisition(
        facility=sender.facility,
        source=sender.source or sender.code,
        number=first.needed("number"),
        department=_one(rows, "department", ours("department", "department"), sender.department),
        cost_centre=_one(rows, "cost_centre", ours("cost_centre", "cost_centre"), sender.cost_centre),
        requester=_one(rows, "requester", _code_in("requester"), sender.requester),
        deliver_to=deliver_to,
        needed_by=min((day for day in days if day), default=None),
        # Each is looked up, so that none unknown is passed over.
        emergency=True in [tongue.urgent(row.text("priority"), row.path("priority")) for row in rows],
        note=_note(rows),
        lines=tuple(
            _line(row, name, place if place != deliver_to else None, tongue)
            for row, name, place in zip(rows, _ids(rows), places, strict=True)
        ),
    )


def _line(row: Row, name: str, to: str | None, tongue: Tongue) -> RequisitionLine:
    item = tongue.code("item", row.text("item"), row.path("item"))
    description, supplier_item = row.text("description"), row.text("supplier_item")
    if item is None and not description and not supplier_item:
        raise row.wrong("item", "an item, a description or a supplier's number says what is asked for")
    amount, unit = row.number_of("quantity"), tongue.unit(row.text("unit"), row.path("unit"))
    if amount is None or amount <= 0:
        raise row.wrong("quantity", "more than nothing is asked for")
    if unit is None:
        raise row.wrong("unit", f"in which unit? Give sender {tongue.sender.code} one for no unit")
    return RequisitionLine(
        id=name,
        item=item,
        description=description,
        quantity=Quantity(value=amount, unit=unit),
        supplier=row.text("supplier") or None,
        supplier_item=supplier_item,
        unit_price=row.price("unit_price", "currency", tongue.sender.currency),
        deliver_to=to,
    )


def _ids(rows: Sequence[Row]) -> list[str]:
    """What tells the lines apart: their own numbers, or their places where none has one."""
    given = [row.text("line") for row in rows]
    if not any(given):
        return [str(place) for place in range(1, len(rows) + 1)]
    for place, (row, name) in enumerate(zip(rows, given, strict=True)):
        if not CODE.fullmatch(name):
            raise row.wrong("line", "some lines of this requisition have a number, this one has none that can be one")
        if name in given[:place]:
            raise row.wrong("line", f"line {name} of this requisition stands here a second time")
    return given


def _one(rows: Sequence[Row], column: str, read: Callable[[Row], str | None], default: str | None) -> str:
    """What the rows say alike. A requisition has one department, cost centre and requester."""
    said: str | None = None
    for row in rows:
        value = read(row)
        if said is not None and value is not None and value != said:
            raise row.wrong(column, "another row of this requisition says otherwise")
        said = said or value
    return said or default or _nobody(rows[0], column)


def _code_in(column: str) -> Callable[[Row], str | None]:
    def read(row: Row) -> str | None:
        text = row.text(column)
        if text and not CODE.fullmatch(text):
            raise row.wrong(column, f"this is no {column} of ours")
        return text or None

    return read


def _nobody(row: Row, column: str) -> str:
    raise row.wrong(column, f"{row.nothing(column)}; the sender's row has none")


def _note(rows: Sequence[Row]) -> str:
    notes = list(dict.fromkeys(row.text("note") for row in rows if row.text("note")))
    note = "\n".join(notes)
    return note if len(note) <= LONGEST_NOTE else f"{note[: LONGEST_NOTE - 30]} [more in the file]"
