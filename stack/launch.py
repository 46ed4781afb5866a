"""Starting the local stack beside the caller, and ending it: what ``fascia up`` and ``fascia down`` do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stack import control
from stack.held import News
from stack.home import Home, Lock, StackError

Tell = Callable[[News], None]

FIRST_WORD = 15.0  # seconds a supervisor may take until it answers
LAST_WORD = 30.0


def up(home: Home, tell: Tell) -> dict[str, Any]:
    """Start a supervisor of its own session, follow it until the stack is ready, and return its status."""
    if control.is_answering(home):
        raise AlreadyRunning(home)
    log = home.log("supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "stack", "supervise"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "FASCIA_HOME": str(home.path)},
            start_new_session=True,
        )
    _until_it_answers(home, supervisor)
    failed = f"the supervisor ended before the stack was ready; see {log}"
    for news in control.follow(home):
        if news.kind == "failed":
            failed = news.text  # it stops what it had started; we stay until it has
            continue
        tell(news)
        if news.kind == "ready":
            return control.ask(home, "status")
    raise StackError(failed)


def set_aside(home: Home) -> Path | None:
    """Put the old state away for a fresh start; refused while anything of the stack still runs."""
    lock = Lock(home)
    try:
        if not lock.take():
            raise StackError(f"parts of the stack in {home.path} still run: stop it first, or wait some seconds")
        return home.set_aside()
    finally:
        lock.release()


class AlreadyRunning(StackError):
    """A second start of a running stack: nothing to do."""

    def __init__(self, home: Home) -> None:
        super().__init__(f"a stack runs already in {home.path}")


def _until_it_answers(home: Home, supervisor: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + FIRST_WORD + 15.0
    while not control.is_answering(home):
        if supervisor.poll() is not None or time.monotonic() > deadline:
            said = "\n".join(home.log_tail("supervisor", 3))
            raise StackError(said or f"the supervisor did not start; see {home.log('supervisor')}")
        time.sleep(0.1)


def down(home: Home) -> None:
    """Ask the supervisor to stop everything, and wait until it has."""
    answer = control.ask(home, "down")
    deadline = time.monotonic() + LAST_WORD
    while _exists(int(answer["pid"])):
        if time.monotonic() > deadline:
            raise StackError(f"the supervisor (process {answer['pid']}) is still stopping after {LAST_WORD:.0f} s")
        time.sleep(0.1)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _state(pid) != "Z"


def _state(pid: int) -> str:
    """A supervisor whose parent does not wait for it stays listed as a zombie, which is as good as gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "?"
