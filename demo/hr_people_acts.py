"""What HR's clerk does in HR's own database: somebody is employed, called otherwise, moved, or leaves. Nobody is told: who wants
to know asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from demo.erp import read_secret
from demo.erp_rpc import ErpClient
from demo.hr_seed import COST_CENTRE, DEPARTMENT, ROLE, ROLES, SERVICE_LINE, departments
from demo.people_made import Made

PARTY, EMPLOYEE, CATEGORY = "party.party", "company.employee", "party.category"


class HrClerk:
    """The clerk of HR at its system at ``url``. People are named by HR's number of them (``Made.number``).

    Raises:
        ErpRefused: the system says no.
        LookupError: nobody has this number, or somebody twice.
        httpx.HTTPError: the system does not answer.
    """

    def __init__(self, url: str, database: str, home: Path) -> None:
        self._url, self._database, self._home = url, database, home

    def employ(self, one: Made, starts: date) -> None:
        """A new employee from this day on, under their number, with their NPI and what they are to do."""
        with self._signed_in() as hr:
            party = hr.create(
                PARTY,
                name=f"{one.family}, {one.given}",
                code=one.number,
                identifiers=[["create", [{"code": f"NPI {one.npi}"}]]],
                categories=[["add", _ids(hr, _place(one.department, one.cost_centre) | {ROLE: ROLES[one.role]})]],
            )
            hr.create(EMPLOYEE, party=party, company=hr.context["company"], start_date=starts)

    def rename(self, number: str, family: str, given: str) -> None:
        """Another name of somebody."""
        with self._signed_in() as hr:
            hr.write(PARTY, [hr.one(PARTY, ["code", "=", number])["id"]], name=f"{family}, {given}")

    def move(self, number: str, department: str, cost_centre: str) -> None:
        """To another department (by our code of it) and cost centre, from today on; the role stays."""
        place = _place(department, cost_centre)
        with self._signed_in() as hr:
            party = hr.one(PARTY, ["code", "=", number], fields=["categories"])
            before = hr.find(CATEGORY, ["id", "in", party["categories"]], ["parent.name", "in", list(place)])
            changes = [["remove", [row["id"] for row in before]], ["add", _ids(hr, place)]]
            hr.write(PARTY, [party["id"]], categories=changes)

    def end(self, number: str, last_day: date) -> None:
        """Their employment ends with this day."""
        with self._signed_in() as hr:
            hr.write(EMPLOYEE, [hr.one(EMPLOYEE, ["party.code", "=", number])["id"]], end_date=last_day)

    def _signed_in(self) -> ErpClient:
        return ErpClient(self._url, self._database, "clerk", read_secret(self._home, "clerk", of="hr"))


def _place(department: str, cost_centre: str) -> dict[str, str]:
    return {DEPARTMENT: departments()[department], COST_CENTRE: cost_centre, SERVICE_LINE: department}


def _ids(hr: ErpClient, names: Mapping[str, str]) -> list[int]:
    """The categories of these names under these parents."""
    return [
        int(hr.one(CATEGORY, ["parent.name", "=", parent], ["name", "=", name])["id"]) for parent, name in names.items()
    ]
