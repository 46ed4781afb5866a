"""The REST door these tests knock at; their requests are traced as in a process of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.gateway.rest_house import House
from workers import telemetry
from workers.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def traced() -> None:
    telemetry.start(Settings(), "tests")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """The REST door, closed again afterwards."""
    made = House()
    yield made
    await made.client.aclose()
