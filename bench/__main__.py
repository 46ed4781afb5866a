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

from bench import (
    gateway,
    machine,
    monthly,
    open_cases,
    preview,
    probing,
    recall,
    report,
    revocations,
    starts,
    tryton,
    usage,
    usual,
    working_life,
    year,
)
from bench.clinicians import clinic
from bench.figures import Found, Measured
from bench.stand import Stand, standing

REPORT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
QUICK_STAFF, OPENED_A_MINUTE = 20, 30  # people; at 1.35 a second it is 81 on a machine of two cores
LIFE = 30.0  # minutes: a clinician's year takes some ten
PARTS = (
    "probe",
    "usual",
    "usage",
    "year",
    "gateway",
    "tryton",
    "starts",
    "preview",
    "recall",
    "monthly",
    "people",
    "cases",
    "revocations",
)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


Keep = Callable[..., None]


@dataclass(frozen=True)
class Played:
    """How much of a year is played, at most; in a folder of its own where a later playing is to go on with it."""

    days: int
    minutes: float | None
    home: Path | None


@dataclass(frozen=True)
class Staff:
    """How many clinicians' cases are open, for how long at most they are opened, and where they are kept for a later measurement."""

    people: int
    minutes: float
    home: Path | None


async def measure(parts: Sequence[str], keep: Keep, *, rounds: int, quick: bool, played: Played, staff: Staff) -> None:
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
                keep(await year.measure(stand, days=played.days, minutes=played.minutes or 45, say=say))
        if "starts" in parts:
            keep(*await starts.measure(Path(folder) / "starts", rounds=1 if quick else 3, say=say))
        if "preview" in parts:
            keep(await preview.measure(rounds=1 if quick else 3, say=say))
        if "recall" in parts:
            keep(*await recall.measure(rounds=1 if quick else 3, say=say))
        if "monthly" in parts:
            keep(*await monthly.measure(rounds=1 if quick else 3, say=say))
        if {"people", "cases", "revocations"} & set(parts):
            await _people(parts, keep, Path(folder), quick=quick, played=played, staff=staff)
        if "tryton" in parts:
            keep(*await tryton.measure(Path(folder) / "demo", rounds=1 if quick else 3, many=4, say=say))


async def _people(parts: Sequence[str], keep: Keep, folder: Path, *, quick: bool, played: Played, staff: Staff) -> None:
    """What is measured of clinicians' cases."""
    if "people" in parts:
        home = folder / "life"
        async with clinic(home, say, books=10, time_skipping=True) as one:
            minutes = played.minutes or LIFE
            keep(await working_life.measure(one, home / "board", days=played.days, minutes=minutes, say=say))
    if "cases" in parts or "revocations" in parts:
        async with clinic((staff.home or folder / "clinic").absolute(), say, far="revocations" in parts) as one:
            if "cases" in parts:
                idle = 10.0 if quick else 30.0
                keep(await open_cases.measure(one, people=staff.people, minutes=staff.minutes, idle=idle, say=say))
            if "revocations" in parts:
                await revocations.measure(one, keep, active=staff.people, quick=quick, say=say)


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
    parser.add_argument("--days", type=int, help="days of a location's or a clinician's year that are played; 365")
    parser.add_argument(
        "--minutes", type=float, help="after which no further day of it is begun; 45, of a clinician's 30"
    )
    parser.add_argument("--staff", type=int, help="clinicians whose cases are open; 1000")
    parser.add_argument(
        "--opening", type=float, help="minutes after which no further case is opened; one for 30 people, and ten more"
    )
    parser.add_argument(
        "--clinic", type=Path, help="a folder that keeps the open cases, so that it can be gone on with"
    )
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
    people = given.staff or (QUICK_STAFF if given.quick else 1000)
    staff = Staff(people, given.opening or people / OPENED_A_MINUTE + 10, given.clinic)
    await measure(parts, keep, rounds=rounds, quick=given.quick, played=played, staff=staff)
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
