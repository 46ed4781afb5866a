"""State folders for tests of the local stack: private, short-lived, closed to other users as pytest makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.home import Home
from stack.part import Part, own_program


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture(autouse=True, scope="package")
def _no_named_servers() -> Iterator[None]:
    """These tests are about servers of our own, whatever the one who runs them has named."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("FASCIA_DATABASE_URL", "TEMPORAL_ADDRESS", "FASCIA_HOME"):
            environment.delenv(name, raising=False)
        yield


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Part]:
    """A part that runs a few lines of Python."""

    def make(name: str, source: str, **options: Any) -> Part:
        path = tmp_path / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        return Part(name=name, argv=own_program(str(path)), **options)

    return make
