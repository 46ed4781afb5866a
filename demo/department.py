"""The departments' systems as listeners: each takes what the hospital replies by MLLP, writes it down, and says AA.

``python -m demo.department serve --home HOME --ports OR-SYS=22301,PHARMACY=22302`` serves them until it is told to stop. What a system
heard stands in ``HOME/departments/<CODE>.jsonl``, on disk before it is acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from demo.hl7_plain import NotHl7, Reply, Writer, framed, segments
from demo.hl7_plain import frame as next_frame

HOST = "127.0.0.1"
SITE = "NGH"


@dataclass(frozen=True)
class System:
    """One department's system: the hospital's name for it (a sender of the register), and what it calls itself (MSH-3)."""

    code: str
    application: str

    @property
    def writer(self) -> Writer:
        return Writer(self.application, SITE)


OR_SYSTEM = System("OR-SYS", "ORSYS")
PHARMACY_SYSTEM = System("PHARMACY", "PHARM")
SYSTEMS = {system.code: system for system in (OR_SYSTEM, PHARMACY_SYSTEM)}


def book_file(home: Path, code: str) -> Path:
    """Where a system writes down what it heard, a line of JSON each."""
    return home / "departments" / f"{code}.jsonl"


def heard(home: Path, code: str) -> list[Reply]:
    """Every reply a system heard, in order; one that came again stands there again."""
    path = book_file(home, code)
    if not path.exists():
        return []
    texts = [json.loads(row)["text"] for row in path.read_text(encoding="utf-8").splitlines() if row.endswith("}")]
    return [Reply.read(text) for text in texts if segments(text, "MSA")]


def write_down(path: Path, text: str) -> None:
    """On disk before anybody is told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": text}) + "\n")
        file.flush()
        os.fsync(file.fileno())


async def listen(home: Path, system: System, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: every message is written down, then acknowledged."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, NotHl7):
        while True:
            text = await next_frame(reader)
            write_down(book_file(home, system.code), text)
            writer.write(framed(system.writer.acknowledge(text)))
            await writer.drain()
    writer.close()


async def serve(home: Path, ports: dict[str, int]) -> None:
    """Listen for every system until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = []
    for code, port in ports.items():
        servers.append(await asyncio.start_server(partial(listen, home, SYSTEMS[code]), HOST, port))
        sys.stdout.write(f"{code} listens on mllp://{HOST}:{port}\n")
        sys.stdout.flush()
    await stop.wait()
    for server in servers:
        server.close()


def _ports(text: str) -> dict[str, int]:
    pairs = (pair.split("=") for pair in text.split(","))
    return {code: int(port) for code, port in pairs}


def main(arguments: list[str] | None = None) -> int:
    """The command line of the departments' listeners."""
    parser = argparse.ArgumentParser(prog="python -m demo.department", description=__doc__)
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("FASCIA_HOME") or ".fascia"))
    parser.add_argument("--ports", type=_ports, required=True, help="OR-SYS=22301,PHARMACY=22302")
    chosen = parser.parse_args(arguments)
    asyncio.run(serve(chosen.home.expanduser().absolute(), chosen.ports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
