"""Fills the hospital's ERP: the company and its books, places, items as packed, suppliers, prices, cost centres, people.

Done over the ERP's remote calls as its administrator, from the files in ``demo/seed``; run once, then kept as a dump.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from demo.erp_rpc import ErpClient
from demo.erp_seed_files import packagings, rows
from demo.erp_seed_stock import opening_stock, stock_locations

YEARS_BACK, YEARS_AHEAD = 1, 3  # open books, so that nothing stops working at a turn of the year

# Each outside user may do its own work and nothing else.
USERS: dict[str, tuple[tuple[str, str], ...]] = {
    "fascia": (
        ("purchase", "group_purchase"),
        ("purchase", "group_purchase_admin"),  # processing an order is its button
        ("purchase_amendment", "group_purchase_amendment"),
        ("stock", "group_stock"),
        ("account", "group_account"),
        ("account_payment", "group_payment"),
        ("account_payment", "group_payment_approval"),
        ("company", "group_employee_admin"),
        ("party", "group_party_admin"),  # an employee is a party first
    ),
    "storekeeper": (
        ("stock", "group_stock"),
        ("stock", "group_stock_cancellation"),
        ("purchase", "group_purchase"),
    ),
    "bank": (("account", "group_account"), ("account_payment", "group_payment")),
    "auditor": (
        ("purchase", "group_purchase"),
        ("stock", "group_stock"),
        ("account", "group_account"),
        ("account_payment", "group_payment"),
    ),
    "clerk": (("party", "group_party_admin"), ("bank", "group_bank_admin"), ("purchase", "group_purchase")),
}

# What the platform books beside the goods, by account code.
ACCOUNTS = {
    "FREIGHT": "Freight in",
    "TAX": "Sales tax on purchases",
    "DISCOUNT": "Discounts taken",
    "ROUNDING": "Differences on invoices",
}


def seed(erp: ErpClient, today: date) -> None:
    """Fill an empty database."""
    company, currency = _company(erp)
    accounts = _chart(erp, company)
    for year in range(today.year - YEARS_BACK, today.year + YEARS_AHEAD + 1):
        _fiscal_year(erp, company, year)
    _payment_journal(erp, company, currency, accounts)
    erp.write("purchase.configuration", [1], purchase_invoice_method="manual")
    stock_locations(erp)
    products = _items(erp, accounts, _units(erp))
    parties = _suppliers(erp, currency)
    _prices(erp, company, currency, products, parties)
    _cost_centres(erp, company)
    _employees(erp, company)
    _users(erp, company)
    opening_stock(erp, products, today)


def _company(erp: ErpClient) -> tuple[int, int]:
    currency = erp.create("currency.currency", name="US Dollar", code="USD", symbol="$", digits=2, rounding=_d("0.01"))
    erp.create("currency.currency.rate", currency=currency, date=date(2020, 1, 1), rate=_d(1))
    hospital = erp.create(
        "party.party",
        name="Northfield General Hospital",
        code="NGH",
        addresses=_new([{"street": "1 Northfield Way", "city": "Northfield"}]),
    )
    erp.wizard(
        "company.company.config", ({}, "company"), ({"company": {"party": hospital, "currency": currency}}, "add")
    )
    erp.sign_in()  # from here on the user's company goes along with every call
    return int(erp.context["company"]), currency


def _chart(erp: ErpClient, company: int) -> dict[str, int]:
    session = erp.call("wizard.account.create_chart.create")[0]
    chosen = {"account_template": erp.shipped_id("account", "account_template_root_en"), "company": company}
    data: dict[str, Any] = {"account": chosen}
    erp.call("wizard.account.create_chart.execute", session, {}, "account")
    erp.call("wizard.account.create_chart.execute", session, data, "create_account")

    def first(kind: str) -> int:
        domain = ([f"type.{kind}", "=", True], ["company", "=", company], ["closed", "!=", True])
        return int(erp.find("account.account", *domain)[0]["id"])

    found = {kind: first(kind) for kind in ("receivable", "payable", "revenue", "expense")}
    data["properties"] = {
        "company": company,
        "account_receivable": found["receivable"],
        "account_payable": found["payable"],
        "category_account_expense": found["expense"],
        "category_account_revenue": found["revenue"],
    }
    erp.call("wizard.account.create_chart.execute", session, data, "create_properties")
    erp.call("wizard.account.create_chart.delete", session)
    expense = erp.one("account.account", ["id", "=", found["expense"]], fields=["parent", "type"])
    for code, name in ACCOUNTS.items():
        erp.create(
            "account.account",
            code=code,
            name=name,
            company=company,
            parent=expense["parent"],
            type=expense["type"],
            party_required=False,
        )
    return found


def _fiscal_year(erp: ErpClient, company: int, year: int) -> None:
    def sequence(kind: str) -> int:
        kind_id = erp.one("ir.sequence.type", ["name", "=", kind])["id"]
        return erp.create("ir.sequence.strict", name=f"{kind} {year}", sequence_type=kind_id, company=company)

    invoice = sequence("Invoice")
    numbered = ("out_invoice", "in_invoice", "out_credit_note", "in_credit_note")
    fiscal_year = erp.create(
        "account.fiscalyear",
        name=str(year),
        company=company,
        start_date=date(year, 1, 1),
        end_date=date(year, 12, 31),
        move_sequence=sequence("Account Move"),
        invoice_sequences=_new([{"company": company} | {f"{name}_sequence": invoice for name in numbered}]),
    )
    erp.press("account.fiscalyear", "create_period", fiscal_year)


def _payment_journal(erp: ErpClient, company: int, currency: int, accounts: dict[str, int]) -> None:
    payable = erp.one("account.account", ["id", "=", accounts["payable"]], fields=["parent", "type"])
    clearing = erp.create(
        "account.account",
        name="Payments on their way to the bank",
        code="CLEARING",
        company=company,
        parent=payable["parent"],
        type=payable["type"],
        reconcile=True,
    )
    erp.create(
        "account.payment.journal",
        name="Supplier payments",
        company=company,
        currency=currency,
        process_method="manual",
        clearing_account=clearing,
        clearing_journal=erp.one("account.journal", ["code", "=", "EXP"])["id"],
        clearing_posting_delay=timedelta(0),
    )


def _units(erp: ErpClient) -> dict[str, dict[str, int]]:
    """One category of units for each way of packing, so that BX is 50 of one item and 100 of another, exactly."""
    made: dict[str, dict[str, int]] = {}
    for row in rows("items"):
        if row["packagings"] in made:
            continue
        levels = [(row["base_unit"], 1), *packagings(row["packagings"])]
        category = erp.create("product.uom.category", name=", ".join(f"{unit} {count}" for unit, count in levels))
        made[row["packagings"]] = {
            unit: erp.create(
                "product.uom",
                name=f"{unit} of {count}" if count > 1 else unit,
                symbol=unit,
                category=category,
                factor=float(count),
                rate=round(1 / count, 12),
                rounding=1.0,
                digits=0,
            )
            for unit, count in levels
        }
    return made


def _items(erp: ErpClient, accounts: dict[str, int], units: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    category = erp.create(
        "product.category",
        name="Medical supplies",
        accounting=True,
        account_expense=accounts["expense"],
        account_revenue=accounts["revenue"],
    )
    ordered_in = {row["item"]: row["order_unit"] for row in reversed(rows("supplier_items"))}
    made = {}
    for row in rows("items"):
        its_units = units[row["packagings"]]
        template = erp.create(
            "product.template",
            name=row["description"],
            type="assets" if row["capital"] == "true" else "goods",
            default_uom=its_units[row["base_unit"]],
            purchasable=True,
            purchase_uom=its_units[ordered_in[row["code"]]],
            list_price=_d(0),
            account_category=category,
            shelf_life_state="none" if row["tracking"] == "none" else "optional",
            products=_new([{"suffix_code": row["code"]}]),
        )
        product = erp.one("product.product", ["template", "=", template])["id"]
        made[row["code"]] = {"template": template, "product": product} | {
            f"unit {unit}": id_ for unit, id_ in its_units.items()
        }
    return made


def _suppliers(erp: ErpClient, currency: int) -> dict[str, int]:
    bank = erp.create("bank", party=erp.create("party.party", name="First Prairie Bank", code="BANK"))
    blocked = erp.create("party.category", name="Blocked")
    terms: dict[str, int] = {}
    made = {}
    for row in rows("suppliers"):
        discount = f"{row['discount_percent']}/{row['discount_days']} " if row["discount_days"] != "0" else ""
        name = f"{discount}net {row['net_days']}"
        if name not in terms:
            remainder = {"type": "remainder", "relativedeltas": _new([{"days": int(row["net_days"])}])}
            terms[name] = erp.create("account.invoice.payment_term", name=name, lines=_new([remainder]))
        made[row["code"]] = erp.create(
            "party.party",
            name=row["name"],
            code=row["code"],
            supplier_payment_term=terms[name],
            addresses=_new([{"street": row["street"], "city": row["city"]}]),
            categories=[["add", [blocked]]] if row["status"] == "blocked" else [],
        )
        erp.create(
            "bank.account",
            bank=bank,
            currency=currency,
            owners=[["add", [made[row["code"]]]]],
            numbers=_new([{"type": "other", "number": row["bank_account"]}]),
        )
    return made


def _prices(
    erp: ErpClient, company: int, currency: int, products: dict[str, dict[str, int]], parties: dict[str, int]
) -> None:
    priced = {(row["item"], row["supplier"]): row for row in rows("contract_prices")}
    preferred_first = sorted(rows("supplier_items"), key=lambda row: row["preferred"] != "true")
    for place, row in enumerate(preferred_first):
        price = priced[row["item"], row["supplier"]]
        erp.create(
            "purchase.product_supplier",
            template=products[row["item"]]["template"],
            party=parties[row["supplier"]],
            company=company,
            currency=currency,
            code=row["catalogue_number"],
            name=price["contract"],
            sequence=place,
            lead_time=timedelta(days=2),
            prices=_new([{"quantity": 0.0, "unit_price": _d(price["price"])}]),
        )


def _cost_centres(erp: ErpClient, company: int) -> None:
    root = erp.create("analytic_account.account", name="Cost centres", code="CC", type="root", company=company)
    for row in rows("cost_centres"):
        erp.create(
            "analytic_account.account",
            name=row["name"],
            code=row["code"],
            type="normal",
            company=company,
            root=root,
            parent=root,
        )


def _employees(erp: ErpClient, company: int) -> None:
    for row in rows("employees"):
        party = erp.create("party.party", name=f"Employee {row['id']}", code=row["id"])
        erp.create("company.employee", party=party, company=company, start_date=date(2020, 1, 1))


def _users(erp: ErpClient, company: int) -> None:
    for login, groups in USERS.items():
        erp.create(
            "res.user",
            name=login.capitalize(),
            login=login,
            companies=[["add", [company]]],
            company=company,
            groups=[["add", [erp.shipped_id(module, name) for module, name in groups]]],
        )


def _new(records: Sequence[dict[str, Any]]) -> list[Any]:
    return [["create", list(records)]]


def _d(value: str | int) -> Decimal:
    return Decimal(value)
