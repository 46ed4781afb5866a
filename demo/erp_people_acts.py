"""What people do about employees in the hospital's ERP: the auditor looks who is employed, the controller opens a cost centre."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from demo.erp_rpc import ErpClient

CENTRE = "analytic_account.account"


class PayrollPeople:
    """Auditor and controller, as far as employees go."""

    _as: Callable[[str], AbstractContextManager[ErpClient]]

    def employed(self) -> dict[str, bool]:
        """Whom the platform told the ERP of, by the platform's key: whether payroll goes on for them.

        Raises:
            LookupError: somebody is there twice.
        """
        with self._as("auditor") as erp:
            ours = ["fascia_key", "like", "people/%"]
            fields = ["party.code", "end_date"]
            held = erp.find("company.employee", ours, fields=fields, active_test=False)  # whoever left, too
        found: dict[str, bool] = {}
        for row in held:
            person, ends = row["party."]["code"], row["end_date"]
            if person in found:
                raise LookupError(f"{person} is an employee twice")
            found[person] = ends is None or ends > datetime.now(UTC).date()
        return found

    def cost_centre_of(self, person: str) -> str:
        """The cost centre payroll charges somebody to (by the platform's key); empty where the ERP does not have them."""
        with self._as("auditor") as erp:
            held = erp.find("company.employee", ["fascia_key", "=", f"people/{person}"], fields=["fascia_cost_centre"])
        return str(held[0]["fascia_cost_centre"] or "") if held else ""

    def open_cost_centre(self, code: str, name: str) -> None:
        """A cost centre like those that are there; once, also when asked again."""
        with self._as("admin") as erp:
            if erp.find(CENTRE, ["code", "=", code]):
                return
            root = erp.one(CENTRE, ["code", "=", "CC"], fields=["company"])
            about = {"name": name, "code": code, "type": "normal", "company": root["company"]}
            erp.create(CENTRE, **about, root=root["id"], parent=root["id"])
