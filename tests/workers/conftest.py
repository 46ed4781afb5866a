"""What runs in these tests is traced as in a process of ours."""

from __future__ import annotations

import pytest

from workers import telemetry
from workers.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def traced() -> None:
    telemetry.start(Settings(), "tests")
