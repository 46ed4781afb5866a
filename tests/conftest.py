"""The tests run in two processes side by side: the whole hospital in one, everything else file by file in whichever is free."""

from __future__ import annotations

from typing import Any

import pytest

SHARED = ("tests/journeys/", "tests/adapters/erp/")  # each has one costly server, which one process starts


def together(test: str) -> str:
    """What goes to one process as a whole: a file's tests in their order, and the files that share a costly server."""
    file = test.partition("::")[0]
    return next((folder for folder in SHARED if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How tests are given to processes; groups by mark are not read by this xdist under this pytest."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it is not typed
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    return Scheduling(config, log)
