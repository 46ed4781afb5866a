"""One part under supervision: started, asked whether it is ready, started again when it dies, stopped for good."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from stack.home import Home, StackError
from stack.part import Part
from stack.process import Process

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
SETTLED = 60.0  # a part that ran this long starts its next pause from the beginning
A_MOMENT = 0.5  # what a part without a sign of readiness must survive
ASK_AGAIN = 0.1

State = Literal["starting", "ready", "dead", "stopped"]


@dataclass(frozen=True)
class News:
    """One line about the stack, as people read it while it works."""

    kind: Literal["progress", "started", "died", "again", "stopped", "note", "ready", "failed"]
    part: str
    text: str

    @property
    def step(self) -> str:
        """What is being done; how far it is follows a colon."""
        return self.text.partition(": ")[0]

    @property
    def goes_on(self) -> bool:
        """Whether it says how far a long step is."""
        return self.kind == "progress" and self.step != self.text


class Held:
    """A part, the process it runs in now, and the watch over it."""

    def __init__(
        self, part: Part, home: Home, environment: Mapping[str, str], lock: int | None, tell: Callable[[News], None]
    ) -> None:
        self.part = part
        self.state: State = "stopped"
        self.restarts = 0
        self.process: Process | None = None
        self._home = home
        self._environment = environment
        self._lock = lock
        self._tell = tell
        self._ready = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.running else None

    async def start(self) -> None:
        """Start it and wait until it is ready; a part that dies before that is an error."""
        if self._watch is not None:
            raise StackError(f"{self.part.name} runs already")
        await self._begin()
        try:
            await self._until_ready()
        except BaseException:
            await self._end()
            raise
        self._watch = asyncio.create_task(self._start_again_when_dead(), name=f"{self.part.name} is kept")

    async def stop(self) -> None:
        """Stop it, and leave it stopped."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._end()

    async def kill(self) -> None:
        """End it as a crash would; the watch finds it dead and starts it again."""
        if self.process is None or not self.process.running:
            raise StackError(f"{self.part.name} does not run")
        self._ready.clear()
        await self.process.kill()

    async def ready(self) -> None:
        """Wait until it is ready, also through a death and a new start."""
        await asyncio.wait_for(self._ready.wait(), self.part.ready_within)

    async def _begin(self) -> None:
        self.state = "starting"
        self._ready.clear()
        log = self._home.log(self.part.name)
        self.process = await Process.start(self.part, log, self._environment, self._lock)

    async def _end(self) -> None:
        self._ready.clear()
        if self.process is not None:
            await self.process.stop()
        self.state = "stopped"

    async def _until_ready(self) -> None:
        assert self.process is not None
        waiting = asyncio.create_task(self._asked_until_ready())
        gone = asyncio.create_task(self.process.wait())
        try:
            await asyncio.wait({waiting, gone}, timeout=self.part.ready_within, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise StackError(f"{self.part.name} {ended(gone.result())} before it was ready\n{self._last_words()}")
            if not waiting.done():
                raise StackError(
                    f"{self.part.name} is not ready after {self.part.ready_within:.0f} s\n{self._last_words()}"
                )
            waiting.result()
        finally:
            for task in (waiting, gone):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self.state = "ready"
        self._ready.set()

    async def _asked_until_ready(self) -> None:
        if self.part.ready is None:
            await asyncio.sleep(A_MOMENT)
            return
        while not await self.part.ready():  # noqa: ASYNC110 another program cannot set our event
            await asyncio.sleep(ASK_AGAIN)

    async def _start_again_when_dead(self) -> None:
        pause = FIRST_PAUSE
        while True:
            assert self.process is not None
            began = time.monotonic()
            code = await self.process.wait()
            self.state = "dead"
            self._ready.clear()
            if time.monotonic() - began > SETTLED:
                pause = FIRST_PAUSE
            name = self.part.name
            what = f"starting it again in {pause:.1f} s" if self.part.starts_again else "it is not started again"
            self._tell(News("died", name, f"{name} {ended(code)}; {what}\n{self._last_words()}"))
            if not self.part.starts_again:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            await self._again()

    async def _again(self) -> None:
        name = self.part.name
        self.restarts += 1
        try:
            await self._begin()
            await self._until_ready()
        except StackError as error:
            self._tell(News("died", name, str(error)))
            if self.process is not None and self.process.running:
                await self.process.stop()
            return
        self._tell(News("again", name, f"{name} runs again (process {self.pid})"))

    def _last_words(self) -> str:
        lines = self._home.log_tail(self.part.name)
        return "\n".join(f"    {line}" for line in lines) + f"\n    (log: {self._home.log(self.part.name)})"


def ended(code: int) -> str:
    """How a program ended, in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
