"""The fake supplier keeps what the real ones keep."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from canonical.parties import Partner
from tests.adapters.supplier.contract import SupplierContract
from tests.adapters.supplier.documents import PARTNER
from tests.fakes.supplier import FakeSupplier


@dataclass
class FakeScene:
    """The fake, and how to trouble it."""

    channel: FakeSupplier = field(default_factory=FakeSupplier)
    partner: Partner = PARTNER

    async def got(self) -> list[str]:
        return sorted(one.file for one in self.channel.documents.values())

    async def lose_the_next_answer(self) -> None:
        self.channel.silent = 1

    async def go_away(self) -> None:
        self.channel.away = True

    async def come_back(self) -> None:
        self.channel.away = False


class TestFakeSupplier(SupplierContract):
    """The whole suite."""

    @pytest.fixture
    def scene(self) -> FakeScene:
        return FakeScene()
