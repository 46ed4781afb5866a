"""Whether a process serves revocations at all: where none does, nobody begins or carries one out, and nothing else would say so.

A deployment that starts our programs by its own means may not know of it yet; the loops, which every one has, say that aloud.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

EVERY: Final = 30.0  # seconds
SILENT: Final = 60.0  # seconds without a sign of life; a process gives one every five
PROGRAM: Final = "revocations"
TWICE: Final = 2  # all of them may have been started a moment ago
REMIND: Final = 20  # rounds: ten minutes

log = structlog.get_logger(__name__)


class RevocationsServed:
    """One round asks our own store when such a process last gave a sign of life. ``silent_for``: seconds since, None for never."""

    def __init__(self, silent_for: Callable[[str], Awaitable[float | None]]) -> None:
        self._silent_for, self._missed = silent_for, 0

    async def once(self) -> None:
        """Alert where none does, at once the second time and every ten minutes after.

        Raises:
            Unavailable: our database does not answer.
        """
        silent = await self._silent_for(PROGRAM)
        if silent is not None and silent <= SILENT:
            if self._missed >= TWICE:
                log.info("revocations are served again")
            self._missed = 0
            return
        self._missed += 1
        if self._missed == TWICE or self._missed % REMIND == 0:
            since = "none ever was" if silent is None else f"silent for {silent:.0f} s"
            log.error("nobody serves revocations: start python -m workers revocations", alert=True, process=since)
