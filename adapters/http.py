"""How we speak HTTP to outside systems: one place where an answer's status becomes one of our four failures."""

from __future__ import annotations

import email.utils
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from canonical.errors import Rejected, Throttled, Unavailable

LONGEST_REASON: Final = 300
TRANSIENT: Final = frozenset({408, 423, 425})  # timed out, locked, too early: the same request may succeed later
UNAUTHENTICATED: Final = "unauthenticated"
LONGEST_WAIT: Final = (
    3600.0  # seconds another system can put us off at a time: one that says a year would stop us for a year
)


LARGEST: Final = 8_000_000  # bytes of one answer that is JSON: more is a mistake over there, or a trap
TAG: Final = re.compile(r"[\x21-\x7e]{1,200}")  # what can stand in If-Match (RFC 9110 8.8.3)
NOT_REPEATED: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


async def whole(
    client: httpx.AsyncClient, request: httpx.Request, *, system: str, most: int = LARGEST
) -> httpx.Response:
    """Send a request and read its answer to the end, whatever it says; redirects are answers, and are not followed.

    Raises:
        Unavailable: no answer, one that does not end as it says or cannot be unpacked, or one of more than ``most`` bytes. Nothing
            of the answer, or of what was sent, is in its words. What was asked may still have been done.
    """
    held = bytearray()
    try:
        response = await client.send(request, stream=True)
        try:
            async for part in response.aiter_bytes():
                held += part
                if len(held) > most:
                    raise Unavailable(f"{system} answered with more than {most} bytes", system=system)
        finally:
            await response.aclose()
    except httpx.RequestError as lost:  # its text may hold what we sent: a header with a token in it
        raise Unavailable(f"{system} did not answer ({type(lost).__name__})", system=system) from None
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in NOT_REPEATED]
    return httpx.Response(response.status_code, headers=headers, content=bytes(held), request=request)


def said(response: httpx.Response) -> Any:
    """What an answer says in JSON; None where it is none."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):  # the second: ten thousand brackets
        return None


def bearer(path: Path, *, system: str) -> dict[str, str]:
    """The header that shows the token in a file, read for each call: one that was renewed needs no restart.

    Raises:
        Rejected: (configuration) there is no such file, or what it holds can be no token. Never what it holds.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token or not token.isascii() or not token.isprintable():
        why = f"no token for {system}: put it, in one line, into {path.name} among the secrets"
        raise Rejected(why, code="configuration", system=system)
    return {"Authorization": f"Bearer {token}"}


async def send(client: httpx.AsyncClient, request: httpx.Request, *, system: str) -> httpx.Response:
    """Send a request and return its answer when it is a good one.

    Raises:
        Unavailable: no answer, or the other side is in trouble. What was asked may still have been done.
        Throttled: the other side asks us to slow down.
        Rejected: it understood and said no; ``unauthenticated`` when it does not know us (any more).
    """
    try:
        response = await client.send(request)
    except httpx.RequestError as lost:
        raise Unavailable(f"{system} did not answer ({type(lost).__name__})", system=system) from lost
    check(response, system=system)
    return response


def check(response: httpx.Response, *, system: str, repeat: bool = True) -> None:
    """Raise the failure a status stands for (RFC 9110); a good status passes.

    ``repeat``: what it says is told. Of systems that hear of people it is not: they repeat whom we asked about.
    """
    status = response.status_code
    if response.is_success:
        return
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise Throttled(f"{system} asks us to slow down", retry_after=retry_after(response), system=system)
    if status in TRANSIENT or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"{system} is in trouble (HTTP {status})", system=system)
    if status == httpx.codes.UNAUTHORIZED:
        raise Rejected(f"{system} does not accept our credentials", code=UNAUTHENTICATED, system=system)
    if status == httpx.codes.FORBIDDEN:
        raise Rejected(f"{system} does not let us do this", code="forbidden", system=system)
    why = f": {cut(response.text)}" if repeat else ""
    raise Rejected(f"{system} refused (HTTP {status}){why}", system=system)


def cut(text: str) -> str:
    """The beginning of what another system says: a whole page of it has no place in a case's history."""
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST_REASON else plain[: LONGEST_REASON - 1] + "…"


def retry_after(response: httpx.Response) -> float:
    """Seconds that an answer asks us to wait (RFC 9110, 10.2.3: seconds or a date), an hour at most; 1 where it does not say."""
    told = response.headers.get("Retry-After", "")
    if told.isdecimal():
        return min(float(told), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(told).astimezone(UTC)
    except (ValueError, OverflowError):
        return 1.0
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), LONGEST_WAIT)
