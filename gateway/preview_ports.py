"""What a preview asks of our store: how things stand, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from canonical.catalogue import MasterFile
from canonical.messages import Kept
from canonical.replays import Difference
from gateway.preview_files import Register
from gateway.preview_people import EventName, HeldEvent
from gateway.preview_uses import HeldUse, UseName


class Held(Protocol):
    """A case as our store holds it."""

    @property
    def hash(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def started(self) -> bool: ...
    @property
    def ended(self) -> str: ...
    @property
    def state(self) -> str: ...


class Foresight(Register, Protocol):
    """What our store says without changing anything."""

    async def held(self, names: Sequence[str]) -> Mapping[str, Held]: ...
    async def kept(self, names: Sequence[str]) -> Mapping[str, Kept]: ...
    async def brought(self, message: str) -> Mapping[str, bool]: ...
    async def closed(self, names: Sequence[str]) -> Sequence[str]: ...
    async def drifts(self, file: MasterFile, message: str, as_of: date) -> tuple[int, Sequence[Difference]]: ...
    async def uses(self, names: Sequence[UseName]) -> Mapping[UseName, HeldUse]: ...
    async def hr_events(self, names: Sequence[EventName]) -> Mapping[EventName, HeldEvent]: ...


class Orders(Protocol):
    """The cases of orders, and whom we exchange with."""

    async def order_case(self, order: str, supplier: str = "") -> str | None: ...
