"""A command line on a platform in memory: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cli import house as door
from cli.app import run
from tests.cli.house import FakeHouse


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as a program reads it."""
        return json.loads(self.out)


Fascia = Callable[..., Ended]


@pytest.fixture
def house() -> Iterator[FakeHouse]:
    """The platform the commands find."""
    fake = FakeHouse()
    before = door.open_by(fake.opened)
    yield fake
    door.open_by(before)


@pytest.fixture
def fascia(house: FakeHouse, capsys: pytest.CaptureFixture[str]) -> Fascia:
    """Give a command."""

    def give(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run(arguments)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return give
