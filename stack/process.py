"""A running program beside its keeper: started, watched, stopped, killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.home import StackError
from stack.part import Part

KEEPER = Path(__file__).with_name("keeper.py")
SLACK = 3.0  # seconds a keeper may need beyond the program's own time to stop


class Process:
    """One start of a part. A part that is started again gets a new one."""

    def __init__(self, part: Part, keeper: asyncio.subprocess.Process, pid: int) -> None:
        self.part = part
        self.pid = pid
        self._keeper = keeper
        self._gone = asyncio.create_task(self._until_gone(), name=f"{part.name} is watched")

    @classmethod
    async def start(cls, part: Part, log: Path, environment: Mapping[str, str], lock: int | None = None) -> Process:
        spec = {
            "argv": list(part.argv),
            "log": str(log),
            "cwd": str(part.cwd) if part.cwd else None,
            "stop_signal": int(part.stop_signal),
            "stop_within": part.stop_within,
            "stop_whole_group": part.stop_whole_group,
            "user": None
            if part.run_as is None
            else {"uid": part.run_as.uid, "gid": part.run_as.gid, "reach": part.run_as.reach},
        }
        keeper = await asyncio.create_subprocess_exec(
            sys.executable,
            "-S",
            "-E",
            str(KEEPER),
            json.dumps(spec),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **environment, **part.env},
            start_new_session=True,  # Ctrl-C at a terminal reaches the supervisor alone, which stops in order
            pass_fds=() if lock is None else (lock,),
        )
        assert keeper.stdout is not None
        word, _, rest = (await keeper.stdout.readline()).decode().strip().partition(" ")
        if word != "pid":
            await keeper.wait()
            _close(keeper)
            raise StackError(f"{part.name} cannot be started: {rest or f'see {log}'}")
        return cls(part, keeper, int(rest))

    async def _until_gone(self) -> int:
        assert self._keeper.stdout is not None
        code = -signal.SIGKILL  # a keeper that was itself killed takes its program along and says nothing
        async for line in self._keeper.stdout:
            word, _, rest = line.decode().strip().partition(" ")
            if word == "exit":
                code = int(rest)
        await self._keeper.wait()
        _close(self._keeper)  # of a program that ended by itself, nobody has closed the line to its keeper
        return code

    @property
    def running(self) -> bool:
        return not self._gone.done()

    async def wait(self) -> int:
        """Its exit code, negative when a signal ended it."""
        return await asyncio.shield(self._gone)

    async def stop(self) -> int:
        """Ask it to stop, in its own time; the keeper kills what stays."""
        _close(self._keeper)
        try:
            return await asyncio.wait_for(self.wait(), self.part.stop_within + SLACK)
        except TimeoutError:
            raise StackError(f"{self.part.name} (process {self.pid}) does not end, not even killed") from None

    async def kill(self) -> int:
        """SIGKILL, as a crash would end it."""
        if self._keeper.stdin is not None and self.running:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._keeper.stdin.write(b"kill\n")
                await self._keeper.stdin.drain()
        return await self.wait()


def _close(keeper: asyncio.subprocess.Process) -> None:
    if keeper.stdin is not None:
        keeper.stdin.close()
