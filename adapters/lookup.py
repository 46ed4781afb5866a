"""A question to a look-up service over HTTP: its JSON answer, or which of our failures its silence or nonsense is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from adapters import http
from canonical.errors import Unavailable


@dataclass(frozen=True)
class LookupAccess:
    """Where a source is and by which token we ask. The token never shows in ``repr``."""

    code: str
    url: str
    token: str = field(default="", repr=False)
    timeout: float = 20.0
    on_request: Sequence[Callable[[httpx.Request], Awaitable[None]]] = ()  # carries the trace along

    def client(self) -> httpx.AsyncClient:
        """A client of this source; whoever made it closes it.

        Each question has a connection of its own: on one kept open, a second answer to a question would be read as the answer to
        the next, and an answer of "not found" names nobody by which we could tell.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.AsyncClient(
            timeout=httpx.Timeout(self.timeout, connect=min(5.0, self.timeout)),
            event_hooks={"request": list(self.on_request)},
            headers=headers | {"Accept": "application/json"},
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )


async def ask(
    client: httpx.AsyncClient, url: str, *path: str, system: str, params: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """The answer to a question; None where the source has no such thing (404).

    Raises:
        Unavailable, Throttled, Rejected: as :func:`adapters.http.send`; an answer that is no JSON object is no answer.
    """
    target = "/".join([url.rstrip("/"), *(quote(part, safe="") for part in path)]) if path else url
    request = client.build_request("GET", target, params=params)
    response = await http.whole(client, request, system=system)
    if response.status_code == httpx.codes.NOT_FOUND:
        return None
    http.check(response, system=system, repeat=False)
    answer = http.said(response)
    if not isinstance(answer, dict):
        raise nonsense(system)
    return answer


def nonsense(system: str, why: str = "what it answered cannot be read") -> Unavailable:
    """An answer that does not say what it should: asked again later, and never taken for yes or no."""
    return Unavailable(f"{system}: {why}", code="answer-unreadable", system=system)
