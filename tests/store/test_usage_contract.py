"""The suite of usage and stock, held by our database and by the fake."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.store.contract_needs import AfterUseContract, MovedContract, NeedsContract, WarehouseContract
from tests.store.contract_usage import KeepingContract, RoundContract
from tests.store.contract_voids import VoidContract
from tests.store.usage_fake import FakeStock
from tests.store.usage_house import House
from tests.store.usage_stored import StoredStock


class Everything(
    KeepingContract,
    RoundContract,
    VoidContract,
    NeedsContract,
    AfterUseContract,
    WarehouseContract,
    MovedContract,
):
    """Both are held to all of it."""


class TestTheFake(Everything):
    @pytest.fixture
    async def house(self) -> House:
        house = House(FakeStock())
        await house.open()
        return house


class TestOurDatabase(Everything):
    @pytest.fixture
    async def house(self, engine: AsyncEngine) -> House:
        house = House(StoredStock(engine))
        await house.open()
        return house
