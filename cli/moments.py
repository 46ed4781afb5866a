"""Moments as people type them: a day, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cli.exits import wrong_usage

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, option: str) -> datetime | None:
    """What ``2026-11-20``, ``2026-11-20T08:00Z`` or ``2h`` (ago) means; without a zone it is UTC. None for nothing.

    Raises:
        Stop: it means nothing.
    """
    if not text:
        return None
    if ago := _AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise wrong_usage(f"{option} {text} is no moment", "2026-11-20, 2026-11-20T08:00Z, 90m, 2h, 3d") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
