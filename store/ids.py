"""Names for what we keep: a name given later sorts later, so lists read in the order things happened."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from uuid import UUID

_VERSION_7 = 7 << 76
_VARIANT = 2 << 62


def new_id(at: datetime | None = None) -> str:
    """A UUID of version 7 (RFC 9562): milliseconds, then the fraction below them, then chance."""
    moment = at or now()
    microseconds = int(moment.timestamp()) * 1_000_000 + moment.microsecond
    milliseconds, rest = divmod(microseconds, 1000)
    fraction = rest * 4096 // 1000
    return str(UUID(int=milliseconds << 80 | _VERSION_7 | fraction << 64 | _VARIANT | secrets.randbits(62)))


def now() -> datetime:
    """The moment something was kept. Never used for a rule of the business: those take their date as an argument."""
    return datetime.now(UTC)
