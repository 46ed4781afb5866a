"""Holds one open thing per row of the register: a changed row is another thing, and the one before is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Closing(Protocol):
    """What has to be given back."""

    async def close(self) -> None: ...


ThingT = TypeVar("ThingT", bound=Closing)


class OnePerRow(Generic[ThingT]):
    """Things by the code of their row. The one before the present one stays open: somebody may be using it still."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, ThingT]] = {}
        self._before: dict[str, ThingT] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._held) + len(self._before)

    def get(self, code: str, row: str, make: Callable[[], ThingT]) -> ThingT:
        """The thing of a row, as that stands now."""
        held = self._held.get(code)
        if held is not None and held[0] == row:
            return held[1]
        made = make()
        self._held[code] = (row, made)
        if held is not None:
            gone = self._before.pop(code, None)
            self._before[code] = held[1]
            if gone is not None:
                task = asyncio.get_running_loop().create_task(gone.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        return made

    async def close(self) -> None:
        """Close everything that is open."""
        things = [*(thing for _, thing in self._held.values()), *self._before.values()]
        self._held, self._before = {}, {}
        for thing in things:
            await thing.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
