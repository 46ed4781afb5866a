"""The fake HR system of other tests does what a real one does."""

from __future__ import annotations

import pytest

from tests.adapters.hr.contract import HrContract
from tests.fakes.hr import FakeOffice


class TestFakeHr(HrContract):
    @pytest.fixture
    def office(self) -> FakeOffice:
        return FakeOffice()
