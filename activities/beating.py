"""Beats of steps that may take long, so that one whose worker died is begun again soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from temporalio import activity

BEAT: Final = 20.0  # seconds; a step's ``heartbeat_timeout`` is a minute or more


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Say that we are at it for as long as the block takes: one slow question may take longer than a beat may be missing."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT)

    beats = asyncio.create_task(beat()) if activity.in_activity() else None
    try:
        yield
    finally:
        if beats is not None:
            beats.cancel()
