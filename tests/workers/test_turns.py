"""A loop takes turns with others of its kind, and outlives outages and our mistakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from canonical.errors import Unavailable
from workers.loops.pace import forever


async def rounds(*outcomes: Exception | None, mine: bool = True) -> int:
    """How many rounds a loop made over these outcomes, before it was told to stop."""
    stop, made = asyncio.Event(), 0

    async def once() -> None:
        nonlocal made
        made += 1
        if made == len(outcomes):
            stop.set()
        if outcome := outcomes[made - 1]:
            raise outcome

    @asynccontextmanager
    async def turn(_: str) -> AsyncIterator[bool]:
        if not mine:
            asyncio.get_running_loop().call_later(0.05, stop.set)
        yield mine

    await asyncio.wait_for(forever("test", 0.001, once, stop, turn), 60)
    return made


async def test_a_loop_outlives_outages_and_our_mistakes() -> None:
    assert await rounds(Unavailable("away"), KeyError("bug"), None) == 3


async def test_a_loop_waits_while_it_is_another_process_turn() -> None:
    assert await rounds(None, None, mine=False) == 0


async def test_a_loop_that_is_told_to_stop_ends_at_once() -> None:
    stop = asyncio.Event()

    async def once() -> None:
        stop.set()

    await asyncio.wait_for(forever("test", 3600, once, stop), 60)
