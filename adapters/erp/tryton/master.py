"""What Tryton is the authority for, in our words: items as packed and sold, suppliers, cost centres, places, people.

Budgets, roles, contract prices by date and par flags are not in it; the register has them from elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from adapters.erp.tryton.records import Records, terms_of
from adapters.erp.tryton.rpc import Record
from canonical.parties import CostCentre, Employee, Location, Supplier, Terms
from canonical.ports import MasterData
from canonical.supply import Item, Packaging, SupplierItem

BLOCKED: Final = "Blocked"  # the party category under which the ERP's buyers put a supplier they may not use

PRODUCT_FIELDS: Final = (
    "code",
    "template",
    "template.name",
    "template.type",
    "default_uom.symbol",
    "default_uom.category",
    "purchase_uom.symbol",
    "purchasable",
    "active",
)


class Master:
    """Reads master data out of one Tryton database."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._rpc = records.rpc

    async def read(self, facility: str) -> MasterData:
        """All of it, for a facility."""
        sold = await self._rpc.search(
            "purchase.product_supplier", [], ["template", "party.code", "code", "sequence"], order="sequence"
        )
        return MasterData(
            items=await self._items(sold),
            suppliers=await self._suppliers({row["party."]["code"] for row in sold}),
            cost_centres=await self._cost_centres(facility),
            locations=await self._locations(facility),
            employees=await self._employees(facility),
        )

    async def _items(self, sold: Iterable[Record]) -> tuple[Item, ...]:
        units: dict[int, list[Record]] = {}
        for unit in await self._rpc.search("product.uom", [], ["symbol", "factor", "category"], order="factor"):
            units.setdefault(unit["category"], []).append(unit)
        by_template: dict[int, list[Record]] = {}
        for row in sold:
            by_template.setdefault(row["template"], []).append(row)
        products = await self._rpc.search(
            "product.product",
            [["code", "!=", None]],
            PRODUCT_FIELDS,
            context={"active_test": False},
        )
        return tuple(_item(row, units, by_template.get(row["template"], [])) for row in products)

    async def _suppliers(self, codes: set[str]) -> tuple[Supplier, ...]:
        rows = await self._rpc.search(
            "party.party",
            [["code", "in", sorted(codes)]],
            ["code", "name", "active", "categories.name", "supplier_payment_term.name"],
            context={"active_test": False},
        )
        accounts = await self._rpc.search(
            "bank.account", [["owners.code", "in", sorted(codes)]], ["owners.code", "numbers.number"]
        )
        return tuple(_supplier(row, accounts) for row in rows)

    async def _cost_centres(self, facility: str) -> tuple[CostCentre, ...]:
        rows = await self._rpc.search(
            "analytic_account.account",
            [["type", "=", "normal"], ["code", "!=", None]],
            ["code", "name", "active"],
            context={"active_test": False},
        )
        return tuple(CostCentre(code=r["code"], facility=facility, name=r["name"], active=r["active"]) for r in rows)

    async def _locations(self, facility: str) -> tuple[Location, ...]:
        warehouse = await self._records.warehouse(facility)
        rows = await self._rpc.search(
            "stock.location",
            [["parent", "child_of", [warehouse["storage_location"]]], ["id", "!=", warehouse["storage_location"]]],
            ["code", "name"],
        )
        return tuple(
            Location(code=row["code"], facility=facility, name=row["name"], erp_code=row["code"])
            for row in rows
            if row["code"]
        )

    async def _employees(self, facility: str) -> tuple[Employee, ...]:
        rows = await self._rpc.search("company.employee", [], ["party.code", "active"], context={"active_test": False})
        return tuple(Employee(id=row["party."]["code"], facility=facility, active=row["active"]) for row in rows)


def _item(row: Record, units: dict[int, list[Record]], sold: list[Record]) -> Item:
    base = row["default_uom."]
    packagings = tuple(
        Packaging(unit=unit["symbol"], base_units=int(Decimal(str(unit["factor"]))))
        for unit in units[base["category"]]
        if unit["symbol"] != base["symbol"]
    )
    return Item(
        code=row["code"],
        description=row["template."]["name"],
        base_unit=base["symbol"],
        packagings=packagings,
        suppliers=tuple(
            SupplierItem(
                supplier=one["party."]["code"],
                catalogue_number=one["code"],
                order_unit=row["purchase_uom."]["symbol"],
                preferred=place == 0,
            )
            for place, one in enumerate(sold)
            if one["code"]
        ),
        capital=row["template."]["type"] == "assets",
        active=row["active"] and row["purchasable"],
    )


def _supplier(row: Record, accounts: list[Record]) -> Supplier:
    """A supplier. Of its bank accounts only a fingerprint leaves the ERP: enough to see that they changed."""
    numbers = sorted(
        number["number"]
        for account in accounts
        if row["code"] in {owner["code"] for owner in account["owners."]}
        for number in account["numbers."]
    )
    blocked = BLOCKED in {category["name"] for category in row["categories."]}
    term = row["supplier_payment_term."]
    return Supplier(
        code=row["code"],
        name=row["name"],
        status="blocked" if blocked else "active" if row["active"] else "inactive",
        status_reason="blocked in the ERP" if blocked else "",
        terms=(terms_of(term["name"]) if term else None) or Terms(),
        bank_fingerprint=hashlib.sha256("\n".join(numbers).encode()).hexdigest()[:16] if numbers else "",
        erp_code=row["code"],
    )
