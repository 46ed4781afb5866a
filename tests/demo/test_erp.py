"""What the demonstration's ERP is made from is named by its content, and its secrets stay in the state folder."""

from __future__ import annotations

import stat
from decimal import Decimal
from pathlib import Path

import pytest

from canonical.stock import StockLevel
from demo.erp import postgres_of, read_secret, secret_name
from demo.erp_database import Postgres
from demo.erp_environment import ErpStartError, content_key
from demo.erp_seed_files import packagings, rows


def test_a_changed_recipe_has_another_name(tmp_path: Path) -> None:
    recipe = tmp_path / "requirements.txt"
    recipe.write_text("trytond==8.2.1")
    before = content_key(recipe, also="3.11")
    assert before == content_key(recipe, also="3.11")
    recipe.write_text("trytond==8.2.2")
    assert len({before, content_key(recipe, also="3.11"), content_key(recipe, also="3.12")}) == 3


def test_compiled_files_do_not_change_the_name(tmp_path: Path) -> None:
    module = tmp_path / "module"
    (module / "__pycache__").mkdir(parents=True)
    (module / "key.py").write_text("pass")
    before = content_key(module)
    (module / "__pycache__" / "key.pyc").write_bytes(b"compiled")
    assert content_key(module) == before


def test_a_password_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    password = read_secret(tmp_path, "bank")
    assert read_secret(tmp_path, "bank") == password
    kept = tmp_path / "secrets" / "erp_bank_password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert secret_name("fascia") == "erp_password"


def test_the_password_of_the_database_does_not_show() -> None:
    server = Postgres.at("postgresql+asyncpg://fascia:s3cret@127.0.0.1:5432/fascia")
    assert "s3cret" not in repr(server)
    assert server.environment == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "5432",
        "PGUSER": "fascia",
        "PGPASSWORD": "s3cret",
    }


def test_without_a_database_server_the_erp_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASCIA_ERP_POSTGRES_URL", raising=False)
    with pytest.raises(ErpStartError, match="start the local stack"):
        postgres_of(tmp_path)


def test_the_seed_hangs_together() -> None:
    items = {row["code"]: row for row in rows("items")}
    suppliers = {row["code"] for row in rows("suppliers")}
    sold = {(row["item"], row["supplier"]): row for row in rows("supplier_items")}
    priced = {(row["item"], row["supplier"]): row for row in rows("contract_prices")}
    assert {item for item, _ in sold} == set(items)
    assert {supplier for _, supplier in sold} == suppliers
    assert priced.keys() == sold.keys()
    for (item, _), row in sold.items():
        units = {items[item]["base_unit"], *(unit for unit, _ in packagings(items[item]["packagings"]))}
        assert row["order_unit"] in units
    for key, price in priced.items():
        assert price["unit"] == sold[key]["order_unit"]
        assert Decimal(price["price"]) > 0


def test_the_opening_stock_names_what_there_is_with_a_lot_where_it_is_tracked() -> None:
    items = {row["code"]: row for row in rows("items")}
    locations = {row["code"] for row in rows("locations")}
    stock = rows("opening_stock")
    assert {row["location"] for row in stock} <= locations
    for row in stock:
        tracking = items[row["item"]]["tracking"]
        assert (tracking != "none") == bool(row["lot"]) == bool(row["expires_in_days"]), row
        assert int(row["quantity"]) == 1 or tracking in ("none", "lot"), row
    assert len({(row["location"], row["item"], row["lot"]) for row in stock}) == len(stock)
    dates = {(row["item"], row["lot"]): row["expires_in_days"] for row in stock}
    assert all(dates[row["item"], row["lot"]] == row["expires_in_days"] for row in stock)
    assert any(int(days) < 0 for days in dates.values() if days)
    assert any(0 < int(days) < 90 for days in dates.values() if days)


def test_stock_levels_are_records_of_the_register_and_their_supply_exists() -> None:
    items, locations = {row["code"] for row in rows("items")}, {row["code"] for row in rows("locations")}
    sold = {(row["item"], row["supplier"]) for row in rows("supplier_items")}
    levels = [StockLevel.model_validate({k: v for k, v in row.items() if v}) for row in rows("stock_levels")]
    assert {level.item for level in levels} <= items
    assert {level.location for level in levels} | {level.warehouse for level in levels} - {None} <= locations
    held = {(level.location, level.item) for level in levels} | {
        (row["location"], row["item"]) for row in rows("opening_stock")
    }
    for level in levels:
        if level.supply == "warehouse":
            assert (level.warehouse, level.item) in held, level.code
        else:
            assert (level.item, level.supplier) in sold, level.code
    assert {level.supply for level in levels} == {"warehouse", "purchase", "consignment", "bill-only"}
    assert {level.method for level in levels} == {"par", "reorder", "two-bin", "none"}


def test_device_identifiers_are_gtins_that_name_one_item_each() -> None:
    devices = [device for row in rows("items") for device in row["devices"].split(";") if device]
    assert len(set(devices)) == len(devices) >= 10
    for device in devices:
        digits = [int(digit) for digit in device]
        weighted = sum(digit * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits))
        assert (len(digits), weighted % 10) == (14, 0), device
