"""The register in memory: the port Register, for tests that need no database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from canonical.base import Canonical, Money, total
from canonical.errors import Rejected
from canonical.parties import CostCentre, Department, Employee, Facility, Location, Partner, Policy, Supplier
from canonical.supply import ContractPrice, Item


class FakeRegister:
    """Master data in memory: put records in with :meth:`put`."""

    def __init__(self, *records: Canonical) -> None:
        self.records: list[Canonical] = []
        self.commitments: dict[tuple[str, str], tuple[str, Money]] = {}
        self.ordered_by: dict[tuple[str, str], str] = {}  # facility, order -> the requisition's case
        self.put(*records)

    def put(self, *records: Canonical) -> None:
        """Add records; a later one of the same code replaces an earlier one."""
        self.records[:0] = reversed(records)

    def _of(self, model: type[Canonical], **wanted: str) -> Canonical | None:
        for record in self.records:
            if isinstance(record, model) and all(getattr(record, name, "") == value for name, value in wanted.items()):
                return record
        return None

    async def facility(self, code: str) -> Facility | None:
        found = self._of(Facility, code=code)
        return found if isinstance(found, Facility) else None

    async def department(self, facility: str, code: str) -> Department | None:
        found = self._of(Department, facility=facility, code=code)
        return found if isinstance(found, Department) else None

    async def location(self, facility: str, code: str) -> Location | None:
        found = self._of(Location, facility=facility, code=code)
        return found if isinstance(found, Location) else None

    async def item(self, facility: str, code: str) -> Item | None:
        found = self._of(Item, code=code)
        return found if isinstance(found, Item) else None

    async def item_by_catalogue(self, facility: str, supplier: str, catalogue_number: str) -> Item | None:
        for record in self.records:
            if isinstance(record, Item) and any(
                (sold.supplier, sold.catalogue_number) == (supplier, catalogue_number) for sold in record.suppliers
            ):
                return record
        return None

    async def supplier(self, code: str) -> Supplier | None:
        found = self._of(Supplier, code=code)
        return found if isinstance(found, Supplier) else None

    async def partner(self, supplier: str) -> Partner | None:
        found = self._of(Partner, supplier=supplier)
        return found if isinstance(found, Partner) else None

    async def contract_prices(self, facility: str, item: str, as_of: date) -> Sequence[ContractPrice]:
        return [
            record
            for record in self.records
            if isinstance(record, ContractPrice)
            and record.item == item
            and record.facility in (None, facility)
            and record.holds(as_of)
        ]

    async def cost_centre(self, facility: str, code: str) -> CostCentre | None:
        found = self._of(CostCentre, facility=facility, code=code)
        return found if isinstance(found, CostCentre) else None

    async def committed(self, facility: str, cost_centre: str, but: str = "") -> Money | None:
        amounts = [
            amount
            for (site, order), (centre, amount) in self.commitments.items()
            if (site, centre) == (facility, cost_centre) and (not but or self.ordered_by.get((site, order)) != but)
        ]
        return total(amounts, amounts[0].currency) if amounts else None

    async def employee(self, facility: str, person: str) -> Employee | None:
        return self.person(facility, person, by_login=False)

    async def employee_by_login(self, facility: str, login: str) -> Employee | None:
        found = self.person(facility, login, by_login=True)
        return found if found is not None and found.active else None

    def person(self, facility: str, name: str, *, by_login: bool) -> Employee | None:
        """An employee by id or by shell login."""
        found = self._of(Employee, facility=facility, **({"os_user": name} if by_login else {"id": name}))
        return found if isinstance(found, Employee) else None

    async def employees(self, facility: str, role: str) -> Sequence[Employee]:
        newest: dict[str, Employee] = {}
        for record in self.records:
            if isinstance(record, Employee) and record.facility == facility:
                newest.setdefault(record.id, record)
        return [person for person in newest.values() if person.active and role in person.roles]

    async def confirm_bank(self, supplier: str, fingerprint: str, by: Employee, at: datetime) -> Supplier:
        held = await self.supplier(supplier)
        if held is None or not fingerprint or held.bank_fingerprint != fingerprint:
            raise Rejected(f"the bank details of {supplier} have changed since", code="conflict", system="store")
        if held.bank_changed_by and held.bank_changed_by in (by.id, by.os_user):
            raise Rejected("who changed them may not confirm them", code="not-allowed", system="store")
        said = {"bank_confirmed_fingerprint": fingerprint, "bank_confirmed_by": by.id, "bank_confirmed_at": at}
        confirmed = held.model_copy(update=said) if held.bank_changed_unseen else held
        self.put(confirmed)
        return confirmed

    async def policy(self, facility: str, as_of: date) -> Policy:
        for record in self.records:
            if (
                isinstance(record, Policy)
                and record.facility == facility
                and record.valid_from <= as_of
                and (record.valid_to is None or as_of <= record.valid_to)
            ):
                return record
        return Policy(facility=facility)
