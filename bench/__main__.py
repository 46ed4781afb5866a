"""``make bench``: measures the platform on this machine and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import gateway, machine, monthly, preview, probing, recall, report, starts, tryton, usage, usual, year
from bench.figures import Found, Measured
from bench.stand import Stand, standing

REPORT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PARTS = ("probe", "usual", "usage", "year", "gateway", "tryton", "starts", "preview", "recall", "monthly")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


Keep = Callable[..., None]


@dataclass(frozen=True)
class Played:
    """How much of a year is played, at most; in a folder of its own where a later playing is to go on with it."""

    days: int
    minutes: float
    home: Path | None


async def measure(parts: Sequence[str], keep: Keep, *, rounds: int, quick: bool, played: Played) -> None:
    """Measure these parts, one after the other; ``keep`` what each found at once, so that a later failure loses nothing."""
    with tempfile.TemporaryDirectory(prefix="fascia-bench-") as folder:
        if "probe" in parts or "usual" in parts:
            async with standing(Path(folder) / "home", say) as stand:
                keep(machine=await machine.described(stand))
                if "probe" in parts:
                    await _probe(stand, keep, rounds=rounds, quick=quick)
                if "usual" in parts:
                    await stand.serve("usual", "fascia")
                    keep(await usual.measure(stand, rounds=rounds, many=8 if quick else 24, callers=8, say=say))
        if "usage" in parts:
            async with standing(Path(folder) / "used", say, parts=usage.PARTS) as stand:
                await usage.measure(stand, keep, quick=quick, say=say)
        if "year" in parts:
            async with standing((played.home or Path(folder) / "year").absolute(), say, parts=usage.PARTS) as stand:
                keep(await year.measure(stand, days=played.days, minutes=played.minutes, say=say))
        if "starts" in parts:
            keep(*await starts.measure(Path(folder) / "starts", rounds=1 if quick else 3, say=say))
        if "preview" in parts:
            keep(await preview.measure(rounds=1 if quick else 3, say=say))
        if "recall" in parts:
            keep(*await recall.measure(rounds=1 if quick else 3, say=say))
        if "monthly" in parts:
            keep(*await monthly.measure(rounds=1 if quick else 3, say=say))
        if "tryton" in parts:
            keep(*await tryton.measure(Path(folder) / "demo", rounds=1 if quick else 3, many=4, say=say))


async def _probe(stand: Stand, keep: Keep, *, rounds: int, quick: bool) -> None:
    await stand.serve("bare", "bench_bare")
    await stand.serve("probe", "fascia")
    for callers, many in ((16, 32 if quick else 96), (1, 4 if quick else 16)):
        keep(await probing.compare(stand, rounds=rounds, many=many, callers=callers, say=say))
    await stand.rest("probe")
    await stand.rest("bare")


async def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few and short rounds: to see that it works")
    parser.add_argument("--rounds", type=int, help="rounds of each side")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="measure this part; the others stay as they were"
    )
    parser.add_argument("--rows", choices=gateway.ROWS, action="append", help="of the gateway measure these rows")
    parser.add_argument("--rate", type=float, default=2000, help="messages a second the gateway is sent")
    parser.add_argument("--seconds", type=float, help="how long it is sent them; 600")
    parser.add_argument("--days", type=int, help="days of a location's year that are played; 365")
    parser.add_argument("--minutes", type=float, default=45, help="after which no further day of it is begun; 45")
    parser.add_argument("--year", type=Path, help="a folder that keeps the played year, so that it can be gone on with")
    parser.add_argument("--report", type=Path, default=REPORT, help="where to write it")
    given = parser.parse_args(arguments)
    rounds = given.rounds or (2 if given.quick else 9)
    found = report.last(given.report) or Found(machine={})

    def keep(*parts: Measured, machine: Mapping[str, str] | None = None) -> None:
        nonlocal found
        found = found.with_parts(*parts).model_copy(update={"machine": machine or found.machine})
        report.keep(found, given.report)

    say(f"load before: {' '.join(f'{value:.1f}' for value in os.getloadavg())}")
    parts = given.only or (("gateway",) if given.rows else PARTS)
    played = Played(given.days or (2 if given.quick else year.YEAR), given.minutes, given.year)
    await measure(parts, keep, rounds=rounds, quick=given.quick, played=played)
    if "gateway" in parts:
        seconds = given.seconds or (20 if given.quick else 600)
        rows, few = given.rows or gateway.ROWS, min(rounds, 5)
        await gateway.measure(rows, keep, rounds=few, rate=given.rate, seconds=seconds, quick=given.quick, say=say)
    print("\n".join(report.lines(found)))
    say(f"written: {given.report}")
    return 0


if __name__ == "__main__":
    code = asyncio.run(main())
    sys.stdout.flush()
    os._exit(code)  # Temporal's SDK threads sometimes crash the interpreter while it shuts down; all is done
