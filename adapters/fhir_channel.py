"""How we tell a FHIR server of something: one resource at a time, made once under its identifier, and changed under the same.

hl7.org/fhir/R5/http.html: conditional create (``If-None-Exist``) makes what is not there yet, so a repeat after a lost answer makes no
second one; what takes something back (``entered-in-error``) or tells anew how somebody works is a
conditional update. The server's answer counts as HL7's would:
AA taken, AR refused; trouble of its own and silence are no answer, and the same comes again.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from adapters.http import TRANSIENT, cut
from adapters.mllp_line import Answer
from canonical.errors import Rejected, Unavailable

SYSTEM: Final = "fhir"
VERSIONS: Final = {"r4b": "4.3", "r5": "5.0"}
CONNECT_WITHIN: Final = 10.0  # seconds
LARGEST_ANSWER: Final = 64 * 1024
TAKEN_BACK: Final = "entered-in-error"
KEPT_UP: Final = frozenset(
    {"Practitioner", "PractitionerRole"}
)  # told anew under one identifier whenever something changes


@dataclass(frozen=True)
class FhirTarget:
    """A FHIR server: ``base`` is its address with path, ``token`` the file with the bearer token it wants, read for each message."""

    name: str
    base: str
    release: str = "r5"
    token: Path | None = None
    tls: ssl.SSLContext | None = None
    keep: bool = True


class FhirSender:
    """The way to one FHIR server. ``timeout``: seconds from sending a resource to its answer."""

    def __init__(self, target: FhirTarget, *, timeout: float = 30.0) -> None:
        self._target = target
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None

    async def connect(self) -> None:
        """Whether anybody is there, before a message is said to have been sent; an open connection is taken at its word.

        Raises:
            Unavailable: nobody listens, and nothing was sent.
        """
        if self._client is not None:
            return
        at = httpx.URL(self._target.base)
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                _, writer = await asyncio.open_connection(at.host, at.port or (443 if at.scheme == "https" else 80))
        except (OSError, TimeoutError) as away:
            told = f"{self._target.name} does not listen ({type(away).__name__})"
            raise Unavailable(told, code="unreachable", system=SYSTEM) from away
        writer.close()

    async def send(self, data: bytes, control_id: str) -> Answer:
        """Bring one resource there; ``control_id`` is what its journal knows it by.

        Raises:
            Unavailable: no answer, or a server in trouble: it may have arrived all the same, so repeat the same bytes.
            Rejected: it cannot be sent (``data-invalid``), or the server does not know us (``unauthenticated``).
        """
        method, url, headers = _asked(self._target, data)
        client = self._client = self._client or httpx.AsyncClient(
            verify=self._target.tls or True, timeout=self._timeout, follow_redirects=False, trust_env=False
        )
        headers |= self._authorised()
        try:
            async with client.stream(method, url, content=data, headers=headers) as response:
                said = b""
                async for part in response.aiter_bytes():
                    said += part[: LARGEST_ANSWER - len(said)]
                    if len(said) >= LARGEST_ANSWER:
                        break
        except httpx.TransportError as lost:
            await self.close()
            told = f"{self._target.name} did not answer ({type(lost).__name__})"
            raise Unavailable(told, code="no-answer", system=SYSTEM) from lost
        finally:
            if not self._target.keep:
                await self.close()
        return self._answer(response.status_code, said, control_id)

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _answer(self, status: int, said: bytes, control_id: str) -> Answer:
        name = self._target.name
        if status < 300:
            return Answer("AA", control_id, f"HTTP {status}", said)
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise Rejected(f"{name} does not let us in (HTTP {status})", code="unauthenticated", system=SYSTEM)
        if status in TRANSIENT or status == httpx.codes.TOO_MANY_REQUESTS or status >= 500 or status < 400:
            raise Unavailable(f"{name} is in trouble (HTTP {status})", code="no-answer", system=SYSTEM)
        return Answer("AR", control_id, cut(f"HTTP {status} {_complaint(said)}"), said)

    def _authorised(self) -> dict[str, str]:
        if self._target.token is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self._target.token.read_text(encoding='utf-8').strip()}"}
        except OSError as unreadable:
            told = f"the token of {self._target.name} cannot be read ({type(unreadable).__name__})"
            raise Rejected(told, code="unauthenticated", system=SYSTEM) from None


def _asked(target: FhirTarget, data: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, address and headers of a resource, by what it says of itself."""
    try:
        tree = json.loads(data)
        kind, named = tree["resourceType"], tree["identifier"][0]
        query = f"identifier={quote(named['system'], safe='')}%7C{quote(named['value'], safe='')}"
    except (ValueError, KeyError, IndexError, TypeError) as no:
        raise Rejected(
            "a resource without an identifier cannot be sent once", code="data-invalid", system=SYSTEM
        ) from no
    headers = {
        "Content-Type": f"application/fhir+json; fhirVersion={VERSIONS[target.release]}",
        "Accept": "application/fhir+json",
    }
    if kind in KEPT_UP or tree.get("status") == TAKEN_BACK:
        return "PUT", f"{target.base}/{kind}?{query}", headers
    return "POST", f"{target.base}/{kind}", headers | {"If-None-Exist": query, "Prefer": "return=minimal"}


def _complaint(said: bytes) -> str:
    """What an OperationOutcome says first: its diagnostics, or its code."""
    try:
        first = json.loads(said)["issue"][0]
        return str(first.get("diagnostics") or first.get("details", {}).get("text") or first.get("code", ""))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""
