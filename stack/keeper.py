"""Keeps one program running for the supervisor, and never lets it outlive the supervisor.

The supervisor holds the other end of our standard input. When that end closes, however it came to close (an orderly stop,
a crash, SIGKILL), the program's whole process group is asked to stop and then killed. What happens is told on standard
output, one line each: ``pid N`` once it runs, ``exit N`` when it is gone. Only the standard library is imported, because
one keeper stands beside every part.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
KILL = b"kill"
ROTATE_AT = 20 * 1024 * 1024


class Keeper:
    """One program, its log, and how to end it."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._stop_signal = signal.Signals(spec["stop_signal"])
        self._stop_within = float(spec["stop_within"])
        self._whole_group = bool(spec["stop_whole_group"])
        self._deadline: float | None = None
        wake_read, self._wake_write = os.pipe()
        self._wake_read = wake_read
        for end in (wake_read, self._wake_write):
            os.set_blocking(end, False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop below
        signal.signal(signal.SIGTERM, lambda *_: self._begin_stop())
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._child = self._spawn(spec)

    def _spawn(self, spec: dict[str, Any]) -> subprocess.Popen[bytes]:
        user = spec["user"]
        libc = ctypes.CDLL(None)

        def before_exec() -> None:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # we ignore it; the program must not inherit that
            if user is not None:
                become(int(user["uid"]), int(user["gid"]), reach=bool(user["reach"]))
            if sys.platform == "linux":
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # last: a change of user clears it

        log = open_log(Path(spec["log"]))
        with log:
            return subprocess.Popen(
                spec["argv"],
                cwd=spec["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=before_exec,  # noqa: PLW1509 there are no threads here
            )

    def run(self) -> None:
        """Watch the program and the supervisor until the program is gone."""
        say(f"pid {self._child.pid}")
        watched = [0, self._wake_read]
        while self._child.poll() is None:
            wait = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            ready, _, _ = select.select(watched, [], [], wait)
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            if 0 in ready:
                word = heard()
                if KILL in word:
                    self._signal(signal.SIGKILL, whole_group=True)
                else:
                    self._begin_stop()
                    if not word:
                        watched.remove(0)
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._signal(signal.SIGKILL, whole_group=True)
        self._signal(signal.SIGKILL, whole_group=True)  # whatever of its group is left
        say(f"exit {self._child.returncode}")

    def _begin_stop(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._stop_within
            self._signal(self._stop_signal, whole_group=self._whole_group)

    def _signal(self, number: signal.Signals, *, whole_group: bool) -> None:
        with contextlib.suppress(ProcessLookupError):
            if whole_group:
                os.killpg(self._child.pid, number)
            elif self._child.returncode is None:
                os.kill(self._child.pid, number)


def open_log(path: Path) -> Any:
    """The program's log, opened to append; a long one is put aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > ROTATE_AT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab", buffering=0)


def become(uid: int, gid: int, *, reach: bool) -> None:
    """Drop from root to an ordinary user; with ``reach``, keep the right to walk through folders closed to that user.

    PostgreSQL refuses to run as root, and a state folder below ``/root`` or a private temporary folder is closed to
    anybody else. Keeping one capability leaves the permissions of those folders alone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if reach:
        _check(libc.prctl(8, 1, 0, 0, 0))  # PR_SET_KEEPCAPS, through the change of user below
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if reach:
        _keep_one_capability(libc)


def _keep_one_capability(libc: Any) -> None:
    """CAP_DAC_READ_SEARCH (2) where root has it, else CAP_DAC_OVERRIDE (1), as plain containers give it."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _check(libc.capget(header, data))
    permitted = data[1]
    capability = next((number for number in (2, 1) if permitted >> number & 1), None)
    if capability is None:
        raise PermissionError("root without CAP_DAC_OVERRIDE cannot give PostgreSQL a way into this folder")
    mask = 1 << capability
    kept = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    _check(libc.capset(header, kept))
    _check(libc.prctl(47, 2, capability, 0, 0))  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE: survives exec


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def heard() -> bytes:
    """A word of the supervisor; nothing when it is gone, in whatever way."""
    try:
        return os.read(0, 4096)
    except OSError:
        return b""


def say(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the supervisor is gone; ending the program goes on
        os.write(1, line.encode() + b"\n")


def main() -> None:
    try:
        keeper = Keeper(json.loads(sys.argv[1]))
    except (OSError, subprocess.SubprocessError) as error:
        say(f"refused {error}")
        sys.exit(1)
    keeper.run()


if __name__ == "__main__":
    main()
