"""The people in memory that tests of cases use keep what our own store keeps."""

from __future__ import annotations

from datetime import datetime

import pytest

from canonical.credentials import ClinicianPolicy, ClinicianRole
from canonical.people import HrEvent
from tests.fakes.people import FakePeople
from tests.store.case_house import NOON, CaseHouse
from tests.store.contract_people import PrivilegesContract, StandingContract, WordsContract


class InMemory:
    """A hospital that keeps its people in memory."""

    def __init__(self) -> None:
        self.people = FakePeople()

    async def open(self) -> None:
        return None

    async def hear(self, *events: HrEvent, at: datetime = NOON) -> str:
        return self.people.hear(*events, at=at)

    async def role(self, role: ClinicianRole) -> None:
        self.people.roles[role.code] = role

    async def policy(self, policy: ClinicianPolicy) -> None:
        self.people.rules = policy


@pytest.fixture
async def house() -> CaseHouse:
    house = CaseHouse(InMemory())
    await house.open()
    return house


class TestStandingInMemory(StandingContract):
    pass


class TestPrivilegesInMemory(PrivilegesContract):
    pass


class TestWordsInMemory(WordsContract):
    pass
