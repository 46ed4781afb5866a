"""Items, how they are packed, and what a contract says they cost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pydantic import Field, ValidationError, model_validator

from canonical.base import (
    Canonical,
    ContractNumber,
    FacilityCode,
    ItemCode,
    Money,
    Quantity,
    SupplierCode,
    Text,
    UnitCode,
)
from canonical.errors import Malformed


class Packaging(Canonical):
    """One packaging level: how many base units one of ``unit`` holds for this item, exactly."""

    unit: UnitCode
    base_units: int = Field(gt=0, le=10_000_000)
    gtin: str = ""


class SupplierItem(Canonical):
    """What a supplier calls an item, and in which unit it is ordered."""

    supplier: SupplierCode
    catalogue_number: str = Field(min_length=1, max_length=48)
    order_unit: UnitCode
    packagings: tuple[Packaging, ...] = ()
    preferred: bool = False
    valid_from: date | None = None
    valid_to: date | None = None


class Item(Canonical):
    """Something a department can ask for. ``base_unit`` is what stock is counted in.

    ``devices``: the device identifiers it is known by on barcodes, beside the ``gtin`` of its packagings
    (:attr:`canonical.udi.Udi.device`); ``charge_code`` and ``procedure_code``: what a use is billed as (FT1-7, FT1-25), and
    ``chargeable`` whether it is billed at all.
    """

    code: ItemCode
    description: Text = ""
    base_unit: UnitCode = "EA"
    packagings: tuple[Packaging, ...] = ()
    suppliers: tuple[SupplierItem, ...] = ()
    tracking: str = Field(default="none", pattern="^(none|lot|serial|implant)$")
    bulk: bool = False
    stocked_at_par: bool = False
    capital: bool = False
    devices: tuple[str, ...] = ()
    charge_code: str = Field(default="", max_length=40)
    procedure_code: str = Field(default="", max_length=40)
    chargeable: bool = False
    active: bool = True

    @model_validator(mode="after")
    def _base_is_one(self) -> Item:
        for packaging in self.packagings:
            if packaging.unit == self.base_unit and packaging.base_units != 1:
                raise ValueError(f"the base unit {self.base_unit} holds one, not {packaging.base_units}")
        return self

    def base_units(self, unit: UnitCode, supplier: SupplierCode | None = None) -> int:
        """How many base units one ``unit`` holds; a supplier's own packaging goes first.

        Raises:
            Malformed: this item is not packed in that unit.
        """
        own = [s.packagings for s in self.suppliers if s.supplier == supplier]
        for packaging in (*(p for levels in own for p in levels), *self.packagings):
            if packaging.unit == unit:
                return packaging.base_units
        if unit == self.base_unit:
            return 1
        raise Malformed(f"item {self.code} is not packed in {unit}", path="unit", code="unknown-code")

    def convert(self, quantity: Quantity, unit: UnitCode, supplier: SupplierCode | None = None) -> Quantity:
        """The same goods counted in another unit, exactly.

        Raises:
            Malformed: an unknown unit, or a result that is not a whole number of the target unit.
        """
        if quantity.unit == unit:
            if quantity.value % 1:
                raise Malformed(
                    f"{quantity} of item {self.code} is not a whole number of {unit}",
                    path="quantity",
                    code="business-rule",
                )
            return quantity
        base = quantity.value * self.base_units(quantity.unit, supplier)
        target = self.base_units(unit, supplier)
        if base % target:
            raise Malformed(
                f"{quantity} of item {self.code} is not a whole number of {unit} ({target} {self.base_unit} each)",
                path="quantity",
                code="business-rule",
            )
        try:
            return Quantity(value=base / target, unit=unit)
        except ValidationError:
            raise Malformed(
                f"{quantity} is more {unit} than can be counted", path="quantity", code="data-invalid"
            ) from None

    def price_in(self, price: Money, per: UnitCode, unit: UnitCode, supplier: SupplierCode | None = None) -> Money:
        """A price per ``per`` as a price per ``unit`` (a price per EA against an order in CA is the classic slip)."""
        if per == unit:
            return price
        return price.times(Decimal(self.base_units(unit, supplier)) / Decimal(self.base_units(per, supplier)))

    def at_supplier(self, supplier: SupplierCode, as_of: date) -> SupplierItem | None:
        """What the supplier calls it on that day, or None."""
        return next(
            (s for s in self.suppliers if s.supplier == supplier and _valid(s.valid_from, s.valid_to, as_of)), None
        )

    def preferred_supplier(self, as_of: date) -> SupplierItem | None:
        """The supplier we would choose on that day: the preferred one, else the first valid one."""
        valid = [s for s in self.suppliers if _valid(s.valid_from, s.valid_to, as_of)]
        return next((s for s in valid if s.preferred), valid[0] if valid else None)


class ContractPrice(Canonical):
    """What a contract says one ``unit`` of an item costs from a supplier between two dates."""

    contract: ContractNumber
    facility: FacilityCode | None = None
    supplier: SupplierCode
    item: ItemCode
    unit: UnitCode
    price: Money
    valid_from: date
    valid_to: date | None = None

    def holds(self, as_of: date) -> bool:
        """Whether it is in force on that day."""
        return _valid(self.valid_from, self.valid_to, as_of)


def _valid(valid_from: date | None, valid_to: date | None, as_of: date) -> bool:
    return (valid_from is None or valid_from <= as_of) and (valid_to is None or as_of <= valid_to)
