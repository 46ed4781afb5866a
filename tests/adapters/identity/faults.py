"""A line to a real provider on which things go wrong: late, twice, refused, or with something happening in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx


class Faults(httpx.AsyncBaseTransport):
    """Each fault is of a method; what is not named goes through."""

    def __init__(self) -> None:
        self._line = httpx.AsyncHTTPTransport()
        self._late: dict[str, tuple[float, float]] = {}
        self._twice: set[str] = set()
        self._answers: dict[str, tuple[int, Mapping[str, Any], str, int]] = {}
        self._before: dict[str, Callable[[], Awaitable[None]]] = {}
        self._carrying: list[asyncio.Task[httpx.Response]] = []
        self._seen: dict[str, int] = {}

    def late(self, method: str, *, seconds: float, gives_up_after: float) -> Faults:
        """The first of them is carried out so many seconds later, when who asked has given up."""
        self._late[method] = (seconds, gives_up_after)
        return self

    def twice(self, *methods: str) -> Faults:
        """Each arrives twice; the first answer is seen."""
        self._twice |= set(methods)
        return self

    def answering(
        self, method: str, status: int, body: Mapping[str, Any] | None = None, *, text: str = "", after: int = 0
    ) -> Faults:
        """None but the first ``after`` of them arrive; this is the answer."""
        self._answers[method] = (status, body or {}, text, after)
        return self

    def before(self, method: str, act: Callable[[], Awaitable[None]]) -> Faults:
        """Something happens just before the first of them arrives."""
        self._before[method] = act
        return self

    async def settled(self) -> None:
        """Wait until what is late has been carried out."""
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        method = request.method
        self._seen[method] = self._seen.get(method, 0) + 1
        if method in self._answers and self._seen[method] > self._answers[method][3]:
            status, body, text, _ = self._answers[method]
            return httpx.Response(status, text=text) if text else httpx.Response(status, json=dict(body))
        if method in self._before:
            await self._before.pop(method)()
        if method in self._late:
            seconds, gives_up = self._late.pop(method)
            self._carrying.append(asyncio.create_task(self._later(_copy(request), seconds)))
            await asyncio.sleep(gives_up)
            raise httpx.ReadTimeout("nobody answered", request=request)
        response = await self._line.handle_async_request(request)
        if method in self._twice:
            await response.aread()
            await (await self._line.handle_async_request(_copy(request))).aread()
        return response

    async def _later(self, request: httpx.Request, seconds: float) -> httpx.Response:
        await asyncio.sleep(seconds)
        response = await self._line.handle_async_request(request)
        await response.aread()
        return response

    async def aclose(self) -> None:
        await self.settled()
        await self._line.aclose()


def _copy(request: httpx.Request) -> httpx.Request:
    return httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
