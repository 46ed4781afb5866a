"""Tells the ERP whom the hospital employs: a party and an employee by our key, with what payroll pays by.

The employee record ends, it is never deleted: what was paid stays explained. A cost centre the ERP does not have yet is refused as
``cost-centre-missing``, so that who waits for it waits where payroll sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from adapters.erp.tryton.records import Records
from adapters.erp.tryton.rpc import SYSTEM, Record
from canonical.access import Held, TargetSeen, Wanted
from canonical.errors import Rejected

PARTY: Final = "party.party"
EMPLOYEE: Final = "company.employee"
CENTRE: Final = "analytic_account.account"
MISSING: Final = "cost-centre-missing"
DETAILS: Final = (
    "fascia_cost_centre",
    "fascia_department",
    "fascia_role",
    "fascia_employment",
    "fascia_pay_grade",
    "fascia_fte",
)
FIELDS: Final = ("party", "party.name", "start_date", "end_date", *DETAILS)


class TrytonEmployees:
    """The employees of one Tryton database. ``clock``: the day of an end nobody has dated."""

    def __init__(self, records: Records, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._records, self._rpc, self._clock = records, records.rpc, clock

    async def close(self) -> None:
        """Give the connections back."""
        await self._rpc.close()

    async def look(self, wanted: Wanted) -> TargetSeen:
        """What stands there."""
        return self._seen(await self._employee(wanted.person), wanted)

    async def write(self, wanted: Wanted) -> TargetSeen:
        """Make it so.

        Raises:
            Rejected: the cost centre is not there (``cost-centre-missing``), or a rule of the ERP forbids it.
        """
        known = await self._employee(wanted.person)
        if known is None and not wanted.active:
            return self._seen(None, wanted)
        if wanted.active:
            await self._centre_stands(wanted)
        if known is None:
            known = await self._begin(wanted)
        values = self._differs(known, self._details(wanted, known))
        if wanted.active and known["party."]["name"] != _name(wanted):
            await self._rpc.write(PARTY, [known["party"]], {"name": _name(wanted)})
        if values:
            await self._rpc.write(EMPLOYEE, [known["id"]], values)
        return self._seen(await self._employee(wanted.person), wanted)

    async def _employee(self, person: str) -> Record | None:
        return await self._records.find_keyed(EMPLOYEE, _key(person), FIELDS)

    async def _begin(self, wanted: Wanted) -> Record:
        party, _ = await self._records.create_once(
            PARTY, _key(wanted.person), {"name": _name(wanted), "code": wanted.person}, ["name"]
        )
        company = (await self._rpc.search("company.company", [], [], limit=1))[0]["id"]
        values = {"party": party["id"], "company": company}
        employee, _ = await self._records.create_once(EMPLOYEE, _key(wanted.person), values, FIELDS)
        return employee

    async def _centre_stands(self, wanted: Wanted) -> None:
        for centre in {one.position.cost_centre for one in wanted.held if one.employed and one.position.cost_centre}:
            if not await self._rpc.search(CENTRE, [["code", "=", centre], ["type", "=", "normal"]], [], limit=1):
                raise Rejected(f"the ERP has no cost centre {centre} yet", code=MISSING, system=SYSTEM)

    def _details(self, wanted: Wanted, known: Record) -> dict[str, Any]:
        held = _held(wanted)
        if not wanted.active or held is None:
            last = (held.ends if held else None) or known["end_date"] or self._clock().date()
            return {"end_date": max(last, known["start_date"] or last)}
        position = held.position
        return {
            "start_date": held.starts or known["start_date"],
            "end_date": held.ends,
            "fascia_cost_centre": position.cost_centre,
            "fascia_department": position.department,
            "fascia_role": position.role,
            "fascia_employment": position.employment or None,
            "fascia_pay_grade": position.pay_grade or None,
            "fascia_fte": position.fte,
        }

    def _differs(self, known: Record, wished: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in wished.items() if _same(known[name]) != _same(value)}

    def _seen(self, known: Record | None, wanted: Wanted) -> TargetSeen:
        if known is None:
            return TargetSeen(present=False, as_wanted=not wanted.active)
        wished = self._details(wanted, known)
        named = not wanted.active or known["party."]["name"] == _name(wanted)
        return TargetSeen(
            present=True,
            active=_works(known["end_date"], wanted),
            reference=f"{EMPLOYEE},{known['id']}",
            as_wanted=named and not self._differs(known, wished),
        )


def _key(person: str) -> str:
    return f"people/{person}"


def _held(wanted: Wanted) -> Held | None:
    """The position payroll pays: the first employed one, else the first."""
    return next((one for one in wanted.held if one.employed), wanted.held[0] if wanted.held else None)


def _works(ended: date | None, wanted: Wanted) -> bool:
    """An employment with an end is over for us where nothing else is wanted; one planned to end still works."""
    return ended is None or (wanted.active and any(one.employed for one in wanted.held))


def _name(wanted: Wanted) -> str:
    name = wanted.record.name
    return ", ".join(part for part in (name.family, " ".join(p for p in (name.given, name.middle) if p)) if part)


def _same(value: Any) -> Any:
    return value or None if not hasattr(value, "normalize") else value.normalize()
