"""One clock for all our processes, that of our own database: what they keep stands in the order of ids, which begin with a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store import ids
from store.database import at_once

TIMES: Final = 5  # questions, of which the quickest answer tells most
_NOW: Final = text("SELECT clock_timestamp()")


async def set_right(engine: AsyncEngine) -> timedelta:
    """Let :func:`store.ids.now` say what our database's clock says; gives how far this machine's own is behind it.

    A machine is believed to within half of a question's time: on one whose clock agrees with the database's nothing changes.

    Raises:
        Unavailable: our database does not answer; the clock goes on as before.
    """
    behind, within = await _behind(engine)
    if abs(behind - ids.behind()) > within:
        ids.set_right(behind if abs(behind) > within else timedelta(0))
    return ids.behind()


async def _behind(engine: AsyncEngine) -> tuple[timedelta, timedelta]:
    """How far our own clock is behind, and how exactly we know it."""
    found: list[tuple[timedelta, timedelta]] = []
    async with at_once(engine) as connection:
        await connection.scalar(_NOW)
        for _ in range(TIMES):
            began = datetime.now(UTC)
            there: datetime = (await connection.execute(_NOW)).scalar_one()
            half = (datetime.now(UTC) - began) / 2
            found.append((there - began - half, half))
    return min(found, key=lambda one: abs(one[1]))
