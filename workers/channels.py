"""Puts the channels' loop together: its transports by MLLP and FHIR, certificates from our secrets, and the name of this process."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from adapters.fhir_channel import FhirSender, FhirTarget
from adapters.mllp import Answer, MllpSender, MllpTarget, OnAnswer, Stray, client_tls
from adapters.mllp_accept import accept
from canonical.senders import Channel
from store.ids import new_id
from workers.loops.channel_sender import Way
from workers.loops.channels import ChannelSenders
from workers.loops.pace import forever
from workers.settings import SECRETS
from workers.wiring import Wiring

EVERY = 1.0  # seconds between looks for what is due; a lease must outlast several


def own_name() -> str:
    """The name of this process in leases: no two processes, nor two lives of one, share it."""
    return f"{socket.gethostname()}/{os.getpid()}/{new_id()}"


def senders(parts: Wiring) -> ChannelSenders:
    """The loop of this process."""
    secrets = parts.settings.home / SECRETS
    return ChannelSenders(parts.register, parts.channels, ways(secrets), own_name(), accept=_accept)


async def send(parts: Wiring, stop: asyncio.Event) -> None:
    """Send by every channel until told to stop, then let others."""
    loop = senders(parts)
    try:
        await forever("channels", EVERY, loop.once, stop)
    finally:
        await loop.close()


def ways(secrets: Path) -> Callable[[Channel, OnAnswer | None, Callable[[Stray], None]], Way]:
    """How a channel's connection is made, by its kind; certificates and tokens are files in ``secrets``."""

    def file(name: str) -> Path | None:
        return secrets / name if name else None

    def way_to(channel: Channel, on_answer: OnAnswer | None, on_stray: Callable[[Stray], None]) -> Way:
        files = (file(name) for name in (channel.authority_file, channel.certificate_file, channel.key_file))
        tls = client_tls(*files) if channel.tls else None
        name, keep = channel.server_name, channel.keep_connection
        if channel.kind == "fhir":
            base = f"{'https' if channel.tls else 'http'}://{channel.host}:{channel.port}{channel.path}"
            server = FhirTarget(channel.code, base, channel.release, file(channel.token_file), tls, keep)
            return FhirSender(server, timeout=channel.answer_within)
        target = MllpTarget(channel.code, channel.host, channel.port, tls=tls, server_name=name, keep=keep)
        return MllpSender(target, timeout=channel.answer_within, on_answer=on_answer, on_stray=on_stray)

    return way_to


def _accept(answer: Answer) -> bytes | None:
    return accept(answer, token_hex(10), datetime.now(UTC))  # MSH-10: 20 characters in most versions
