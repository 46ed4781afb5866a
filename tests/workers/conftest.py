"""What runs in these tests is traced as in a process of ours; those marked ``server`` share a database and a Temporal server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stack.supervisor import Stack, running
from workers import telemetry
from workers.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def traced() -> None:
    telemetry.start(Settings(), "tests")


@pytest.fixture(scope="package")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Our own database, migrated, and a Temporal server with our namespace."""
    async with running(tmp_path_factory.mktemp("engine"), ("database", "temporal")) as started:
        yield started
