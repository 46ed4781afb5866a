"""Our database and the fakes in memory keep the same promises."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import CostCentre, Employee, Facility
from store.case_tables import decisions
from store.cases import StoredCases
from store.journal import StoredJournal
from store.numbering import StoredNumbering
from store.register import StoredRegister
from tests.fakes.store import FakeCases, FakeJournal, FakeNumbering
from tests.store.build import SEAL_KEY, put
from tests.store.contract import StoreContract
from tests.store.contract_journal import Stores


class TestOurDatabase(StoreContract):
    @pytest.fixture
    def stores(self, engine: AsyncEngine) -> Stores:
        cases = StoredCases(engine, SEAL_KEY)

        async def unreadable(case: str) -> list[tuple[bytes, str]]:
            asked = select(decisions).where(decisions.c.case == case, decisions.c.kind == "unreadable")
            async with engine.connect() as connection:
                return [(row.data, row.content) for row in await connection.execute(asked)]

        async def employ(person: Employee) -> None:
            await put(engine, "employee", person.facility, person.id, person)

        async def site(facility: Facility) -> None:
            await put(engine, "facility", facility.code, facility.code, facility)

        async def budget(centre: CostCentre) -> None:
            await put(engine, "cost_centre", centre.facility, centre.code, centre)

        return Stores(
            journal=StoredJournal(engine),
            numbering=StoredNumbering(engine),
            cases=cases,
            committed=StoredRegister(engine).committed,
            employ=employ,
            budget=budget,
            extra={"troubles": cases.troubles, "unmatched": cases.unmatched, "unreadable": unreadable, "site": site},
        )


class TestFakes(StoreContract):
    @pytest.fixture
    def stores(self) -> Stores:
        journal, numbering = FakeJournal(), FakeNumbering()
        cases = FakeCases(journal, numbering=numbering, seal_key=SEAL_KEY)

        async def employ(person: Employee) -> None:
            cases.register.put(person)

        async def site(facility: Facility) -> None:
            cases.register.put(facility)

        async def budget(centre: CostCentre) -> None:
            cases.register.put(centre)

        async def unmatched() -> list[Any]:
            return list(cases.unmatched.values())

        async def troubles(case: str) -> list[Any]:
            return [trouble for trouble in cases.in_trouble.values() if trouble.case == case]

        async def unreadable(case: str) -> list[tuple[bytes, str]]:
            kept = [(data, reason) for owner, data, reason in cases.unreadable if owner == case]
            return [one for one in kept if (case, one[1]) not in cases.refused]

        return Stores(
            journal=journal,
            numbering=numbering,
            cases=cases,
            committed=cases.register.committed,
            employ=employ,
            budget=budget,
            extra={"troubles": troubles, "unmatched": unmatched, "unreadable": unreadable, "site": site},
        )
