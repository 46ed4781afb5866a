"""Programs to hold against each other: ``python -m bench.rest_programs door|echo``, on the address the settings name.

``door`` is our REST door with its store and everything else of it but Temporal, which is away at once: what is measured is the
202 after the commit; what a case's start costs stands with the workflows. ``echo`` reads the same model from the same body
with FastAPI and sends it back.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace

import uvicorn
from fastapi import FastAPI

from canonical.errors import Unavailable
from canonical.purchasing import Requisition
from gateway.intake import Intake
from gateway.rest import make_app
from workers import logs, settings, telemetry
from workers.settings import Settings
from workers.wiring import wired


class _Away:
    """Temporal, not there."""

    def __getattr__(self, name: str) -> object:
        async def away(*_: object, **__: object) -> str:
            raise Unavailable("Temporal is away", system="temporal")

        return away


async def door(given: Settings) -> None:
    """Our door."""
    async with wired(given, lazy=True) as parts:
        behind = parts.doors()
        away = _Away()
        intake = Intake(parts.journal, parts.cases, away)  # type: ignore[arg-type]
        await _serve(make_app(replace(behind, intake=intake, engine=away)), given)  # type: ignore[arg-type]


async def echo(given: Settings) -> None:
    """The echo."""
    app = FastAPI()

    @app.post("/v1/requisitions", status_code=202)
    async def again(requisition: Requisition) -> Requisition:
        return requisition

    await _serve(app, given)


async def _serve(app: FastAPI, given: Settings) -> None:
    config = uvicorn.Config(
        app, host=given.api_host, port=given.api_port, log_config=None, access_log=False, server_header=False
    )
    await uvicorn.Server(config).serve()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.rest_programs", description=__doc__)
    parser.add_argument("which", choices=("door", "echo"))
    which = parser.parse_args().which
    given = settings.load()
    logs.start(given.log_level, which)  # a line for each request, as the real door writes
    if which == "door":
        telemetry.start(given, which)  # and a trace
    asyncio.run((door if which == "door" else echo)(given))


if __name__ == "__main__":
    main()
