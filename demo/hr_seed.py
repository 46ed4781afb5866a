"""Fills HR's own database: the hospital as an employer, what its employees may be and where, and who may sign in.

A Tryton of its own modules (employees, and the parties they are) beside the ERP's: it holds no goods and no books, and the platform's
user there may read and nothing else. Done over remote calls as its administrator; run once, then kept as a dump.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from demo.erp_rpc import ErpClient
from demo.erp_seed_files import rows

MODULES: Final = ("company",)  # and what it needs: a fifth of the ERP's take a fifth of its time to load
USERS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "fascia": (),  # without a group one may read what stands there of employees, and write nothing
    "clerk": (("company", "group_employee_admin"), ("party", "group_party_admin")),  # an employee is a party first
}
FILES: Final = ("departments", "cost_centres")  # of ``demo/seed``
OPEN: Final = ("party.party", "party.identifier", "party.contact_mechanism", "party.address")
ROLE, DEPARTMENT, COST_CENTRE, SERVICE_LINE = "Role", "Department", "Cost centre", "Service line"
ROLES: Final = {  # as HR calls them, by the code others tell us; the sender's tables are in ``demo/seed/mappings.csv``
    "surgeon": "Surgeon",
    "hospitalist": "Hospitalist",
    "nurse_practitioner": "Nurse practitioner",
    "registered_nurse": "Registered nurse",
    "scheduler": "Scheduler",
}


def departments() -> dict[str, str]:
    """As HR calls them, by our code."""
    return {row["code"]: row["name"] for row in rows("departments")}


def seed(hr: ErpClient) -> None:
    """Fill an empty database; nobody is employed yet."""
    currency = hr.create(
        "currency.currency", name="US Dollar", code="USD", symbol="$", digits=2, rounding=Decimal("0.01")
    )
    hospital = hr.create("party.party", name="Northfield General Hospital", code="NGH")
    hr.wizard(
        "company.company.config", ({}, "company"), ({"company": {"party": hospital, "currency": currency}}, "add")
    )
    hr.sign_in()  # from here on the user's company goes along with every call
    names = {
        ROLE: list(ROLES.values()),
        DEPARTMENT: list(departments().values()),
        COST_CENTRE: [row["code"] for row in rows("cost_centres")],
        SERVICE_LINE: list(departments()),
    }
    for parent, children in names.items():
        above = hr.create("party.category", name=parent)
        for name in children:
            hr.create("party.category", name=name, parent=above)
    _closed(hr)
    company = int(hr.context["company"])
    for login, groups in USERS.items():
        hr.create(
            "res.user",
            name=login.capitalize(),
            login=login,
            companies=[["add", [company]]],
            company=company,
            groups=[["add", [hr.shipped_id(module, name) for module, name in groups]]],
        )


def _closed(hr: ErpClient) -> None:
    """Tryton lets everybody who may sign in write parties; here those alone who keep them."""
    keepers = hr.shipped_id("party", "group_party_admin")
    everything = dict.fromkeys(("perm_read", "perm_write", "perm_create", "perm_delete"), True)
    told: list[dict[str, Any]] = [{"model": model, "perm_read": True} for model in OPEN]
    told += [{"model": model, "group": keepers, **everything} for model in OPEN]
    hr.call("model.ir.model.access.create", told)
