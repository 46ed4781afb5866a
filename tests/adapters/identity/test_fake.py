"""The fake passes what real providers pass, so what is tested among fakes is true of them."""

from __future__ import annotations

from typing import Any

import pytest

from canonical.access import Wanted
from canonical.errors import Rejected
from tests.adapters.identity.contract import CLINICAL, LEAST, IdentityContract
from tests.fakes.targets import Account, FakeTarget


class Provider(FakeTarget):
    """With groups that are known."""

    def __init__(self) -> None:
        super().__init__("idp")
        self.on_write = self._knows

    def _knows(self, wanted: Wanted) -> None:
        if unknown := set(wanted.groups) - {LEAST, CLINICAL}:
            raise Rejected(f"no group {sorted(unknown)[0]}", code="group-missing", system="idp")


class Administrators:
    def __init__(self, target: Provider) -> None:
        self._target = target

    async def switch_on(self, person: str) -> None:
        self._target.accounts[person].active = True

    async def switch_off(self, person: str) -> None:
        self._target.accounts[person].active = False

    async def put_in(self, person: str, group: str) -> None:
        account = self._target.accounts[person]
        account.groups = tuple(sorted({*account.groups, group}))

    async def forget(self, person: str) -> None:
        self._target.forgotten.add(person)

    async def remove(self, person: str) -> None:
        del self._target.accounts[person]

    async def accounts(self, person: str) -> list[dict[str, Any]]:
        account: Account | None = self._target.accounts.get(person)
        return [] if account is None else [{"active": account.active, "groups": account.groups}]

    async def says(self, person: str) -> dict[str, str]:
        return dict(self._target.accounts[person].says)


@pytest.fixture
def target() -> Provider:
    return Provider()


@pytest.fixture
def people(target: Provider) -> Administrators:
    return Administrators(target)


class TestTheFake(IdentityContract):
    """The contract, in memory."""
