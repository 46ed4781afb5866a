"""``make bench``: measures the platform on this machine and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench import probing
from bench.stand import standing


async def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each side")
    given = parser.parse_args(arguments)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="fascia-bench-") as folder:
        async with standing(Path(folder) / "home", say) as stand:
            await stand.serve("bare", "bench_bare")
            await stand.serve("probe", "fascia")
            found = await probing.compare(stand, rounds=given.rounds, many=100, callers=16, say=say)
    for side, rounds in found.items():
        print(side, rounds[-1])
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
