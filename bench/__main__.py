"""``make bench``: measures the platform on this machine and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import machine, probing, report, starts, tryton, usual
from bench.figures import Found, Measured
from bench.stand import standing

REPORT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PARTS = ("probe", "usual", "tryton", "starts")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def measure(parts: Sequence[str], before: Found, *, rounds: int, quick: bool) -> Found:
    """Measure these parts, one after the other, each on a platform of its own."""
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="fascia-bench-") as folder:
        async with standing(Path(folder) / "home", say) as stand:
            described = await machine.described(stand)
            if "probe" in parts:
                await stand.serve("bare", "bench_bare")
                await stand.serve("probe", "fascia")
                for callers, many in ((16, 32 if quick else 96), (1, 4 if quick else 16)):
                    found.append(await probing.compare(stand, rounds=rounds, many=many, callers=callers, say=say))
                await stand.rest("probe")
                await stand.rest("bare")
            if "usual" in parts:
                await stand.serve("usual", "fascia")
                found.append(await usual.measure(stand, rounds=rounds, many=8 if quick else 24, callers=8, say=say))
        if "tryton" in parts:
            found += await tryton.measure(Path(folder) / "demo", rounds=1 if quick else 3, many=4, say=say)
        if "starts" in parts:
            found += await starts.measure(Path(folder) / "starts", rounds=1 if quick else 3, say=say)
    return before.model_copy(update={"machine": described}).with_parts(*found)


async def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few and short rounds: to see that it works")
    parser.add_argument("--rounds", type=int, help="rounds of each side")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="measure this part; the others stay as they were"
    )
    parser.add_argument("--report", type=Path, default=REPORT, help="where to write it")
    given = parser.parse_args(arguments)
    rounds = given.rounds or (2 if given.quick else 9)
    say(f"load before: {' '.join(f'{value:.1f}' for value in os.getloadavg())}")
    found = await measure(
        given.only or PARTS, report.last(given.report) or Found(machine={}), rounds=rounds, quick=given.quick
    )
    report.keep(found, given.report)
    print("\n".join(report.lines(found)))
    say(f"written: {given.report}")
    return 0


if __name__ == "__main__":
    code = asyncio.run(main())
    sys.stdout.flush()
    os._exit(code)  # Temporal's SDK threads sometimes crash the interpreter while it shuts down; all is done
