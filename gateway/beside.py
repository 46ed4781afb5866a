"""Does heavy looking beside the event loop, in a process of its own, so that nobody else at a door waits for it.

A thread is not enough for FHIR: checking holds the interpreter's lock, and a body of 1 MB takes seconds. The process is started when
first needed, works on one thing at a time with less right to the processor than its door, and ends with the pipe to it: it cannot
outlive its door. What crosses the pipe comes from us alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, Final, TypeVar

import structlog

from canonical.errors import Unavailable

SMALL: Final = 8 * 1024  # bytes that are looked at here and now: at most about 20 ms
PATIENCE: Final = 60.0  # seconds for one thing
NICE: Final = 5
_LENGTH: Final = 8  # bytes that say how many follow

R = TypeVar("R")

log = structlog.get_logger(__name__)


class Beside:
    """Where a door's work is done: a little of it in the loop, much of it in the process beside it."""

    def __init__(self, small: int = SMALL, patience: float = PATIENCE) -> None:
        self._small = small
        self._patience = patience
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._closed = False

    async def run(self, size: int, work: Callable[..., R], *given: object) -> R:
        """What ``work`` (a function of a module) gives for ``given``, which is of that many bytes.

        Raises:
            Unavailable: it took too long, or the process ended twice.
            Exception: whatever the work raises.
        """
        if size <= self._small:
            return work(*given)
        message = pickle.dumps((work, given))
        async with self._turn:
            for attempt in (1, 2):
                try:
                    async with asyncio.timeout(self._patience):
                        done, told = await self._asked(message)
                    break
                except TimeoutError:
                    await self._end()
                    raise Unavailable("looking at it took too long", system="door") from None
                except (asyncio.IncompleteReadError, ConnectionError, OSError) as ended:
                    await self._end()
                    log.warning("process beside the door ended", attempt=attempt, error=type(ended).__name__)
                except asyncio.CancelledError:
                    await self._end()  # its answer would be taken for that of the next
                    raise
            else:
                raise Unavailable("it could not be looked at", system="door")
        if not done:
            raise told
        result: R = told
        return result

    async def close(self) -> None:
        """End the process, whatever it is at; nothing more is taken."""
        self._closed = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        async with self._turn:
            await self._end()

    async def _asked(self, message: bytes) -> tuple[bool, Any]:
        if self._closed:
            raise Unavailable("the door closes", system="door")
        process = self._process or await self._start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(len(message).to_bytes(_LENGTH) + message)
        await process.stdin.drain()
        length = int.from_bytes(await process.stdout.readexactly(_LENGTH))
        answer: tuple[bool, Any] = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 of our own process
        return answer

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        paths = os.pathsep.join(path for path in sys.path if path)  # it finds the modules we do
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=pipe, stdout=pipe, env={**os.environ, "PYTHONPATH": paths}
        )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Do what is asked, one thing after the other, until nobody can ask any more."""
    while len(head := asked.read(_LENGTH)) == _LENGTH:
        work, given = pickle.loads(asked.read(int.from_bytes(head)))  # noqa: S301 of our own door
        try:
            data = pickle.dumps((True, work(*given)))
        except Exception as failure:  # whoever asked decides what follows
            data = _failed(failure)
        answers.write(len(data).to_bytes(_LENGTH) + data)
        answers.flush()


def _failed(failure: Exception) -> bytes:
    """What was raised, or that something was, where it does not go through a pipe."""
    try:
        data = pickle.dumps((False, failure))
        pickle.loads(data)  # noqa: S301 just written
    except Exception:
        return pickle.dumps((False, RuntimeError(f"{type(failure).__name__} beside the door")))
    return data


def _main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    os.nice(NICE)
    with contextlib.suppress(KeyboardInterrupt):  # the door ends us
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
