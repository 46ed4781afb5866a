"""The sender of a measurement: ``fascia generate`` as a program of its own, so that what it costs stands apart, and what it says."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from cli.synthetic.ledger import Summary

CONNECTIONS = 20
DISTINCT = 2000  # messages made; the rest are these under numbers of their own, so that the sender costs little


@dataclass(frozen=True)
class Sent:
    """What a sender says of its own work, and the processor time it used, in seconds."""

    summary: Summary
    cpu: float


async def send(port: int, count: int, *, seed: str, rate: float = 0.0, ledger: Path | None = None) -> Sent:
    """Send so many messages of kinds that start no case over 20 connections, one unanswered on each."""
    words = [
        *("generate", "--kind", "no-case", "--count", str(count), "--seed", seed, "--distinct", str(DISTINCT)),
        *("--connections", str(CONNECTIONS), "--to", f"mllp://127.0.0.1:{port}", "--json"),
        *(("--rate", str(rate)) if rate else ()),
        *(("--ledger", str(ledger)) if ledger else ()),
    ]
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.app", *words, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    watched = psutil.Process(program.pid)
    used = 0.0
    said = asyncio.create_task(program.communicate())
    while not said.done():
        try:
            times = watched.cpu_times()
            used = times.user + times.system
        except psutil.Error:
            break
        await asyncio.wait([said], timeout=0.2)
    out, _ = await said
    found = json.loads(out)
    if "error" in found:
        raise RuntimeError(f"the sender ended: {found['error']['message']}")
    return Sent(Summary.model_validate(found), used)


def acknowledged(ledger: Path) -> dict[str, str]:
    """The numbers the sender was told are kept, each with the hash of the bytes it sent."""
    with ledger.open(encoding="utf-8", newline="") as file:
        return {row["control"]: row["sha256"] for row in csv.DictReader(file) if row["answer"] == "AA"}
