"""Reads an item master file (HL7 MFN^M16, v2.6 to 2.8 chapter 17.4: ITM, VND, PKG): items, vendors, packaging, prices to come.

Stock of locations (IVT, ILT) and sterilisation (STZ) are not the register's and are passed over.
"""

from __future__ import annotations

from datetime import date

from canonical.base import Money
from canonical.catalogue import CatalogueEntry, CataloguePrice, MasterFile
from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from canonical.supply import Packaging
from formats.hl7 import Message, Part, Segment
from gateway.hl7_master_files import about, at, header, needed, rows
from gateway.mapping import Tongue

MOST = 10_000_000


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[MasterFile, ...]:
    """The file with an entry for each vendor of each item; rows that cannot be read stand apart with their place.

    Raises:
        Malformed: it is no master file with rows.
    """
    tongue = Tongue(sender, mappings)
    file, since = header(message, tongue)
    read, bad = rows(message, lambda part, mfe: _Entries.of(part, mfe, since, tongue))
    entries = tuple(entry for row in read for entry in row.entries)
    return (file.model_copy(update={"kind": "items", "entries": entries, "bad_rows": bad}),)


class _Entries(MasterFile):
    """The entries of one row: one per vendor."""

    @classmethod
    def of(cls, part: Part, mfe: Segment, since: date | None, tongue: Tongue) -> _Entries:
        itm = needed(part, mfe, "ITM")
        item = tongue.code("item", itm.value(1, 1), at(itm, 1))
        if item is None:
            raise Malformed(f"{at(itm, 1)} is required: which item is it?", path=at(itm, 1), code="data-invalid")
        common = {
            **about(mfe, since),
            "item": item,
            "description": itm.value(2).strip(),
            "manufacturer": (itm.value(8) or itm.value(7, 1)).strip(),
            "manufacturer_item": itm.value(9).strip(),
        }
        vendors = part.groups("VND", until=("IVT",))
        entries = [_sold(common, vendor, tongue) for vendor in vendors]
        found = entries or [CatalogueEntry.model_validate(common)]
        return cls(kind="items", source=tongue.sender.code, entries=tuple(found))


def _sold(common: dict[str, object], part: Part, tongue: Tongue) -> CatalogueEntry:
    vnd = part.all("VND")[0]
    packs = part.all("PKG")
    orders = [one for one in packs if one.value(3, 1).strip() == "Y"]
    return CatalogueEntry.model_validate(
        {
            **common,
            "supplier": vnd.required(2, 1).strip(),
            "catalogue_number": vnd.value(4, 1).strip(),
            "order_unit": _unit(orders[0], tongue) if orders else None,
            "packagings": tuple(_packaging(one, tongue) for one in packs),
            "prices": tuple(price for one in packs for price in _prices(one, tongue)),
        }
    )


def _unit(pkg: Segment, tongue: Tongue) -> str:
    unit = tongue.unit(pkg.required(2, 1), at(pkg, 2))
    assert unit is not None
    return unit


def _packaging(pkg: Segment, tongue: Tongue) -> Packaging:
    """PKG-4: how many base units one package holds, a whole number."""
    count = pkg.number(4)
    if count is None or count != count.to_integral_value() or not 0 < count <= MOST:
        path = at(pkg, 4)
        raise Malformed(f"{path} is not a whole number of base units", path=path, code="data-invalid")
    return Packaging(unit=_unit(pkg, tongue), base_units=int(count))


def _prices(pkg: Segment, tongue: Tongue) -> list[CataloguePrice]:
    """PKG-5, the price in force, and PKG-6, the one to come on PKG-7."""
    unit, now, later, day = _unit(pkg, tongue), pkg.price(5), pkg.price(6), pkg.day(7)
    if later is not None and day is None:
        path = at(pkg, 7)
        raise Malformed(f"{path}: since when does the future price hold?", path=path, code="data-invalid")
    currency = tongue.sender.currency
    return [
        CataloguePrice(unit=unit, price=Money(amount=one.amount, currency=one.currency or currency), valid_from=since)
        for one, since in ((now, None), (later, day))
        if one is not None
    ]
