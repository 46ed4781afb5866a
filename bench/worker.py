"""A worker that serves the probe and the bare process, wired like the real one."""

from __future__ import annotations

import asyncio
import os
import signal

from sqlalchemy import text

from bench.probe import TABLE, Bare, BareSteps, Probe
from workers import logs, settings
from workers.failures import Failures
from workers.temporal import serving, steps_of
from workers.wiring import wired


async def main() -> None:
    """Serve until told to stop."""
    given = settings.load()
    logs.start("warning", "bench")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with wired(given, lazy=False) as parts:
        async with parts.database.begin() as connection:
            await connection.execute(text(TABLE))
        bare = BareSteps(parts.database, os.environ["BENCH_STUB_ERP"])
        steps = dict(parts.steps())
        steps["fascia"] = [*steps["fascia"], *steps_of([bare])]
        steps["erp"] = [bare.stub_erp]
        async with serving(
            parts.client, given, workflows=[Probe, Bare], steps=steps, interceptors=[Failures(parts.cases.trouble)]
        ):
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
