"""What the gateway costs: the rows of ``python -m bench --only gateway``, on a platform with all of its own processes."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import accept, idle, mllp, steps
from bench.stand import standing

Keep = Callable[..., None]
ROWS = ("steps", "idle", "against", "paced", "accept")
PARTS = ("database", "temporal", "worker", "loops", "api", "mllp")
DOORS = {"FASCIA_MLLP_DOORS": "2"}  # one for each processor of the machine that is measured


def cache() -> Path:
    """Where what was fetched for a measurement is kept."""
    named = os.environ.get("FASCIA_CACHE")
    return Path(named) if named else Path("~/.cache/fascia").expanduser()


async def measure(
    rows: Sequence[str],
    keep: Keep,
    *,
    rounds: int,
    rate: float,
    seconds: float,
    quick: bool,
    say: Callable[[str], None],
) -> None:
    """Measure these rows. ``seconds``: of the steady rate; each row is kept as soon as it is there."""
    if "steps" in rows:
        keep(await steps.measure(rounds=max(3, rounds), say=say))
    if not set(rows) - {"steps"}:
        return
    short = 4.0 if quick else 10.0
    with tempfile.TemporaryDirectory(prefix="fascia-bench-") as name:
        folder = Path(name)
        async with standing(folder / "home", say, DOORS, PARTS) as stand:
            if "idle" in rows:  # first: nothing has come yet
                await asyncio.sleep(10)
                keep(await idle.measure(stand, seconds=15 if quick else 60, say=say))
            await mllp.let_in(stand)
            if "against" in rows:
                keep(await mllp.against(stand, folder, cache(), rounds=rounds, seconds=short, say=say))
            if "paced" in rows:
                keep(await mllp.paced(stand, folder, rate=rate, seconds=seconds, say=say))
            if "accept" in rows:
                await stand.rest("worker")  # nothing of a case belongs to this row
                keep(await accept.measure(stand, rounds=rounds, seconds=short / 2, say=say))
