"""What the gateway costs: ``python -m bench.gateway`` (also a part of ``python -m bench``)."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import mllp
from bench.figures import Measured
from bench.stand import standing

PARTS = ("database", "temporal", "worker", "loops", "api", "mllp")


def cache() -> Path:
    """Where what was fetched for a measurement is kept."""
    named = os.environ.get("FASCIA_CACHE")
    return Path(named) if named else Path("~/.cache/fascia").expanduser()


async def measure(which: Sequence[str], keep: Callable[..., None], *, rate: float, seconds: float, rounds: int, say: Callable[[str], None]) -> None:
    """Measure these rows of the gateway."""
    with tempfile.TemporaryDirectory(prefix="fascia-bench-") as name:
        folder = Path(name)
        async with standing(folder / "home", say, parts=PARTS) as stand:
            await mllp.let_in(stand)
            if "against" in which:
                keep(await mllp.against(stand, folder, cache(), rounds=rounds, seconds=10, say=say))
            if "paced" in which:
                keep(await mllp.paced(stand, folder, rate=rate, seconds=seconds, say=say))

async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--rounds", type=int, default=1)
    g = parser.parse_args()
    def keep(x: Measured) -> None:
        print(x.model_dump_json(indent=1))
    await measure(g.only or ("paced",), keep, rate=g.rate, seconds=g.seconds, rounds=g.rounds, say=lambda t: print(t, file=sys.stderr))

if __name__ == "__main__":
    asyncio.run(main())
