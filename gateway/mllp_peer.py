"""Who is at the other end of an MLLP connection, how much it may ask of us, and what its frames are given to."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from canonical.errors import Rejected
from formats.mllp import LARGEST, Broken

SHORT: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
}


@dataclass(frozen=True)
class Certificate:
    """What a sender showed of itself: its subject as ``CN=..., O=...``, and the SHA-256 of the whole in hex."""

    subject: str
    fingerprint: str


@dataclass(frozen=True)
class Peer:
    """Who is at the other end; ``certificate`` only where the listener asks for one, and then it was verified."""

    host: str
    port: int
    listener: str = ""
    connection: int = 0  # unique within this run of the listener
    certificate: Certificate | None = None


Answer = bytes | tuple[bytes, ...] | None
"""What answers a frame: one message, several in their order (each in a frame of its own), or nothing."""


class Corridor(Protocol):
    """What a frame is given to. Whatever it raises, the sender gets no answer and the connection is closed: it sends again."""

    async def take(self, frame: bytes, peer: Peer) -> Answer:
        """Keep a frame and say what answers it, or that nothing does. What must be in order happens before the first await."""
        ...

    async def broken(self, broken: Broken, peer: Peer) -> Answer:
        """The same for what is no whole frame; it has its place in the order too."""
        ...


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What senders may ask of a listener. ``frame_seconds``: from a frame's first byte to its last, however it drips.

    ``share``: the part of connections, work and memory that one address may have, so that no sender holds up all the others.
    """

    frame_bytes: int = LARGEST
    frame_seconds: float = 60.0
    idle_seconds: float = 3600.0
    connections: int = 500
    in_work_per_connection: int = 64
    in_work: int = 2000
    held_bytes: int = 128 * 1024 * 1024
    share: float = 0.5

    def __post_init__(self) -> None:
        least = (self.frame_bytes, self.connections, self.in_work_per_connection, self.in_work)
        if min(least) < 1 or min(self.frame_seconds, self.idle_seconds) <= 0:
            raise ValueError("limits must be more than nothing")
        if not 0 < self.share <= 1:
            raise ValueError("share must be more than nothing and at most all of it")
        if self.held_bytes < 2 * self.frame_bytes:
            raise ValueError("held_bytes must allow for two frames of the largest size")


def server_tls(certificate: Path, key: Path, *, client_authority: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later under our certificate; with ``client_authority`` (PEM) only for senders it vouches for. Made once.

    Raises:
        Rejected: a file cannot be read, or key and certificate do not belong together (``configuration``).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if client_authority is not None:
            context.load_verify_locations(client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as unread:  # ssl.SSLError is one
        raise Rejected("the listener's certificate, key or authority cannot be read", code="configuration") from unread
    return context


def shown(transport: asyncio.BaseTransport) -> Certificate | None:
    """The verified certificate of a connection, if its sender had to show one."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    whole = tls.getpeercert(binary_form=True) if tls is not None else None
    told = tls.getpeercert() if tls is not None else None
    if not whole or not told:
        return None
    subject = [f"{SHORT.get(part[0], part[0])}={part[1]}" for parts in told["subject"] for part in parts]
    return Certificate(", ".join(subject), hashlib.sha256(whole).hexdigest())
