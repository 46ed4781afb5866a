"""Fills the hospital's ERP with its stock: the places goods lie at or go to, and what was counted there when its books were opened.

Quantities are base units. Dates of expiry are days from the opening day, the first of the month the database is made in.
"""

from __future__ import annotations

from datetime import date, timedelta

from demo.erp_rpc import ErpClient
from demo.erp_seed_files import rows

# Where used goods go, and where goods of suppliers come from that are ours from their use on; each warehouse has its own.
BESIDE = {"USED": "Used", "CONSIGNED": "Consigned by suppliers"}


def stock_locations(erp: ErpClient) -> None:
    """The warehouse with its places, and the two beside it that nobody counts."""
    warehouse = erp.one("stock.location", ["code", "=", "WH"], fields=["storage_location"])
    erp.write("stock.location", [warehouse["id"]], name="Northfield General Hospital", code="NGH")
    for row in rows("locations"):
        erp.create(
            "stock.location", name=row["name"], code=row["code"], type="storage", parent=warehouse["storage_location"]
        )
    for code, name in BESIDE.items():
        of_warehouse = [["add", [warehouse["id"]]]]
        erp.create("stock.location", name=name, code=code, type="lost_found", waste_warehouses=of_warehouse)


def opening_stock(erp: ErpClient, products: dict[str, dict[str, int]], today: date) -> None:
    """Count what lies at each place, lots and serials with their dates: one inventory a place."""
    opening = today.replace(day=1)
    stock = rows("opening_stock")
    lots = {
        (row["item"], row["lot"]): erp.create(
            "stock.lot",
            number=row["lot"],
            product=products[row["item"]]["product"],
            shelf_life_expiration_date=opening + timedelta(days=int(row["expires_in_days"])),
        )
        for row in {(row["item"], row["lot"]): row for row in stock if row["lot"]}.values()
    }
    for place in sorted({row["location"] for row in stock}):
        lines = [
            {
                "product": products[row["item"]]["product"],
                "lot": lots.get((row["item"], row["lot"])),
                "quantity": float(row["quantity"]),
            }
            for row in stock
            if row["location"] == place
        ]
        inventory = erp.create(
            "stock.inventory",
            location=erp.one("stock.location", ["code", "=", place])["id"],
            date=opening,
            lines=[["create", lines]],
        )
        erp.press("stock.inventory", "confirm", inventory)
