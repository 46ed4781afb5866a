"""Holds the local stack: starts its parts in order, says at once when one dies and starts it again, stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stack import order
from stack import postgres as pg
from stack.control import ControlSocket, is_answering
from stack.held import Held, News
from stack.home import Home, Lock, StackError
from stack.order import PARTS, Prepare, program_of
from stack.part import Part
from stack.postgres import Postgres
from stack.process import Process
from stack.temporal_programs import Progress
from workers.settings import EnvironmentSettings, Settings

LOCK_PATIENCE: Final = 15.0  # after a crash the last parts need some seconds to go

Say = Callable[[News], None]


class Stack:
    """One running local stack; what ``running`` gives to tests and the demo, and what ``fascia up`` holds."""

    def __init__(
        self,
        home: Path,
        *,
        env: Mapping[str, str] | None = None,
        time_skipping: bool = False,
        switches: Mapping[str, Any] | None = None,
        say: Say | None = None,
    ) -> None:
        self.home = Home(home)
        self.addresses: dict[str, str] = {}
        self.postgres: Postgres | None = None
        self.state = "starting"
        self._env = dict(env or {})
        self.time_skipping, self.switches = time_skipping, switches
        self._say = say
        self._held: dict[str, Held] = {}
        self._lock = Lock(self.home)
        self._told: list[News] = []
        self._followers: set[asyncio.Queue[News | None]] = set()
        self.named = EnvironmentSettings(home=self.home.path, **_as_settings(self._env))
        self._control = ControlSocket(self.home, self._answer, self._follow)
        self.stop_asked = asyncio.Event()

    # What one may ask of a running stack.

    @property
    def settings(self) -> Settings:
        """The settings a program of this stack sees."""
        return Settings(home=self.home.path, **_as_settings(self._env))

    def database_url(self, database: str = pg.OWN_DATABASE, *, scheme: str = "postgresql") -> str:
        """The address of a database of this stack, password included: keep it out of logs and command lines."""
        if self.postgres is None:
            raise StackError("this stack's database was named by FASCIA_DATABASE_URL; it runs none of its own")
        return self.postgres.url(database, scheme=scheme)

    async def create_database(self, name: str, template: str | None = None) -> bool:
        if self.postgres is None:
            raise StackError("this stack runs no database of its own to make another in")
        return await self.postgres.create_database(name, template)

    def port(self, name: str, named: int | None = None) -> int:
        """A free port for a part of yours, the same at every start."""
        return self.home.port(name, named)

    def publish(self, **addresses: str) -> None:
        """Add addresses to what every program of this stack reads as settings, from its next start on."""
        self.addresses |= addresses
        self.home.write_addresses(self.addresses)

    async def add_part(self, part: Part) -> None:
        """Start a part of yours under this supervisor, and wait until it is ready."""
        if part.name in self._held:
            raise StackError(f"{part.name} is a part of this stack already")
        self._held[part.name] = Held(part, self.home, self._environment, self._lock.descriptor, self.tell)
        await self.start(part.name)

    async def start(self, name: str) -> None:
        held = self._part(name)
        began = time.monotonic()
        self.tell(News("progress", name, f"starting {name}"))
        await held.start()
        where = f" at {held.part.address}" if held.part.address else ""
        self.tell(News("started", name, f"{name} runs{where} ({time.monotonic() - began:.1f} s)"))
        self._write_state()

    async def stop(self, name: str) -> None:
        """Stop a part and leave it stopped."""
        await self._part(name).stop()
        self.tell(News("stopped", name, f"{name} stopped"))
        self._write_state()

    async def kill(self, name: str) -> None:
        """SIGKILL a part; the supervisor finds it dead and starts it again."""
        await self._part(name).kill()

    async def restart(self, name: str) -> None:
        await self.stop(name)
        await self.start(name)

    async def ready(self, name: str) -> None:
        """Wait until a part is ready, also when it has died and is being started again."""
        await self._part(name).ready()

    def pid(self, name: str) -> int | None:
        return self._part(name).pid

    @property
    def parts(self) -> Mapping[str, Held]:
        return dict(self._held)

    def _part(self, name: str) -> Held:
        try:
            return self._held[name]
        except KeyError:
            raise StackError(f"this stack has no part {name}; it has {', '.join(self._held)}") from None

    # Starting and stopping the whole.

    async def open(self, parts: Collection[str] = PARTS, prepare: Prepare | None = None) -> None:
        """Start ``parts`` in order; ``prepare`` runs when the database is up, and our own programs start after it."""
        await self._take_lock()
        began = time.monotonic()
        try:
            self.home.prepare()
            self.home.write_addresses({})  # what the last run wrote is not there any more
            await self._control.open()
            await order.start_servers(self, parts, prepare)
            await order.start_ours(self, parts)
        except BaseException as error:
            self.tell(News("failed", "", str(error) or "stopped before everything was ready"))
            await self.close()
            raise
        self.state = "ready"
        self._write_state()
        self.tell(News("ready", "", f"ready after {time.monotonic() - began:.1f} s"))

    async def close(self) -> None:
        """Stop everything, last started first; our own programs together, then what they lean on."""
        self.state = "stopping"
        names = list(reversed(self._held))
        ours = [name for name in names if program_of(name)]
        await asyncio.gather(*(self._stopped(name) for name in ours))
        for name in names:
            if name not in ours:
                await self._stopped(name)
        for queue in self._followers:
            queue.put_nowait(None)
        await self._control.close()
        self.home.write_addresses({})
        (self.home.path / "stack.json").unlink(missing_ok=True)
        self._lock.release()

    async def _stopped(self, name: str) -> None:
        """Stop one part; a part that makes trouble does not keep the others running."""
        try:
            await self._held[name].stop()
        except StackError as error:
            self.tell(News("note", name, f"while stopping: {error}"))
        else:
            self.tell(News("stopped", name, f"{name} stopped"))

    async def _take_lock(self) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE
        while not self._lock.take():
            if await asyncio.to_thread(is_answering, self.home) or time.monotonic() > deadline:
                self._lock.release()
                raise StackError(f"a stack runs already in {self.home.path}: `fascia doctor` says how it is")
            await asyncio.sleep(0.2)

    # Commands run to their end.

    async def run(self, part: Part, told: Progress = lambda _: None) -> None:
        """Run a command to its end, under a keeper as any part; StackError with its last words when it fails."""
        log = self.home.log(part.name)
        process = await Process.start(part, log, self._environment, self._lock.descriptor)
        began = time.monotonic()
        waiting = asyncio.create_task(process.wait())
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=1.0)
                minutes, seconds = divmod(int(time.monotonic() - began), 60)
                told(f"{minutes}:{seconds:02d} {' '.join(self.home.log_tail(part.name, 1))[:80]}")
        except asyncio.CancelledError:
            await process.stop()
            raise
        if waiting.result() != 0:
            words = "\n".join(f"    {line}" for line in self.home.log_tail(part.name))
            raise StackError(f"{part.name} failed ({waiting.result()})\n{words}\n    (log: {log})")

    @property
    def _environment(self) -> dict[str, str]:
        return {**self._env, "FASCIA_HOME": str(self.home.path)}

    # What is said, and to whom.

    def tell(self, news: News) -> None:
        if news.kind != "progress":
            self._told.append(news)
        if news.kind in ("died", "again"):
            self._write_state()
        if self._say is not None:
            self._say(news)
        for queue in self._followers:
            queue.put_nowait(news)

    async def _follow(self) -> AsyncIterator[News]:
        queue: asyncio.Queue[News | None] = asyncio.Queue()
        for news in self._told:
            queue.put_nowait(news)
        self._followers.add(queue)
        try:
            while (told := await queue.get()) is not None:
                yield told
        finally:
            self._followers.discard(queue)

    async def _answer(self, do: str, part: str) -> dict[str, Any]:
        if do in ("start", "stop", "kill", "restart", "ready"):
            await getattr(self, do)(part)
        elif do == "down":
            self.stop_asked.set()
        elif do not in ("ping", "status"):
            raise StackError(f"the supervisor does not know the word {do!r}")
        return self.status()

    def status(self) -> dict[str, Any]:
        """The stack as another program may know it."""
        return {
            "state": self.state,
            "pid": os.getpid(),
            "addresses": self.addresses,
            "parts": {
                name: {
                    "state": held.state,
                    "pid": held.pid,
                    "address": held.part.address,
                    "restarts": held.restarts,
                    "log": str(self.home.log(name)),
                }
                for name, held in self._held.items()
            },
        }

    def _write_state(self) -> None:
        written = self.status() | {"written": datetime.now(UTC).isoformat(timespec="seconds")}
        self.home.write("stack.json", written)


@contextlib.asynccontextmanager
async def running(
    home: Path,
    parts: Collection[str] = PARTS,
    *,
    prepare: Prepare | None = None,
    env: Mapping[str, str] | None = None,
    time_skipping: bool = False,
    switches: Mapping[str, Any] | None = None,
    say: Say | None = None,
) -> AsyncIterator[Stack]:
    """A stack for as long as the block lasts, held by this very process.

    ``prepare`` is called when the database is up, beside the start of Temporal and before our own programs: the place to
    add an ERP with ``add_part`` and to ``publish`` its address. ``env`` reaches every program, as settings of this stack alone;
    ``switches`` the Temporal server we run, beside those it always has.
    """
    stack = Stack(home, env=env, time_skipping=time_skipping, switches=switches, say=say)
    await stack.open(parts, prepare)
    try:
        yield stack
    finally:
        await stack.close()


def _as_settings(env: Mapping[str, str]) -> dict[str, Any]:
    """Environment names as the fields of the settings, for the supervisor's own view of what the programs will see."""
    names = {name: name.removeprefix("FASCIA_").lower() for name in env}
    return {field: env[name] for name, field in names.items() if field in Settings.model_fields and field != "home"}
