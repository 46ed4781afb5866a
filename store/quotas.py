"""How often each key has called and how much each sender has sent, counted once for all our doors, however many serve them.

A minute is counted in twelve steps of five seconds, so a quota holds over 55 to 60 seconds. The counts live in a table that
is not written to the log of the database: cheap, and gone after the database crashes, which gives every key its minute anew.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

from sqlalchemy import Float, Integer, Interval, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import at_once

STEPS: Final = 12
SECONDS: Final = 5

_NOW: Final = f"extract(epoch FROM clock_timestamp()) / {SECONDS}"
# The calls of the last minute as of the later of two moments, newest step first; a clock set back begins anew.
_CALLS: Final = f"""CASE WHEN q.step > excluded.step + {STEPS} THEN '{{0}}'
    ELSE (array_fill(0, ARRAY[least(greatest(excluded.step - q.step, 0), {STEPS})::int]) || q.calls)[1:{STEPS}] END"""
_STEP: Final = f"CASE WHEN q.step > excluded.step + {STEPS} THEN excluded.step ELSE greatest(q.step, excluded.step) END"
_COUNT = text(f"""
    INSERT INTO quotas AS q (key, step, calls) VALUES (:key, floor({_NOW})::bigint, ARRAY[CAST(:calls AS int)])
    ON CONFLICT (key) DO UPDATE SET step = {_STEP}, calls = ARRAY[({_CALLS})[1] + :calls] || ({_CALLS})[2:{STEPS}]
    WHERE (SELECT sum(calls) FROM unnest({_CALLS}) AS calls) + :calls <= :per_minute
    RETURNING q.step
""").bindparams(bindparam("calls", type_=Integer), bindparam("per_minute", type_=Integer))  # noqa: S608 only our own constants
_STANDS = text(f"SELECT step, calls, {_NOW} AS now FROM quotas WHERE key = :key")  # noqa: S608

# What a sender took is paid back at its quota's pace; it may be ahead by a burst. A clock set back makes nobody wait for it.
_BASE: Final = "least(greatest(a.paid_until, excluded.granted_at), excluded.granted_at + :burst)"
_AHEAD: Final = f"floor(extract(epoch FROM (excluded.granted_at + :burst - {_BASE})) / :each + 0.000001)"
_TAKE = text(f"""
    INSERT INTO allowances AS a (key, paid_until, granted, granted_at)
    VALUES (:key, clock_timestamp() + make_interval(secs => :each * :first), :first, clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET granted = least(:most, {_AHEAD})::int, granted_at = excluded.granted_at,
        paid_until = {_BASE} + make_interval(secs => :each * least(:most, {_AHEAD}))
    RETURNING granted, extract(epoch FROM (paid_until - :burst - granted_at)) AS ahead
""").bindparams(  # noqa: S608 only our own constants
    bindparam("each", type_=Float),
    bindparam("burst", type_=Interval),
    bindparam("most", type_=Integer),
    bindparam("first", type_=Integer),
)


class StoredQuotas:
    """The count of calls in our own database: one statement for a call, or for a second's worth of messages."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def count(self, key: str, per_minute: int, calls: int = 1) -> float:
        """Count calls of this key, all or none. 0 when they are within its quota, else the seconds until the next one will be.

        Calls over the quota are not counted: who waits as told is served.

        Raises:
            Unavailable: our database does not answer.
        """
        async with at_once(self._engine) as connection:
            if await connection.scalar(_COUNT, {"key": key, "per_minute": per_minute, "calls": calls}) is not None:
                return 0.0
            row = (await connection.execute(_STANDS, {"key": key})).one_or_none()
        return 1.0 if row is None else _wait(row.step, row.calls, float(row.now), per_minute)

    async def take(self, key: str, per_minute: int, most: int) -> tuple[int, float]:
        """Take up to ``most`` messages of what a sender may send now; none: seconds until it may send a second's worth.

        Evenly paced at ``per_minute``, with five seconds' worth at once where it sent nothing before, one message at least.

        Raises:
            Unavailable: our database does not answer.
        """
        each = 60 / per_minute
        burst = max(float(SECONDS), each)
        first = min(most, max(1, int(burst / each + 1e-6)))
        given = {"key": key, "each": each, "burst": timedelta(seconds=burst), "most": most, "first": first}
        async with at_once(self._engine) as connection:
            row = (await connection.execute(_TAKE, given)).one()
        return int(row.granted), 0.0 if row.granted else float(row.ahead) + each * math.ceil(per_minute / 60)


def _wait(step: int, calls: list[int], now: float, per_minute: int) -> float:
    """Seconds until enough steps have passed out of the minute."""
    left, passes_at = sum(calls), now  # where the count moved on before it was read, the next one passes at once
    for age in reversed(range(len(calls))):
        if left < per_minute:
            break
        left -= calls[age]
        passes_at = step - age + STEPS
    return max(1.0, math.ceil((passes_at - now) * SECONDS))
