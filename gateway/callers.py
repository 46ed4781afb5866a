"""Remembers for a moment whose key a secret is: a sender that calls a hundred times a second is looked up once.

So a key that was revoked, has expired or whose person lost a role still counts for that moment, and no longer. A key nobody knows is
asked for each time: one just made holds at once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

from gateway.lookups import Caller, Keys

FRESH: Final = 1.0  # seconds from when the store was asked
MOST: Final = 1_000  # keys remembered at once; the store is asked for those beyond

Asked = tuple[float, "asyncio.Task[Caller | None]"]


class RecentCallers:
    """Keys as the store had them a moment ago. Many calls of one key at once ask once."""

    def __init__(self, keys: Keys, *, fresh: float = FRESH, clock: Callable[[], float] | None = None) -> None:
        self._keys = keys
        self._fresh = fresh
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._asked: dict[bytes, Asked] = {}

    async def caller(self, secret: str) -> Caller | None:
        """Whose key this is, as of this moment or the one before.

        Raises:
            Unavailable: our database does not answer.
        """
        name = hashlib.sha256(secret.encode("utf-8", "replace")).digest()  # no secret is held here
        now = self._clock()
        found = self._asked.get(name)
        if found is None or found[0] <= now:
            if len(self._asked) >= MOST:
                self._asked = {one: asked for one, asked in self._asked.items() if asked[0] > now}
            if len(self._asked) >= MOST:
                return await self._keys.caller(secret)
            asking = asyncio.get_running_loop().create_task(self._ask(name, secret))
            found = self._asked[name] = (now + self._fresh, asking)
        task = found[1]
        return task.result() if task.done() else await asyncio.shield(task)

    async def _ask(self, name: bytes, secret: str) -> Caller | None:
        caller = None
        try:
            caller = await self._keys.caller(secret)
        finally:
            if caller is None:
                self._asked.pop(name, None)
        return caller
