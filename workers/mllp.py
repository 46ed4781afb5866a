"""Opens the MLLP door on its address and closes it in order: what is in work is kept and answered first."""

from __future__ import annotations

import asyncio
import ssl

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Rejected
from gateway.directory import Directory
from gateway.hl7_door import Hl7Door
from gateway.mllp import MllpDoor
from gateway.mllp_peer import Limits, server_tls
from store.journal import StoredJournal
from store.quotas import StoredQuotas
from store.register import StoredRegister
from store.unmatched import StoredUnmatched
from workers.loops.pace import forever
from workers.settings import Settings

SENDERS_EVERY = 5.0  # seconds until a changed row of the register counts
LAST_ANSWERS = 4.0  # seconds that what is in work has when the door closes

log = structlog.get_logger(__name__)


async def serve(given: Settings, database: AsyncEngine, stop: asyncio.Event) -> None:
    """Listen until told to stop. It needs our database and nothing else: it keeps on while Temporal is away.

    Raises:
        Unavailable: the register cannot be read at the start, so nobody would be known.
        Rejected: the address or the certificates cannot be used.
    """
    directory = Directory(StoredRegister(database))
    await directory.refresh()
    seal = given.seal_key
    secret = seal.get_secret_value().encode() if seal else b""
    corridor = Hl7Door(
        StoredJournal(database),
        directory,
        StoredUnmatched(database),
        secret=secret,
        patience=given.mllp_patience,
        allowance=StoredQuotas(database),
    )
    door = MllpDoor(
        corridor,
        host=given.mllp_host,
        port=given.mllp_port,
        tls=_tls(given),
        limits=_limits(given),
        reuse_port=given.mllp_shared_port,
    )
    try:
        await door.start()
    except OSError as taken:
        why = f"cannot listen on {given.mllp_host}:{given.mllp_port} ({taken.strerror or type(taken).__name__})"
        raise Rejected(f"{why}: free it or set FASCIA_MLLP_PORT", code="configuration") from taken
    async with asyncio.TaskGroup() as group:
        group.create_task(forever("senders", SENDERS_EVERY, directory.refresh, stop))
        await stop.wait()
        await door.stop(LAST_ANSWERS)
        await corridor.close()


def _tls(given: Settings) -> ssl.SSLContext | None:
    if given.mllp_certificate is None or given.mllp_key is None:
        return None
    return server_tls(given.mllp_certificate, given.mllp_key, client_authority=given.mllp_client_authority)


def _limits(given: Settings) -> Limits:
    try:
        return Limits(
            frame_bytes=given.mllp_frame_bytes,
            frame_seconds=given.mllp_frame_seconds,
            idle_seconds=given.mllp_idle_seconds,
            connections=given.mllp_connections,
            in_work_per_connection=given.mllp_in_work_per_connection,
            in_work=given.mllp_in_work,
            held_bytes=given.mllp_held_bytes,
            share=given.mllp_share,
        )
    except ValueError as wrong:
        raise Rejected(f"FASCIA_MLLP_...: {wrong}", code="configuration") from wrong
