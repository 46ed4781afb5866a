"""Keeps this process's clock by our database's, so that what two machines keep stands in the order it came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import FasciaError
from store.clock import set_right

EVERY: Final = 10.0  # seconds; a clock drifts by some microseconds in each
TOO_FAR: Final = timedelta(seconds=1)  # then somebody should look at this machine's time service

log = structlog.get_logger(__name__)


@asynccontextmanager
async def right(database: AsyncEngine, every: float = EVERY) -> AsyncIterator[None]:
    """Keep it right for as long as the block lasts."""
    told = await _look(database, told=False)

    async def again() -> None:
        nonlocal told
        while True:
            await asyncio.sleep(every)
            told = await _look(database, told=told)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _look(database: AsyncEngine, *, told: bool) -> bool:
    try:
        behind = await set_right(database)
    except FasciaError:  # whoever needs our database says so
        return told
    far = abs(behind) > TOO_FAR
    if far and not told:
        log.error(
            "this machine's clock is not our database's", alert=True, seconds_behind=round(behind.total_seconds(), 3)
        )
    return far
