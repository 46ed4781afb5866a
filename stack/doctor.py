"""How each part is, asked at its address whoever started it: ok, warn or fail, what was found, and what to do about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import asyncpg
import httpx

from stack import questions
from workers.settings import Settings

State = Literal["ok", "warn", "fail"]
UP = "fascia up"
SOME_SILENT = "a queue new in the register is served within half a minute; else see the worker's log and start it anew"
NO_REVOCATIONS = "start python -m workers revocations: until then nobody's access is seen off"
POLLED_LATELY = timedelta(seconds=90)  # a worker's question to Temporal stands open for up to a minute


@dataclass(frozen=True)
class Finding:
    """What one check found; ``fix`` is empty when there is nothing to do."""

    part: str
    state: State
    address: str
    text: str
    fix: str = ""
    seconds: float = 0.0


Check = Callable[[Settings], Awaitable[Finding]]


async def examine(settings: Settings, checks: Mapping[str, Check]) -> list[Finding]:
    """Put all questions at once; a check that breaks is itself a finding."""
    return list(await asyncio.gather(*(_examined(name, check, settings) for name, check in checks.items())))


async def _examined(name: str, check: Check, settings: Settings) -> Finding:
    began = time.monotonic()
    try:
        async with asyncio.timeout(20):
            found = await check(settings)
    except TimeoutError:
        found = Finding(name, "fail", "", "no answer within 20 s", f"{UP}, or see the log of {name}")
    except Exception as error:  # whatever breaks a check is news for whoever asked
        found = Finding(
            name, "fail", "", f"{type(error).__name__}: {error}".removesuffix(": "), f"see the log of {name}"
        )
    return Finding(found.part, found.state, found.address, found.text, found.fix, round(time.monotonic() - began, 3))


async def database(settings: Settings) -> Finding:
    """Our own store answers, and which PostgreSQL it is."""
    url = settings.database_url.get_secret_value()
    if not url:
        return Finding("database", "fail", "", "no address known", f"{UP}, or set FASCIA_DATABASE_URL")
    address = shown(url)
    try:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=questions.PATIENCE)
    except (OSError, TimeoutError) as error:
        fix = f"{UP}, or check FASCIA_DATABASE_URL"
        return Finding("database", "fail", address, f"does not answer: {said(error)}", fix)
    except asyncpg.PostgresError as error:
        fix = "check the user and FASCIA_DATABASE_PASSWORD_FILE"
        return Finding("database", "fail", address, f"refuses us: {error}", fix)
    try:
        version = await connection.fetchval("show server_version")
    finally:
        await connection.close()
    return Finding("database", "ok", address, f"PostgreSQL {version}")


async def temporal(settings: Settings) -> Finding:
    """Temporal answers and is new enough."""
    from temporalio.service import RPCError

    address = settings.temporal_address
    if not address:
        return Finding("temporal", "fail", "", "no address known", f"{UP}, or set TEMPORAL_ADDRESS")
    try:
        version = await questions.temporal_version(settings)
    except (RPCError, RuntimeError) as error:
        return Finding("temporal", "fail", address, refusal(error), f"{UP}, or check TEMPORAL_ADDRESS")
    if not questions.is_new_enough(version):
        needed = ".".join(map(str, questions.OLDEST_TEMPORAL))
        return Finding("temporal", "fail", address, f"server {version} is too old", f"update it to {needed} or later")
    return Finding("temporal", "ok", address, f"server {version}, namespace {settings.temporal_namespace}")


async def temporal_ui(settings: Settings) -> Finding:
    """The Web UI answers; without one cases still run."""
    url = settings.temporal_ui_url
    if not url:
        return Finding("temporal_ui", "warn", "", "no address known", f"{UP}, or set FASCIA_TEMPORAL_UI_URL")
    if not await questions.page_answers(url)():
        return Finding("temporal_ui", "fail", url, "does not answer", f"{UP}, or check FASCIA_TEMPORAL_UI_URL")
    return Finding("temporal_ui", "ok", url, "answers")


async def erp(settings: Settings) -> Finding:
    """The ERP answers the one question it answers to anybody: its version."""
    if not settings.erp_url:
        return Finding("erp", "warn", "", "no ERP is named", "fascia demo brings one; else set FASCIA_ERP_URL")
    return await _tryton("erp", settings.erp_url, settings.erp_kind, "start the ERP")


async def hr(settings: Settings) -> Finding:
    """The HR system that is asked answers the same question; none need be named: others tell us by themselves."""
    if not settings.hr_url:
        return Finding("hr", "ok", "", "no HR system is asked")
    until = "start the HR system: what changed there meanwhile is asked for then"
    return await _tryton("hr", settings.hr_url, settings.hr_kind, until)


async def _tryton(part: str, url: str, kind: str, fix: str) -> Finding:
    asked = {"id": 1, "method": "common.server.version", "params": []}
    try:
        async with httpx.AsyncClient(timeout=questions.PATIENCE, trust_env=False) as client:
            answer = await client.post(f"{url.rstrip('/')}/rpc/", json=asked)
    except httpx.HTTPError as error:
        return Finding(part, "fail", url, f"does not answer: {said(error)}", fix)
    if answer.status_code != 200:
        return Finding(part, "fail", url, f"answers {answer.status_code}", f"check FASCIA_{part.upper()}_URL")
    result = answer.json()
    version = result.get("result") if isinstance(result, dict) else result
    return Finding(part, "ok", url, f"{kind} {version}")


async def api(settings: Settings) -> Finding:
    """The REST door answers."""
    url = settings.api_url
    if not await questions.page_answers(f"{url}/healthz")():
        return Finding("api", "fail", url, "does not answer", UP)
    return Finding("api", "ok", url, "answers")


async def mllp(settings: Settings) -> Finding:
    """The MLLP door takes connections."""
    address = f"{settings.mllp_host}:{settings.mllp_port}"
    if not await questions.port_listens(settings.mllp_host, settings.mllp_port)():
        return Finding("mllp", "fail", address, "nobody listens", UP)
    asked = "who must show a certificate" if settings.mllp_client_authority else "who need show no certificate"
    return Finding(
        "mllp", "ok", address, f"listens, TLS, for senders {asked}" if settings.mllp_certificate else "listens, no TLS"
    )


async def workers(settings: Settings, queues: Sequence[str], *, part: str = "workers") -> Finding:
    """Somebody asks Temporal for work on each of these task queues."""
    from temporalio.service import RPCError

    if not settings.temporal_address:
        return Finding(part, "fail", "", "no Temporal to ask", UP)
    address = f"task queues {', '.join(queues)}"
    try:
        client = await questions.connect(settings)
        polls = await asyncio.gather(*(questions.last_poll(client, queue) for queue in queues))
    except (RPCError, RuntimeError) as error:
        return Finding(part, "fail", address, f"Temporal {refusal(error)}", UP)
    oldest = datetime.now(UTC) - POLLED_LATELY
    silent = [queue for queue, last in zip(queues, polls, strict=True) if last is None or last < oldest]
    if silent:
        fix = UP if len(silent) == len(queues) else SOME_SILENT
        if silent == [questions.REVOCATION_QUEUE]:
            fix = NO_REVOCATIONS
        return Finding(part, "fail", address, f"nobody works on {', '.join(silent)}", fix)
    return Finding(part, "ok", address, "work is being asked for")


def said(error: Exception) -> str:
    """What an error says, or what it is called where it says nothing, as those of a timeout do."""
    return str(error).strip() or type(error).__name__


def refusal(error: Exception) -> str:
    """Why Temporal did not answer, without the SDK's inner words for a closed port."""
    said = getattr(error, "message", "") or str(error)
    return "does not answer" if "transport::Error" in said else f"does not answer: {said}"


def shown(url: str) -> str:
    """A database's address without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}"
