"""Opens the REST door on its address and closes it in order: what is being answered is answered first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator

import structlog
import uvicorn

from gateway.rest import make_app
from workers.callers import Callers
from workers.wiring import Wiring

LAST_ANSWERS = 5  # seconds a request under way has when the door closes

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Ends when our process is told to; it takes no signals of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(parts: Wiring, stop: asyncio.Event) -> None:
    """Answer requests until told to stop."""
    given = parts.settings
    behind = parts.doors()
    config = uvicorn.Config(
        make_app(behind),
        http=Callers(given.api_connections).protocol(),
        host=given.api_host,
        port=given.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_ANSWERS,
    )
    server = _Server(config)

    async def close() -> None:
        await stop.wait()
        server.should_exit = True

    async with asyncio.TaskGroup() as group:
        closing = group.create_task(close())
        log.info("door open", address=given.api_url)
        await server.serve()
        closing.cancel()
    await behind.intake.close()
    if behind.fhir is not None:
        await behind.fhir.close()
    if behind.scans is not None:
        await behind.scans.close()
    log.info("door closed")
