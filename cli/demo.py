"""``fascia demo``: start the hospital in a box, a program of its own, and end as it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from cli.exits import Exit

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_to(root: typer.Typer) -> None:
    """Make ``demo`` a command of the root. Its output is the demo's own."""

    @root.command(
        "demo", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, rich_help_panel=None
    )
    def demo(
        context: typer.Context,
        once: Annotated[bool, typer.Option("--once", help="Play the story, check every case, stop.")] = False,
    ) -> None:
        """Start everything with real peers (ERP, partner mailboxes), play the story and stay up until Ctrl-C."""
        raise typer.Exit(run([sys.executable, "-m", "demo", *(["--once"] if once else []), *context.args]))


def run(program: Sequence[str]) -> int:
    """Run a program in our place: signals go on to it, its ending is ours."""
    with subprocess.Popen(list(program)) as child, _forwarding(child):
        ending = child.wait()
    if ending == -signal.SIGINT:
        return Exit.INTERRUPTED
    return 128 - ending if ending < 0 else ending


@contextmanager
def _forwarding(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """A terminal sends Ctrl-C to both of us, a supervisor to us alone: the child hears each signal once from us.

    At a terminal the child is in our process group and has heard SIGINT already, so only we must not die of it.
    """

    def forward(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and sys.stdin.isatty():
            return
        if child.poll() is None:
            child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
