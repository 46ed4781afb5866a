"""Who signed a request: Standard Webhooks (``Webhook-Id``, ``Webhook-Timestamp``, ``Webhook-Signature``), within five minutes.

What is signed is ``<id>.<seconds>.<body>``, by HMAC-SHA256 (specification 1.0.0, standardwebhooks.com). Two secrets of a sender may
hold at once, and a request may carry several signatures, so that either side changes its secret without a gap.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from gateway.lookups import Caller
from gateway.problems import Problem

WINDOW: Final = 300  # seconds, to both sides: clocks differ, and what is older may have been overheard
MOST_SIGNATURES: Final = 10
ID: Final = re.compile(r"[A-Za-z0-9._:/-]{1,200}")
HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True)
class Signer:
    """A sender that signs, as the caller it is by one of its keys."""

    caller: Caller
    secret: bytes = field(repr=False)


class Signers(Protocol):
    """The senders that sign."""

    async def signers(self, sender: str) -> Sequence[Signer]:
        """Every key of a sender that holds now: one, or two while it changes them; none for who is unknown."""
        ...


@dataclass(frozen=True)
class Signed:
    """A request whose signature is good: its id, and who signed it."""

    id: str
    signer: Signer


def signature(secret: bytes, message: str, timestamp: str, body: bytes) -> str:
    """The signature of a request, as it stands in its header."""
    text = f"{message}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, text, hashlib.sha256).digest()).decode()


def verified(headers: Mapping[str, str], body: bytes, signers: Iterable[Signer], now: datetime) -> Signed:
    """Who signed this.

    Raises:
        Problem: 401, where a header is missing, no signature is of a secret that holds, or it is older than the window. Only who
            has the secret hears that a request is old.
    """
    message, timestamp, given = (headers.get(name, "").strip() for name in HEADERS)
    if not (message and timestamp and given):
        raise unsigned("send Webhook-Id, Webhook-Timestamp and Webhook-Signature")
    if not ID.fullmatch(message):
        raise unsigned("Webhook-Id is 1 to 200 letters, digits and . _ : / -")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        raise unsigned("Webhook-Timestamp is a number of seconds since 1970")
    signer = _signer(given.split(" ")[:MOST_SIGNATURES], message, timestamp, body, signers)
    if signer is None:
        raise unsigned("no signature of this request is by a secret of this sender that holds")
    late = int(now.timestamp()) - int(timestamp)
    if abs(late) > WINDOW:
        how = f"{late} seconds old" if late > 0 else f"{-late} seconds ahead of our clock"
        raise unsigned(f"the request is {how}, more than {WINDOW}: sign it anew", "timestamp")
    return Signed(message, signer)


def _signer(
    given: Sequence[str], message: str, timestamp: str, body: bytes, signers: Iterable[Signer]
) -> Signer | None:
    """Every one is compared, in constant time: how long it takes says nothing."""
    found = None
    for signer in signers:
        good = signature(signer.secret, message, timestamp, body).encode()
        for one in given:
            if hmac.compare_digest(good, one.encode("utf-8", "replace")) and found is None:
                found = signer
    return found


def unsigned(detail: str, code: str = "signature") -> Problem:
    """Nobody we know signed this."""
    return Problem(401, code, detail)
