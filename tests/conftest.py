"""The tests run in two processes side by side: the whole hospital in one, everything else file by file in whichever is free."""

from __future__ import annotations

import pytest

HOSPITAL = "tests/journeys/"
ERP = "tests/adapters/erp/"


@pytest.hookimpl(tryfirst=True)  # before the processes read the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares a costly server goes to one process; a file's tests stay together and in their order."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        shared = next((folder for folder in (HOSPITAL, ERP) if file.startswith(folder)), file)
        item.add_marker(pytest.mark.xdist_group(shared))
