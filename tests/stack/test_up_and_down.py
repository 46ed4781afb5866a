"""``fascia up`` and ``fascia down`` as a newcomer types them: the whole stack, twice, with a crash in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.stack.test_keeper import is_running, wait_for

pytestmark = pytest.mark.server

EVERY_PART = {"database", "temporal", "temporal_ui", "worker", "revocations", "loops", "api", "mllp"}


def _fascia(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FASCIA_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "cli.app", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def _up(home: Path) -> dict[str, Any]:
    started = _fascia(home, "up", "--json")
    assert started.returncode == 0, started.stderr + started.stdout
    status: dict[str, Any] = json.loads(started.stdout)
    return status


def _processes(status: dict[str, Any]) -> list[int]:
    return [part["pid"] for part in status["parts"].values()]


def test_two_commands_start_and_stop_everything_and_a_crash_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    status = _up(home)
    try:
        assert set(status["parts"]) == EVERY_PART
        assert {part["state"] for part in status["parts"].values()} == {"ready"}

        again = _fascia(home, "up")
        assert again.returncode == 0 and "Running already" in again.stdout
        doctor = json.loads(_fascia(home, "doctor", "--json").stdout)
        states = {check["part"]: check["state"] for check in doctor["checks"]}
        well = ("database", "temporal", "temporal_ui", "api", "workers", "revocations")
        assert {name: states[name] for name in well} == dict.fromkeys(well, "ok")
        assert states["mllp"] == "warn"  # it listens, and nobody is known yet

        supervisor = json.loads((home / "stack.json").read_text(encoding="utf-8"))["pid"]
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not any(is_running(pid) for pid in _processes(status)))

        second = _up(home)
        assert second["addresses"] == status["addresses"]
        addresses = {name: part["address"] for name, part in status["parts"].items()}
        assert {name: part["address"] for name, part in second["parts"].items()} == addresses
        assert addresses["mllp"] == f"mllp://127.0.0.1:{status['addresses']['FASCIA_MLLP_PORT']}"
    finally:
        stopped = _fascia(home, "down")
    assert stopped.returncode == 0 and not any(is_running(pid) for pid in _processes(second))
    assert _fascia(home, "doctor").returncode == 1
