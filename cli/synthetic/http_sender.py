"""Sends an invented hospital's JSON, CSV and FHIR to a door over HTTP, and keeps the ledger of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import httpx

from cli.synthetic import fhir
from cli.synthetic.ledger import Ledger
from cli.synthetic.traffic import Letter, Plan

TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv",
    "x12": "application/edi-x12",
    "hl7": "x-application/hl7-v2+er7",
}
WITHIN: Final = 30.0  # seconds until an answer


async def send(
    plan: Plan, url: str, key: str, ledger: Ledger, *, tries: int = 1, told: Callable[[int], None] = lambda _: None
) -> None:
    """Post the plan's letters; ``plan.connections`` at once at most.

    ``url`` is where a kind is posted to, for FHIR the base: a resource goes to its type below it, a transaction to the base. The
    ``Idempotency-Key`` is the letter's number, so what is sent again is known again.
    """
    begin = time.perf_counter()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx.Limits(max_connections=plan.connections, max_keepalive_connections=plan.connections)
    letters = enumerate(plan.letters())
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=WITHIN, trust_env=False) as client:

        async def work() -> None:
            for many, letter in letters:
                if many % 256 == 0:
                    told(many)
                if plan.rate and (early := letter.due - (time.perf_counter() - begin)) > 0:
                    await asyncio.sleep(early)
                await _post(client, url, letter, ledger, begin, tries, paced=bool(plan.rate))

        async with asyncio.TaskGroup() as group:
            for _ in range(plan.connections):
                group.create_task(work())


async def _post(
    client: httpx.AsyncClient, url: str, letter: Letter, ledger: Ledger, begin: float, tries: int, *, paced: bool
) -> None:
    for tried in range(1, tries + 1):
        sent = time.perf_counter() - begin
        try:
            answer = await client.post(_where(url, letter), content=letter.data, headers=_headers(letter))
        except httpx.HTTPError as failed:
            ledger.unanswered(letter, tried, sent, type(failed).__name__, again=tried < tries)
            await asyncio.sleep(0.5)
            continue
        now = time.perf_counter() - begin
        ledger.answered(letter, tried, sent, letter.due if paced else sent, now, str(answer.status_code))
        return


def _where(url: str, letter: Letter) -> str:
    if letter.kind in fhir.KINDS and letter.kind != "Bundle":
        return f"{url.rstrip('/')}/{letter.kind}"
    return url


def _headers(letter: Letter) -> dict[str, str]:
    kind = "application/fhir+json" if letter.kind in fhir.KINDS else TYPES[letter.format]
    return {"Content-Type": kind, "Idempotency-Key": letter.control}
