"""The state folder of one local stack: its addresses, ports, secrets, logs, and the lock that only one supervisor holds."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import secrets
import socket
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from workers.settings import ADDRESSES, SECRETS

PORTS: Final = range(20000, 32000)  # below the range the kernel hands out to outgoing connections
LONGEST_SOCKET_PATH: Final = 100  # the kernel takes 108 bytes


class StackError(Exception):
    """The local stack cannot do what was asked; the text says what to do about it."""


class Home:
    """One state folder; two folders are two stacks, side by side on one machine."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    def prepare(self) -> None:
        """Make the folder and what must be in it before anything starts."""
        self.path.mkdir(parents=True, exist_ok=True)
        for private in (SECRETS, "temporal"):
            self.folder(private).chmod(0o700)
        self.folder("logs")
        for name in ("seal_key", "database_password"):
            self.make_secret(name)

    def folder(self, name: str) -> Path:
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, part: str) -> Path:
        return self.path / "logs" / f"{part}.log"

    def log_tail(self, part: str, lines: int = 8) -> list[str]:
        """The last lines a part wrote, to show beside the news that it died."""
        path = self.log(part)
        if not path.exists():
            return []
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8192))
            return log.read().decode(errors="replace").splitlines()[-lines:]

    # Secrets: made here at run time, readable by their owner alone, never in a file of addresses.

    def secret_path(self, name: str) -> Path:
        return self.path / SECRETS / name

    def make_secret(self, name: str, value: str | None = None) -> str:
        """The secret ``name``, made up at the first asking unless ``value`` gives it."""
        path = self.secret_path(name)
        if value is None and path.exists():
            return path.read_text(encoding="utf-8").strip()
        made = value or secrets.token_urlsafe(32)
        self._write(path, made + "\n", mode=0o600)
        return made

    # Small files of facts.

    def read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        self._write(self.path / name, json.dumps(content, indent=2, sort_keys=True) + "\n", mode=0o644)

    def write_addresses(self, addresses: Mapping[str, str]) -> None:
        self.write(ADDRESSES, addresses)

    @staticmethod
    def _write(path: Path, text: str, *, mode: int) -> None:
        """Write whole or not at all: a reader never sees half a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        unfinished.replace(path)

    # Ports: free ones, the same at every start while they stay free.

    def port(self, name: str, named: int | None = None) -> int:
        """The port of ``name``: the one the settings name, else the remembered one, else a free one, remembered."""
        remembered = self.read("ports.json")
        if named is not None:
            if not is_free(named):
                raise StackError(f"port {named} for {name} is taken by another program: free it or name another")
            port = named
        else:
            port = remembered.get(name) or 0
            if not port or not is_free(port):
                port = free_port(taken=set(remembered.values()))
        if remembered.get(name) != port:
            self.write("ports.json", remembered | {name: port})
        return port

    @property
    def control_socket(self) -> Path:
        """Where a running supervisor listens; in a short private folder when the state folder's path is too long."""
        path = self.path / "control.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        key = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"fascia-{os.getuid()}" / f"{key}.sock"

    def set_aside(self) -> Path | None:
        """Move databases and addresses away, so that the next start begins with nothing; secrets and logs stay."""
        found = [
            self.path / name
            for name in ("postgres", "temporal", "temporal-store.json", ADDRESSES, "ports.json")
            if (self.path / name).exists()
        ]
        if not found:
            return None
        aside = self.folder("old") / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        aside.mkdir()
        for path in found:
            path.rename(aside / path.name)
        return aside


class Lock:
    """Held by the supervisor and, through them, by its keepers: free again only when nothing of the stack runs."""

    def __init__(self, home: Home) -> None:
        home.path.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(home.path / "stack.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        os.close(self.descriptor)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(taken: set[int]) -> int:
    for _ in range(1000):
        port = random.choice(PORTS)  # noqa: S311 a port is no secret
        if port not in taken and is_free(port):
            return port
    raise StackError("no free port found between 20000 and 32000")
