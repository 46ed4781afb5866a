"""The tests run in four processes: a whole hospital in each of two, the ERP's in one, all else file by file in whichever is free.

Four for two cores: of what they take a third is waiting, for suppliers, time-outs and programs that come up.
"""

from __future__ import annotations

import gc
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

# Each has costly servers, which one process starts.
SHARED = ("tests/journeys/", "tests/adapters/erp/")
# What takes long is begun first, so that all end together on what is short (make test gives out files in this order).
LONG = (*SHARED, "tests/stack/", "tests/workflows/", "tests/store/", "tests/workers/", "tests/cli/on_the_stack/")


# Failures are logged in plain words: to draw each with the values of every name, as on a terminal, takes seconds a piece.
_PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])


# No example has a time it must be done in: on a busy machine any of them is slow once, and a slow one shows nothing wrong.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def together(test: str) -> str:
    """What goes to one process as a whole: a file's tests in their order, and the files that share a costly server."""
    file = test.partition("::")[0]
    return next((folder for folder in SHARED if file.startswith(folder)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The same order in every process."""
    items.sort(
        key=lambda item: next((at for at, begins in enumerate(LONG) if item.nodeid.startswith(begins)), len(LONG))
    )


def pytest_collection_finish() -> None:
    """What was collected stays to the end: seven thousand tests are not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How tests are given to processes; groups by mark are not read by this xdist under this pytest."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it is not typed
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    return Scheduling(config, log)
