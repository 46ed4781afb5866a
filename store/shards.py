"""Which of several routers has which streams: each shard belongs to one process at a time, by a lock of our own database.

A lock lives as long as its connection: what a killed process had is free at once. What a process has that stands still, or whose
machine is gone without a word, is free when it has said nothing for a minute (:meth:`StoredShards.beat`). Every router also shows
that it is there, so that each takes its fair part. The address must lead to PostgreSQL itself, not to a pooler that shares sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.errors import Unavailable
from store.database import named

SHARDS: Final = 8
SILENT: Final = 60.0  # seconds without a word, after which our database gives a router's shards to others
_PRESENT: Final = 1_000_000  # beyond every shard

_COUNT = text("""
    SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ShareLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = CAST(:group AS bigint)::oid AND objid = :present AND objsubid = 2
""")
_SHOW = text("SELECT pg_advisory_lock_shared(:group, :present)")
_TAKE = text("SELECT pg_try_advisory_lock(:group, :shard)")
_END_WHEN_SILENT = text("SELECT set_config('idle_session_timeout', :milliseconds, false)")
_GIVE = text("SELECT pg_advisory_unlock(:group, :shard)")


class StoredShards:
    """The shards of one process. ``of`` must be the same in all of them."""

    def __init__(self, engine: AsyncEngine, name: str = "router", of: int = SHARDS, silent: float = SILENT) -> None:
        self._engine = engine
        self._silent = silent
        self._using = asyncio.Lock()
        self._group = zlib.crc32(f"fascia/{name}".encode()) & 0x7FFF_FFFF
        self.of = of
        self._connection: AsyncConnection | None = None
        self._held: set[int] = set()

    async def hold(self) -> Sequence[int]:
        """The shards this process has from now until it asks again; to be asked between two rounds of routing.

        What was held and is not named any more is another's from now on.

        Raises:
            Unavailable: our database does not answer; nothing is held then.
        """
        try:
            async with self._using, named():
                return await self._fair(await self._session())
        except BaseException:
            await self.release()
            raise

    async def beat(self) -> None:
        """Say that this process is there, several times within the time after which it is taken for gone.

        Raises:
            Unavailable: our database does not answer, or took us for gone: the shards are others'.
        """
        async with self._using, named():
            if self._connection is not None and not self._connection.invalidated:
                await self._connection.execute(text("SELECT 1"))

    async def release(self) -> None:
        """Give every shard back."""
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.invalidate()  # closed, not returned: its locks go with it
            with contextlib.suppress(Exception):
                await connection.close()

    async def _session(self) -> AsyncConnection:
        if self._connection is None:
            connection = await self._engine.connect()
            self._connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await self._connection.execute(_END_WHEN_SILENT, {"milliseconds": str(round(self._silent * 1000))})
            await self._connection.execute(_SHOW, {"group": self._group, "present": _PRESENT})
        elif self._connection.invalidated:
            raise Unavailable("the connection that held our shards is gone", system="store")
        return self._connection

    async def _fair(self, connection: AsyncConnection) -> list[int]:
        present = {"group": self._group, "present": _PRESENT}
        routers = max(1, int(await connection.scalar(_COUNT, present) or 1))
        fair = -(-self.of // routers)
        for shard in sorted(self._held)[fair:]:
            await connection.execute(_GIVE, {"group": self._group, "shard": shard})
            self._held.discard(shard)
        for shard in range(self.of):
            if len(self._held) >= fair:
                break
            if shard not in self._held and await connection.scalar(_TAKE, {"group": self._group, "shard": shard}):
                self._held.add(shard)
        return sorted(self._held)
