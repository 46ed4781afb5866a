"""Numbers we give out and never give twice: of orders, and of the interchanges we send to each partner."""

from __future__ import annotations

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.ports import ControlNumbers
from store.database import transaction
from store.ids import now
from store.journal import short_key
from store.tables import control_numbers, counters

LAST_CONTROL_NUMBER = 999_999_999  # nine digits in ISA13, GS06 and ST02; then it starts again at 1


async def hold(connection: AsyncConnection, scope: str) -> int:
    """The last number given in a scope. Others who ask wait until this transaction ends, so no number is given twice."""
    await connection.execute(upsert(counters).values(scope=scope, last=0).on_conflict_do_nothing())
    held = await connection.execute(select(counters.c.last).where(counters.c.scope == scope).with_for_update())
    return int(held.scalar_one())


async def take(connection: AsyncConnection, scope: str, *, last: int | None = None) -> int:
    """The next number of a scope; after ``last`` it starts again at 1."""
    number = await hold(connection, scope) + 1
    if last is not None and number > last:
        number = 1
    await connection.execute(update(counters).where(counters.c.scope == scope).values(last=number))
    return number


class StoredNumbering:
    """Control numbers per partner, for what we send. The same key has the same numbers for ever."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def control_numbers(self, partner: str, key: str, *, case: str, kind: str) -> ControlNumbers:
        """The numbers for this key, given now or before. A reply's number is thereby known before anything leaves."""
        key = short_key(key)
        async with transaction(self._engine) as connection:
            known = await self._known(connection, partner, key)
            if known is None:
                await hold(connection, f"interchange/{partner}")
                known = await self._known(connection, partner, key)  # given to whoever asked at the same moment
            if known is None:
                known = ControlNumbers(
                    interchange=await take(connection, f"interchange/{partner}", last=LAST_CONTROL_NUMBER),
                    group=await take(connection, f"group/{partner}", last=LAST_CONTROL_NUMBER),
                    transaction_set=await take(connection, f"set/{partner}", last=LAST_CONTROL_NUMBER),
                    given_at=now(),
                )
                about = {"partner": partner, "key": key, "case": case, "kind": kind}
                await connection.execute(insert(control_numbers).values(known.model_dump() | about))
        return known

    async def _known(self, connection: AsyncConnection, partner: str, key: str) -> ControlNumbers | None:
        asked = select(control_numbers).where(control_numbers.c.partner == partner, control_numbers.c.key == key)
        row = (await connection.execute(asked)).mappings().one_or_none()
        return ControlNumbers.model_validate(dict(row)) if row is not None else None
