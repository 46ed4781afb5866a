"""The suite of usage and stock, held by the fake."""

from __future__ import annotations

import pytest

from tests.store.contract_usage import KeepingContract, RoundContract, VoidContract
from tests.store.usage_fake import FakeStock
from tests.store.usage_house import House


class TestTheFake(KeepingContract, RoundContract, VoidContract):
    @pytest.fixture
    async def house(self) -> House:
        house = House(FakeStock())
        await house.open()
        return house
