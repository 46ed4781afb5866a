"""Holds one row of a master file against the register: where they differ, what each says, and since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from canonical.base import Money
from canonical.catalogue import CatalogueEntry, CataloguePrice, LocationNotice
from canonical.errors import Malformed
from canonical.parties import Location
from canonical.supply import ContractPrice, Item

ENDS = ("delete", "deactivate")


@dataclass(frozen=True)
class Compared:
    """One thing both speak of. ``ours`` empty: the register has none of it. ``record`` is what accepting theirs would load."""

    kind: str
    code: str
    field: str
    ours: str
    theirs: str
    since: date | None = None
    path: str = ""
    record: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.ours == self.theirs


def of_location(notice: LocationNotice, held: Location | None) -> Iterator[Compared]:
    """What a location master file says of a location, against the register's."""

    def compared(field: str, ours: str, theirs: str) -> Compared:
        return Compared("location", notice.location, field, ours, theirs, notice.valid_from, notice.path)

    closes = notice.action in ENDS or notice.active is False
    if held is None:
        if not closes:
            yield compared("exists", "", notice.name or notice.location)
        return
    yield compared("exists", held.name or held.code, held.name or held.code)
    yield compared("active", "true", "false" if closes else "true")
    if notice.name and not closes:
        yield compared("name", held.name, notice.name)


def of_entry(
    entry: CatalogueEntry,
    item: Item | None,
    contracts: Mapping[date, Sequence[ContractPrice]],
    as_of: date,
    *,
    named: bool,
) -> Iterator[Compared]:
    """What a catalogue says of an item, against the register's item and the contract prices by the day they are in force.

    ``named``: whether the file has the say over descriptions at all; a supplier words its own.
    """

    def compared(field: str, ours: str, theirs: str) -> Compared:
        code = item.code if item else str(entry.item)
        return Compared("item", code, field, ours, theirs, entry.valid_from, entry.path)

    if item is None:
        if entry.item is not None and entry.action not in ENDS:
            yield compared("exists", "", entry.description or entry.item)
        return
    if entry.item is not None:
        yield compared("exists", item.description or item.code, item.description or item.code)
    supplier = entry.supplier
    if supplier is None:
        yield compared("active", _truth(item.active), _truth(item.active and entry.action not in ENDS))
    if named and entry.description:
        yield compared("description", item.description, entry.description)
    if supplier is None:
        return
    sold = item.at_supplier(supplier, as_of)
    number = sold.catalogue_number if sold else ""
    ended = "discontinued" if entry.action in ENDS else entry.catalogue_number or number
    yield compared(f"suppliers.{supplier}.catalogue_number", number, ended)
    if entry.action in ENDS:
        return
    if entry.order_unit and sold:
        yield compared(f"suppliers.{supplier}.order_unit", sold.order_unit, entry.order_unit)
    for packaging in entry.packagings:
        ours = _base_units(item, packaging.unit, supplier)
        yield compared(f"packagings.{packaging.unit}", ours, str(packaging.base_units))
    yield from _prices(entry, item, contracts, as_of)


def begins(price: CataloguePrice, entry: CatalogueEntry, as_of: date) -> date:
    """The first day, from now on, that a price of a catalogue is for."""
    return max(price.valid_from or entry.valid_from or as_of, as_of)


def _prices(
    entry: CatalogueEntry, item: Item, contracts: Mapping[date, Sequence[ContractPrice]], as_of: date
) -> Iterator[Compared]:
    """Prices in the contract's own unit where the catalogue says one: an each-price is a box-price rounded."""
    for price in entry.prices:
        day = begins(price, entry, as_of)
        ours = [one for one in contracts[day] if (one.supplier, one.item) == (entry.supplier, item.code)]
        held = [one for one in ours if one.holds(day)]
        same = [one for one in held if one.unit == price.unit]
        said = {other.unit for other in entry.prices if begins(other, entry, as_of) == day}
        if not same and any(one.unit in said for one in held):
            continue
        yield _price(entry, item, price, next(iter(same or held), None), day, as_of)


def _price(
    entry: CatalogueEntry, item: Item, price: CataloguePrice, contract: ContractPrice | None, day: date, as_of: date
) -> Compared:
    field = f"price.{price.unit}" + (f" from {day}" if day > as_of else "")
    said = told(price.price, price.unit)
    if contract is None:
        return Compared("contract_price", item.code, field, "", said, day, entry.path)
    try:
        ours = item.price_in(contract.price, contract.unit, price.unit, entry.supplier)
        new = item.price_in(price.price, price.unit, contract.unit, entry.supplier)
    except Malformed:
        return Compared("contract_price", item.code, field, told(contract.price, contract.unit), said, day, entry.path)
    until = max(contract.valid_to, day) if contract.valid_to else None
    record = contract.changed(price=new, valid_from=day, valid_to=until)
    shown = told(ours, price.unit)
    return Compared("contract_price", item.code, field, shown, said, day, entry.path, record.model_dump_json())


def _base_units(item: Item, unit: str, supplier: str) -> str:
    try:
        return str(item.base_units(unit, supplier))
    except Malformed:
        return ""


def told(price: Money, unit: str) -> str:
    """An exact price as both sides are told it: ``18.75 USD per BX``, without trailing zeros."""
    return f"{price.amount.normalize():f} {price.currency} per {unit}"


def _truth(value: bool) -> str:
    return "true" if value else "false"
