"""The sources of the register as the steps ask them: each at its own rate, behind its own breaker, with its own token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import httpx

from adapters.lookup import LookupAccess
from adapters.registry import VERIFIERS
from adapters.verification.leie import READ, ExclusionFile
from canonical.credentials import ClinicianRole, Evidence, VerificationSource
from canonical.errors import FasciaError, Rejected, Throttled, Unavailable
from canonical.people import ClinicianRecord
from canonical.people_ports import Verifier
from store.exclusions import ListVerifier, StoredExclusions
from store.ids import now
from store.source_states import Turn

OURS_TO_MEND: Final = frozenset({"unauthenticated", "forbidden", "rejected"})
LATER: Final = 300.0  # seconds until a source that does not know us is asked again
AT_ONCE: Final = 8  # questions to one source that this worker has open


class States(Protocol):
    """Rates and breakers of the sources, for all workers."""

    async def turn(self, source: str, per_second: float, timeout: float) -> Turn: ...
    async def answered(self, source: str) -> None: ...
    async def failed(self, source: str, error: str, at: datetime) -> None: ...
    async def told_to_wait(self, source: str, until: datetime) -> None: ...


class PacedVerifier:
    """A source's adapter behind its rate and breaker.

    A refusal that is about us (a token that has run out) is no answer about anybody: it is tried again later, and shows as the
    source's trouble. A slow source keeps as many of our questions open as it may, and the others come back later.
    """

    def __init__(self, inner: Verifier, source: VerificationSource, states: States) -> None:
        self._inner, self._source, self._states = inner, source, states
        self._open = 0

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        if self._open >= AT_ONCE:
            raise Throttled(
                f"{self._source.code} has {AT_ONCE} questions of ours open", retry_after=2.0, system=self._source.code
            )
        self._open += 1
        try:
            turn = await self._states.turn(self._source.code, self._source.per_second, self._source.timeout)
            await asyncio.sleep(turn.wait)
            return await self._ask(turn, record, subject, role, as_of)
        finally:
            self._open -= 1

    async def _ask(
        self, turn: Turn, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime
    ) -> Evidence:
        code = self._source.code
        try:
            async with asyncio.timeout(
                self._source.timeout * 3
            ):  # of several pages; a single answer has its own time-out
                evidence = await self._inner.check(record, subject, role, as_of)
        except TimeoutError:
            lost = Unavailable(f"{code} did not answer in time", system=code)
            await self._states.failed(code, lost.message, now())
            raise lost from None
        except Throttled as slow:
            await self._states.told_to_wait(code, now() + timedelta(seconds=slow.retry_after))
            raise
        except Rejected as refused:
            if refused.code in OURS_TO_MEND:
                await self._states.failed(code, refused.message, now())
                raise Throttled(refused.message, retry_after=LATER, code=refused.code, system=code) from None
            if turn.failures:
                await self._states.answered(code)
            raise
        except FasciaError as failed:
            await self._states.failed(code, failed.message, now())
            raise
        if turn.failures:
            await self._states.answered(code)
        return evidence


@dataclass
class _Held:
    """A verifier with its client."""

    verifier: Verifier
    client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self.client is not None:
            await self.client.aclose()


class Sources:
    """Verifiers by the rows of the register; a changed row is another one."""

    def __init__(
        self,
        secrets: Path,
        states: States,
        lists: StoredExclusions,
        on_request: Sequence[Callable[[httpx.Request], Awaitable[None]]] = (),
    ) -> None:
        self._secrets, self._states, self._lists, self._on_request = secrets, states, lists, on_request
        self._held: dict[str, tuple[VerificationSource, _Held]] = {}
        self._before: list[_Held] = []

    def verifier_for(self, source: VerificationSource) -> Verifier:
        """What asks this source.

        Raises:
            Rejected: (configuration) we speak nothing its row names.
        """
        held = self._held.get(source.code)
        if held is None or held[0] != source:
            if held is not None:
                self._before.append(held[1])  # somebody may be asking by it still
            held = self._held[source.code] = (source, self._made(source))
        return held[1].verifier

    def access(self, source: VerificationSource) -> LookupAccess:
        """Where a source is, with the token among our secrets."""
        token = ""
        if source.token_file:
            path = self._secrets / Path(source.token_file).name
            try:
                token = path.read_text(encoding="utf-8").strip()
            except OSError:
                told = f"there is no token for {source.code} at {path}"
                raise Throttled(told, retry_after=LATER, code="configuration", system=source.code) from None
        return LookupAccess(source.code, source.url, token, source.timeout, self._on_request)

    def file_of(self, source: VerificationSource) -> tuple[httpx.AsyncClient, ExclusionFile]:
        """What fetches a list; whoever asked closes the client."""
        client = self.access(source).client()
        return client, ExclusionFile(client, source.code, source.url, source.adapter)

    def _made(self, source: VerificationSource) -> _Held:
        if source.kind == "exclusion" and source.adapter in READ:
            return _Held(ListVerifier(self._lists, source.code))
        if source.adapter not in VERIFIERS:
            known = ", ".join(sorted({*VERIFIERS, *READ}))
            told = f"the source {source.code} names the adapter {source.adapter}: there are {known}"
            raise Rejected(told, code="configuration", system=source.code)
        client = self.access(source).client()
        inner = VERIFIERS[source.adapter](client, source.code, source.url)
        return _Held(PacedVerifier(inner, source, self._states), client)

    async def close(self) -> None:
        """Give every connection back."""
        for held in (*(one for _, one in self._held.values()), *self._before):
            await held.close()
        self._held, self._before = {}, []
