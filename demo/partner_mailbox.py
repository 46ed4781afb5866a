"""A supplier's mailbox: a folder the hospital reaches over SFTP, with what it leaves for the supplier and what waits for it.

``/inbound`` is for the supplier, ``/outbound`` for the hospital. Beside it, out of SFTP's sight, lies a folder of asks, by which the
demonstration tells a supplier to send something now.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INBOUND, OUTBOUND, READ = "inbound", "outbound", ".read"


@dataclass(frozen=True)
class Ask:
    """One wish of the demonstration, as a file."""

    path: Path
    wanted: dict[str, Any]

    def done(self) -> None:
        """It was taken up."""
        self.path.unlink()


class Mailbox:
    """The folders of one supplier. Files appear in them whole or not at all."""

    def __init__(self, home: Path, supplier: str) -> None:
        self.root = home / "partners" / supplier
        self._asks = home / "partners" / ".asks" / supplier
        for folder in (self.root / INBOUND / READ, self.root / OUTBOUND, self._asks):
            folder.mkdir(parents=True, exist_ok=True)

    def waiting(self) -> Iterator[tuple[str, int, bytes]]:
        """What the hospital has put for the supplier, oldest first: name, time stamp, bytes."""
        found = [path for path in (self.root / INBOUND).iterdir() if path.is_file() and not path.name.startswith(".")]
        for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name)):
            yield path.name, path.stat().st_mtime_ns, path.read_bytes()

    def read_and_kept(self, name: str) -> None:
        """Move a file that was read out of the way."""
        kept = self.root / INBOUND / READ / f"{time.time_ns()}_{name}"
        (self.root / INBOUND / name).replace(kept)

    def leave(self, name: str, data: bytes) -> None:
        """Leave something for the hospital."""
        _whole(self.root / OUTBOUND / name, data)

    def asks(self) -> list[Ask]:
        """What the supplier is told to do, oldest first."""
        paths = sorted(self._asks.glob("*.json"))
        return [Ask(path, json.loads(path.read_text(encoding="utf-8"))) for path in paths]

    def ask(self, **wanted: Any) -> None:
        """Tell the supplier to send something now: ``kind`` (856, 810), ``order``."""
        _whole(self._asks / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.json", json.dumps(wanted).encode())


def _whole(path: Path, data: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_bytes(data)
    unfinished.replace(path)
