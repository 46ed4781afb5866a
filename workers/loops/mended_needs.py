"""Needs whose requisition could not be written are judged once more when the register they were refused by has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, Protocol

import structlog

from store.register_reading import utc_today

EVERY: Final = 30.0  # seconds

log = structlog.get_logger(__name__)


class Refused(Protocol):
    """Refused needs in our own store."""

    async def mended(self, as_of: date) -> Sequence[str]: ...


class MendedNeeds:
    """One round looks at each need whose records changed; its location's case does the rest."""

    def __init__(self, needs: Refused, today: Callable[[], date] = utc_today) -> None:
        self._needs, self._today = needs, today

    async def once(self) -> None:
        """Let go on what can."""
        if needs := await self._needs.mended(self._today()):
            log.info("needs go on: the register is mended", needs=list(needs))
