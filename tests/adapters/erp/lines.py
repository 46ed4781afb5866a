"""Lines to the ERP that lose answers, hold requests up, or let somebody else act in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx

from adapters.erp.tryton.erp import TrytonErp
from adapters.registry import ErpAccess

Connect = Callable[[httpx.AsyncBaseTransport, ErpAccess], TrytonErp]
READS = ("search_read", "read", "get_preferences", "login", "skip")


class UnreliableLine(httpx.AsyncBaseTransport):
    """A line to the ERP on which the answer to every change is lost the first time.

    ``late``: the request itself is held up as well, and arrives while we already ask again.
    """

    def __init__(self, late: float | None = None) -> None:
        self._line = httpx.AsyncHTTPTransport()
        self._late = late
        self._seen: set[str] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self.lost: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        is_wizard = body["method"].startswith("wizard.")  # each try has a session of its own
        name = body["method"] if is_wizard else f"{body['method']} {json.dumps(body['params'], sort_keys=True)}"
        if body["method"].rsplit(".", 1)[1] in READS or name in self._seen:
            return await self._line.handle_async_request(request)
        self._seen.add(name)
        self.lost.append(body["method"])
        task = asyncio.create_task(self._carry_out(request))
        self._under_way.add(task)
        if self._late is None:
            await task
        raise httpx.ReadTimeout("the answer was lost", request=request)

    async def _carry_out(self, request: httpx.Request) -> None:
        await asyncio.sleep(self._late or 0)
        response = await self._line.handle_async_request(request)
        await response.aread()

    async def quiet(self) -> None:
        """Wait until everything held up has arrived."""
        await asyncio.gather(*self._under_way)

    async def aclose(self) -> None:
        await self.quiet()
        await self._line.aclose()


class MeddlingLine(httpx.AsyncBaseTransport):
    """A line on which somebody else acts just before the first call of one kind; ``calls`` are all that went over it."""

    def __init__(self, before: str = "", act: Callable[[], Any] = lambda: None) -> None:
        self._line = httpx.AsyncHTTPTransport()
        self._before = before
        self._act = act
        self.calls: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        method = json.loads(request.content)["method"]
        if self._before and method.endswith(self._before):
            self._before = ""
            await asyncio.to_thread(self._act)
        self.calls.append(method)
        return await self._line.handle_async_request(request)

    async def aclose(self) -> None:
        await self._line.aclose()
