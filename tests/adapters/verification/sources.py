"""The sources of the suite: servers of ours that speak the published formats, and the fake."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from adapters.lookup import LookupAccess
from adapters.registry import VERIFIERS
from canonical.credentials import CheckKind
from canonical.errors import Throttled, Unavailable
from canonical.people_ports import Verifier
from demo.registries import Answer, Sources, licence, provider, registrant, served
from tests.adapters.verification.contract import DEA, NPI
from tests.fakes.verifiers import FakeVerifier

TIMEOUT = 2.0
PATHS = {"nppes": "nppes", "licence_board": "licences", "dea": "dea"}


@dataclass
class ServedSource:
    """An adapter and the server it asks."""

    adapter: str
    subject: str
    sources: Sources = field(default_factory=Sources)
    code: str = "SOURCE"
    token: str = ""
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def path(self) -> str:
        return PATHS[self.adapter]

    @property
    def asked(self) -> int:
        return self.sources.asked[self.path]

    async def open(self) -> None:
        base = await self._open.enter_async_context(served(self.sources))
        self.url = f"{base}/{self.path}"
        self.client = LookupAccess(self.code, self.url, self.token, TIMEOUT).client()
        self._open.push_async_callback(self.client.aclose)
        self.verifier: Verifier = VERIFIERS[self.adapter](self.client, self.code, self.url)

    async def close(self) -> None:
        await self._open.aclose()

    def has(self, *, ended: str = "", expires: date | None = None, **more: Any) -> None:
        until = {"expires": (expires or date(2028, 7, 31)).isoformat()}
        status = {"status": ended} if ended else {}
        if self.adapter == "nppes":
            self.sources.providers[NPI] = provider(
                NPI, "Bergstrom-Alvarez", "Wilhelmina", basic={"status": "D"} if ended else {}, **more
            )
        elif self.adapter == "licence_board":
            self.sources.licences["IL/036-117722"] = licence(
                "IL", "036.117722", "BERGSTROM ALVAREZ", "Wilhelmina A", **status, **until, **more
            )
        else:
            day = {"expiration_date": (expires or date(2028, 7, 31)).strftime("%Y%m%d")}
            self.sources.registrants[DEA] = registrant(DEA, "BERGSTROM ALVAREZ, WILHELMINA MD", **status, **day, **more)

    def away(self) -> None:
        self.sources.faults[self.path] = lambda: (0, {}, b"")

    def slow(self) -> None:
        self.sources.slow = TIMEOUT * 2

    def throttles(self, seconds: int) -> None:
        said: Answer = (429, {"Retry-After": str(seconds)}, b"")
        self.sources.faults[self.path] = lambda: said

    def answers(self, content: Any) -> None:
        said: Answer = (200, {}, content if isinstance(content, bytes) else json.dumps(content).encode())
        self.sources.faults[self.path] = lambda: said

    def back(self) -> None:
        self.sources.faults.clear()


class FakeSource:
    """The fake, set up the same way."""

    code, subject = "FAKE", "IL"

    def __init__(self, kind: CheckKind) -> None:
        self.verifier = FakeVerifier(kind)
        self._number = {"licence": "036-117722", "dea": DEA}.get(kind, NPI)

    @property
    def asked(self) -> int:
        return self.verifier.asked

    def has(self, *, ended: str = "", expires: date | None = None) -> None:
        self.verifier.knows(self._number, ended or "active", expires=expires)

    def away(self) -> None:
        self.verifier.failure = Unavailable("FAKE did not answer", system="FAKE")

    slow = away

    def throttles(self, seconds: int) -> None:
        self.verifier.failure = Throttled("FAKE asks us to slow down", retry_after=seconds)

    def back(self) -> None:
        self.verifier.failure = None
