"""A system that is told of people, in memory, which does what real ones do at their worst: late, slow, away, twice, refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from canonical.access import AccessTarget, TargetSeen, Wanted
from canonical.errors import FasciaError
from canonical.people import Position


@dataclass
class Account:
    """What stands about one person."""

    active: bool = False
    groups: tuple[str, ...] = ()
    version: int = 1
    says: tuple[tuple[str, str], ...] = ()


class FakeTarget:
    """The port :class:`canonical.people_ports.ClinicianTarget`. ``held``: a write waits for it; ``late``: it is carried out
    after who asked has gone."""

    def __init__(self, code: str = "idp") -> None:
        self.code = code
        self.accounts: dict[str, Account] = {}
        self.calls: list[str] = []
        self.failures: list[FasciaError] = []
        self.away: FasciaError | None = None
        self.held: asyncio.Event | None = None
        self.late: float | None = None
        self.came_late: list[str] = []  # for whom a write was carried out then; it may be undone at once
        self.twice = False
        self.forgotten: set[str] = set()  # whose account has lost our key: found by its own id alone
        self.on_write: Callable[[Wanted], None] = lambda _: None
        self._carrying: set[asyncio.Task[None]] = set()

    async def look(self, wanted: Wanted) -> TargetSeen:
        self.calls.append(f"look {wanted.person}")
        self._fails()
        return self._seen(wanted)

    async def write(self, wanted: Wanted) -> TargetSeen:
        self.calls.append(f"{'on' if wanted.active else 'off'} {wanted.person}")
        self.on_write(wanted)
        self._fails()
        if wanted.active and self.late is not None:
            task = asyncio.create_task(self._carry_out_later(wanted, self.late))
            self._carrying.add(task)
            await asyncio.Event().wait()  # no answer comes: who asks gives up
        if wanted.active and self.held is not None:
            await self.held.wait()
        for _ in range(2 if self.twice else 1):
            self._carry_out(wanted)
        return self._seen(wanted)

    def enable_by_hand(self, person: str, *groups: str) -> None:
        """An administrator of that system switches it on."""
        self.accounts[person] = Account(active=True, groups=groups, version=99)

    def _finds(self, wanted: Wanted) -> bool:
        return wanted.person not in self.forgotten or wanted.known_as == f"{self.code}-{wanted.person}"

    def is_on(self, person: str) -> bool:
        account = self.accounts.get(person)
        return account is not None and (account.active or bool(account.groups))

    def _fails(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        if self.away is not None:
            raise self.away

    async def _carry_out_later(self, wanted: Wanted, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._carry_out(wanted)
        self.came_late.append(wanted.person)

    def _carry_out(self, wanted: Wanted) -> None:
        before = self.accounts.get(wanted.person)
        if not wanted.active and (before is None or not self._finds(wanted)):
            return
        if wanted.active:
            self.forgotten.discard(wanted.person)
        says = said_of(wanted) if wanted.active else before.says if before else ()
        stands = before is not None and (before.active, before.groups, before.says) == (
            wanted.active,
            wanted.groups,
            says,
        )
        version = (before.version + (0 if stands else 1)) if before else 1
        self.accounts[wanted.person] = Account(wanted.active, wanted.groups if wanted.active else (), version, says)

    def _seen(self, wanted: Wanted) -> TargetSeen:
        account = self.accounts.get(wanted.person)
        if account is None or not self._finds(wanted):
            return TargetSeen(present=False, as_wanted=not wanted.active)
        right = (account.active, account.groups) == (wanted.active, wanted.groups if wanted.active else ())
        middle = dict(account.says).get("middle", "") == wanted.record.name.middle or not wanted.active
        return TargetSeen(
            present=True,
            active=account.active,
            groups=account.groups,
            version=str(account.version),
            reference=f"{self.code}-{wanted.person}",
            as_wanted=right and middle and (not wanted.active or wanted.person not in self.forgotten),
        )


def said_of(wanted: Wanted) -> tuple[tuple[str, str], ...]:
    """What an account says of a person; what they do not have does not stand there."""
    does = wanted.held[0].position if wanted.held else Position()
    said = {"middle": wanted.record.name.middle, "title": does.title, "department": does.department}
    said |= {"cost centre": does.cost_centre}
    return tuple((name, value) for name, value in said.items() if value)


class FakeTargets:
    """One for each row of the register, made when first asked for."""

    def __init__(self) -> None:
        self.by_code: dict[str, FakeTarget] = {}

    def __getitem__(self, code: str) -> FakeTarget:
        return self.by_code.setdefault(code, FakeTarget(code))

    def __call__(self, row: AccessTarget) -> FakeTarget:
        return self[row.code]
