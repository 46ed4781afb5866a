"""How we speak HTTP to outside systems: one place where an answer's status becomes one of our four failures."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime
from typing import Final

import httpx

from canonical.errors import Rejected, Throttled, Unavailable

LONGEST_REASON: Final = 300
TRANSIENT: Final = frozenset({408, 423, 425})  # timed out, locked, too early: the same request may succeed later
UNAUTHENTICATED: Final = "unauthenticated"
LONGEST_WAIT: Final = (
    3600.0  # seconds another system can put us off at a time: one that says a year would stop us for a year
)


async def send(client: httpx.AsyncClient, request: httpx.Request, *, system: str) -> httpx.Response:
    """Send a request and return its answer when it is a good one.

    Raises:
        Unavailable: no answer, or the other side is in trouble. What was asked may still have been done.
        Throttled: the other side asks us to slow down.
        Rejected: it understood and said no; ``unauthenticated`` when it does not know us (any more).
    """
    try:
        response = await client.send(request)
    except httpx.TransportError as lost:
        raise Unavailable(f"{system} did not answer ({type(lost).__name__})", system=system) from lost
    check(response, system=system)
    return response


def check(response: httpx.Response, *, system: str) -> None:
    """Raise the failure a status stands for (RFC 9110); a good status passes."""
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
    raise Rejected(f"{system} refused (HTTP {status}): {cut(response.text)}", system=system)


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
