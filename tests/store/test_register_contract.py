"""The register in our database and the one in memory answer alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical, Money
from canonical.parties import CostCentre, Department, Employee, Facility, Location, Partner, Policy, Supplier
from canonical.ports import Register
from canonical.supply import ContractPrice, Item, SupplierItem
from store.authority import KINDS, OF_ALL
from store.register import StoredRegister
from tests.fakes.register import FakeRegister
from tests.store.build import put

DAY = date(2026, 3, 2)
GLOVES = Item(code="ITM-1", suppliers=(SupplierItem(supplier="ALPINE", catalogue_number="ALP-1", order_unit="EA"),))


def price(
    amount: str, supplier: str = "ALPINE", first: int = 1, last: int = 12, facility: str | None = "NGH"
) -> ContractPrice:
    return ContractPrice(
        contract=f"K-{amount}",
        facility=facility,
        supplier=supplier,
        item="ITM-1",
        unit="EA",
        price=Money(amount=Decimal(amount)),
        valid_from=date(2026, first, 1),
        valid_to=date(2026, last, 28),
    )


RECORDS: tuple[Canonical, ...] = (
    Facility(code="NGH", name="Northfield"),
    Department(code="surgery", facility="NGH"),
    Location(code="NGH-OR", facility="NGH"),
    CostCentre(code="CC-1", facility="NGH", budget=Money(amount=Decimal(100))),
    Supplier(code="ALPINE", status="blocked"),
    Partner(code="ALPINE", supplier="ALPINE", id="ALPINEMED", our_id="FASCIANGH"),
    GLOVES,
    Employee(id="E-1", facility="NGH", roles=("manager",)),
    Employee(id="E-2", facility="NGH", roles=("manager",), active=False),
    Employee(id="E-3", facility="OTHER", roles=("manager",)),
    price("1.10"),
    price("1.20", supplier="BOREAL", facility=None),
    price("9.90", first=6),
    Policy(facility="NGH", valid_from=date(2026, 2, 1), receipt_within=600),
)


@dataclass
class Filled:
    register: Register
    fill: Callable[[Canonical], Awaitable[None]]


class RegisterContract:
    @pytest.fixture
    async def register(self, filled: Filled) -> Register:
        for record in RECORDS:
            await filled.fill(record)
        return filled.register

    async def test_each_kind_is_found_by_its_code(self, register: Register) -> None:
        assert (await register.facility("NGH")) == RECORDS[0]
        assert (await register.department("NGH", "surgery")) == RECORDS[1]
        assert (await register.location("NGH", "NGH-OR")) == RECORDS[2]
        assert (await register.cost_centre("NGH", "CC-1")) == RECORDS[3]
        assert (await register.supplier("ALPINE")) == RECORDS[4]
        assert (await register.partner("ALPINE")) == RECORDS[5]
        assert (await register.item("NGH", "ITM-1")) == GLOVES
        assert (await register.item_by_catalogue("NGH", "ALPINE", "ALP-1")) == GLOVES
        assert (await register.employee("NGH", "E-2")) == RECORDS[8]

    async def test_what_is_unknown_is_none(self, register: Register) -> None:
        assert await register.facility("X") is None
        assert await register.department("OTHER", "surgery") is None
        assert await register.location("NGH", "X") is None
        assert await register.cost_centre("OTHER", "CC-1") is None
        assert await register.supplier("X") is None and await register.partner("X") is None
        assert await register.item("NGH", "X") is None
        assert await register.item_by_catalogue("NGH", "BOREAL", "ALP-1") is None
        assert await register.employee("OTHER", "E-1") is None
        assert await register.committed("NGH", "CC-1") is None

    async def test_the_people_of_a_role_are_the_active_ones_of_the_facility(self, register: Register) -> None:
        assert [person.id for person in await register.employees("NGH", "manager")] == ["E-1"]
        assert await register.employees("NGH", "cfo") == []

    async def test_contract_prices_in_force_are_the_facilitys_and_those_of_all(self, register: Register) -> None:
        found = await register.contract_prices("NGH", "ITM-1", DAY)
        assert sorted(one.price.amount for one in found) == [Decimal("1.10"), Decimal("1.20")]
        assert [one.supplier for one in await register.contract_prices("OTHER", "ITM-1", DAY)] == ["BOREAL"]
        assert await register.contract_prices("NGH", "ITM-1", date(2027, 1, 1)) == []

    async def test_a_policy_is_the_one_of_the_day(self, register: Register) -> None:
        assert (await register.policy("NGH", DAY)).receipt_within == 600
        assert await register.policy("NGH", date(2026, 1, 1)) == Policy(facility="NGH")
        assert await register.policy("OTHER", DAY) == Policy(facility="OTHER")


class TestOurDatabase(RegisterContract):
    @pytest.fixture
    def filled(self, engine: AsyncEngine) -> Filled:
        async def fill(record: Canonical) -> None:
            name, kind = next((name, kind) for name, kind in KINDS.items() if type(record) is kind.model)
            facility = OF_ALL if kind.of_all else str(getattr(record, "facility", "NGH") or OF_ALL)
            since = record.valid_from if isinstance(record, ContractPrice | Policy) else date(2000, 1, 1)
            await put(engine, name, facility, kind.code(record), record, since)

        return Filled(StoredRegister(engine, lambda: DAY), fill)


class TestFake(RegisterContract):
    @pytest.fixture
    def filled(self) -> Filled:
        register = FakeRegister()

        async def fill(record: Canonical) -> None:
            register.put(record)

        return Filled(register, fill)
