"""Nothing outlives the supervisor, however it ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.home import Home, Lock, StackError
from stack.part import Part
from stack.process import Process

WAITS = "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)\n"
)
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from stack.part import Part
from stack.process import Process

async def main():
    process = await Process.start(Part("family", tuple(sys.argv[2:])), Path(sys.argv[1]), {})
    print(process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_killed_supervisor_leaves_neither_child_nor_grandchild(script: Callable[..., Part], tmp_path: Path) -> None:
    family, log = script("family", FAMILY), tmp_path / "family.log"
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(log), *family.argv], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        wait_for(lambda: log.exists() and log.read_text(encoding="utf-8").strip() != "")
        grandchild = int(log.read_text(encoding="utf-8"))
        assert is_running(child) and is_running(grandchild)
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
    wait_for(lambda: not is_running(child) and not is_running(grandchild))


async def test_a_program_that_does_not_listen_is_killed_in_its_time(
    script: Callable[..., Part], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = await Process.start(script("stubborn", STUBBORN, stop_within=0.5), log, {})
    wait_for(lambda: "deaf" in log.read_text(encoding="utf-8"))
    async with asyncio.timeout(60):  # it would listen never
        assert await process.stop() == -signal.SIGKILL


async def test_a_killed_program_is_told_from_one_that_ended(script: Callable[..., Part], tmp_path: Path) -> None:
    killed = await Process.start(script("waits", WAITS), tmp_path / "waits.log", {})
    assert await killed.kill() == -signal.SIGKILL
    ended = await Process.start(script("ends", "raise SystemExit(3)"), tmp_path / "ends.log", {})
    assert await ended.wait() == 3


async def test_a_stopped_program_hears_its_own_signal(script: Callable[..., Part], tmp_path: Path) -> None:
    log = tmp_path / "log"
    source = (
        "import time\ntry:\n  print('up', flush=True); time.sleep(600)\nexcept KeyboardInterrupt:\n  print('bye')\n"
    )
    process = await Process.start(script("polite", source, stop_signal=signal.SIGINT), log, {})
    wait_for(lambda: "up" in log.read_text(encoding="utf-8"))
    assert await process.stop() == 0
    assert "bye" in log.read_text(encoding="utf-8")


async def test_the_lock_is_free_only_when_the_last_program_is_gone(
    script: Callable[..., Part], tmp_path: Path, home: Home
) -> None:
    crashed, next_start = Lock(home), Lock(home)
    assert crashed.take()
    process = await Process.start(script("waits", WAITS), tmp_path / "log", {}, crashed.descriptor)
    crashed.release()  # the supervisor is gone, its program not yet
    assert not next_start.take()
    await process.kill()
    wait_for(next_start.take)
    next_start.release()


async def test_a_program_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"nothing cannot be started.*No such file"):
        await Process.start(Part("nothing", (str(tmp_path / "missing"),)), tmp_path / "log", {})
