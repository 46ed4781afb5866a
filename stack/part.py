"""A part of the local stack: one program, the sign that it is ready, and how it is stopped."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Ready = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class RunAs:
    """The ordinary user a program runs as when we are root; ``reach`` lets it walk through folders closed to it."""

    uid: int
    gid: int
    reach: bool


@dataclass(frozen=True)
class Part:
    """One program the supervisor starts, watches, and starts again when it dies.

    ``ready`` is asked until it answers true; a part without it counts as ready once it has run for a moment.
    ``address`` is what a person may open or connect to, shown in the table of addresses.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Ready | None = None
    ready_within: float = 180.0
    address: str = ""
    run_as: RunAs | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 4.0
    stop_whole_group: bool = False
    starts_again: bool = True


def own_program(*arguments: str) -> tuple[str, ...]:
    """The command line of one of our own programs: ``own_program("-m", "workers", "worker")``."""
    return (sys.executable, *arguments)
