"""Moments as people type them: a day, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cli.exits import wrong_usage

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, option: str) -> datetime | None:
    """What ``2026-11-20``, ``2026-11-20T08:00Z`` or ``2h`` (ago) means; without a zone it is UTC. None for nothing.

    Raises:
        Stop: it means nothing.
    """
    if not text:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            found = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise wrong_usage(f"{option} {text} is no moment", "2026-11-20, 2026-11-20T08:00Z, 90m, 2h, 3d") from None
    return max(found, FIRST)  # nothing of ours is older, and no id of the journal says so
