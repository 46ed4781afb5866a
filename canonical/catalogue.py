"""What a master file says of items, prices and locations: other systems' words, held against the register, never taken for it."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from canonical.base import (
    Canonical,
    CostCentreCode,
    DepartmentCode,
    FacilityCode,
    ItemCode,
    LocationCode,
    Money,
    SupplierCode,
    Text,
    UnitCode,
)
from canonical.supply import Packaging

Action = Literal["add", "update", "delete", "deactivate", "reactivate"]


class CataloguePrice(Canonical):
    """What one ``unit`` costs from a day on; without a day, since the entry itself holds."""

    unit: UnitCode
    price: Money
    valid_from: date | None = None
    valid_to: date | None = None


class CatalogueEntry(Canonical):
    """One item of a catalogue: what a supplier calls it, how it is packed, and what it costs.

    ``row`` is the sender's own name of the row (MFE-2, LIN01), ``path`` where it stands. ``item`` is our code, where the catalogue
    says it; else ``supplier`` and ``catalogue_number`` find it.
    """

    row: str = Field(default="", max_length=80)
    path: str = ""
    action: Action = "update"
    valid_from: date | None = None
    item: ItemCode | None = None
    supplier: SupplierCode | None = None
    catalogue_number: str = Field(default="", max_length=48)
    description: Text = ""
    order_unit: UnitCode | None = None
    packagings: tuple[Packaging, ...] = ()
    prices: tuple[CataloguePrice, ...] = ()
    manufacturer: Text = ""
    manufacturer_item: Text = ""


class LocationNotice(Canonical):
    """What a master file says of one location: that there is one, what it is called, or that it is closed."""

    row: str = Field(default="", max_length=80)
    path: str = ""
    action: Action = "update"
    valid_from: date | None = None
    location: LocationCode
    name: Text = ""
    kind: str = Field(default="", max_length=20)
    department: DepartmentCode | None = None
    cost_centre: CostCentreCode | None = None
    active: bool | None = None


class BadRow(Canonical):
    """A row that could not be read: which, where, and why. The others of its file are taken."""

    row: str = ""
    path: str
    reason: Text


class MasterFile(Canonical):
    """A master file as it was sent: the rows that can be read, and those that cannot.

    ``kind``: items (HL7 M16), locations (M05), or a supplier's catalogue (X12 832), which is of all facilities where it names none.
    ``source`` is who says it (a sender's or a partner's code), ``number`` the file's own.
    """

    kind: Literal["items", "catalogue", "locations"]
    source: str
    facility: FacilityCode | None = None
    number: str = ""
    issued_on: date | None = None
    entries: tuple[CatalogueEntry, ...] = ()
    locations: tuple[LocationNotice, ...] = ()
    bad_rows: tuple[BadRow, ...] = ()
