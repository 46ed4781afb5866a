"""Which Temporal server a state folder uses, and how it is started; once chosen, a folder keeps to its kind."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stack import questions, temporal_config
from stack.home import Home, StackError
from stack.part import Part, Ready
from stack.postgres import TEMPORAL_DATABASE, USER, Postgres
from stack.temporal_programs import NoBuild, Programs, Progress, Run, TemporalPrograms
from workers.settings import Settings

NAME = "temporal"
WEB_UI = "temporal_ui"
RECORD = "temporal-store.json"
DOWNLOAD_PATIENCE = 10.0

Kind = Literal["named", "built", "cli"]
KINDS: Mapping[str, str] = {
    "named": "a server named in TEMPORAL_ADDRESS",
    "built": "our own build of the server",
    "cli": "the command-line development server",
}


@dataclass(frozen=True)
class Choice:
    """The server this start will use; ``store`` says where it keeps what must not be lost."""

    kind: Kind
    store: str
    programs: Programs | None = None
    cli: Path | None = None


async def choose(home: Home, named: Settings, postgres: Postgres | None, run: Run, say: Progress) -> Choice:
    """The first server of the order that can be had; refused when the state folder belongs to another kind."""
    choice = await _first_of_order(named, postgres, run, say)
    written = home.read(RECORD)
    if written and (written["kind"], written["store"]) != (choice.kind, choice.store):
        raise StackError(
            f"{home.path} was started with {KINDS[written['kind']]} (store: {written['store']}); this start would use "
            f"{KINDS[choice.kind]} (store: {choice.store}), which does not know its cases. Start with the same server, "
            f"or begin afresh with `fascia up --fresh`, which puts the old state aside."
        )
    return choice


async def _first_of_order(named: Settings, postgres: Postgres | None, run: Run, say: Progress) -> Choice:
    if named.temporal_address:
        return Choice("named", "its own")
    store = "postgresql, visibility sqlite" if postgres else "sqlite"
    own = TemporalPrograms(named.cache, run, say)
    try:
        return Choice("built", store, programs=own.cached() or await own.build())
    except NoBuild as error:
        say(f"Temporal cannot be built here: {error}")
        reason = str(error)
    if (found := shutil.which("temporal")) is not None:
        return Choice("cli", "sqlite", cli=Path(found))
    say(f"no `temporal` on PATH; trying the SDK's download for {DOWNLOAD_PATIENCE:.0f} s")
    return Choice("cli", "sqlite", cli=await _download(named.cache, reason))


async def _download(cache: Path, no_build: str) -> Path:
    """The server the SDK's test environment downloads, kept in our cache."""
    from temporalio.testing import WorkflowEnvironment

    folder = cache / "temporal-cli"
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        with tempfile.TemporaryDirectory(dir=cache) as fetched:
            try:
                async with asyncio.timeout(DOWNLOAD_PATIENCE):
                    started = await WorkflowEnvironment.start_local(download_dest_dir=fetched)
                await started.shutdown()
            except (TimeoutError, RuntimeError) as error:
                raise StackError(
                    f"no Temporal server: it cannot be built ({no_build}), there is no `temporal` on PATH, and the SDK's "
                    f"download did not come within {DOWNLOAD_PATIENCE:.0f} s ({error or 'no answer'}). "
                    "Name a server in TEMPORAL_ADDRESS."
                ) from error
            for file in Path(fetched).iterdir():
                shutil.move(file, folder / file.name)
    program = next(iter(sorted(folder.iterdir())))
    program.chmod(0o755)
    return program


class LocalTemporal:
    """The Temporal server we run ourselves, its schema, and its Web UI."""

    def __init__(
        self,
        home: Home,
        choice: Choice,
        named: Settings,
        postgres: Postgres | None,
        *,
        time_skipping: bool,
        switches: Mapping[str, Any] | None = None,
    ) -> None:
        self._home = home
        self._choice = choice
        self._postgres = postgres
        self._switches = temporal_config.dynamic(time_skipping=time_skipping) | dict(switches or {})
        self._namespace = named.temporal_namespace
        self._folder = home.folder("temporal")
        self.port = home.port("temporal", named.temporal_port)
        self.web_ui_port = home.port("temporal_ui", named.temporal_ui_port)

    @property
    def address(self) -> str:
        return f"{temporal_config.LOOPBACK}:{self.port}"

    @property
    def web_ui_url(self) -> str:
        return f"http://{temporal_config.LOOPBACK}:{self.web_ui_port}"

    def schema(self) -> list[Part]:
        """The commands that make the default store's tables and bring them up to the server's version; safe to repeat."""
        if self._choice.programs is None or self._postgres is None:
            return []
        base = (
            self._choice.programs.sql,
            "--plugin=postgres12_pgx",
            f"--ep={temporal_config.LOOPBACK}",
            f"--port={self._postgres.port}",
            f"--user={USER}",
            f"--db={TEMPORAL_DATABASE}",
        )
        # The tool reads the password from the environment, where other users of the machine do not see it.
        secret = {"SQL_PASSWORD": self._postgres.password}
        begin = Part(name="temporal-schema", argv=(*base, "setup-schema", "--version", "0.0"), env=secret)
        update = replace(begin, argv=(*base, "update-schema", "--schema-name", "postgresql/v12/temporal"))
        return [begin, update]

    def parts(self, settings: Settings) -> list[Part]:
        """The server, and its Web UI where that is a program of its own; ``settings`` already name the address."""
        ready = questions.temporal_answers(settings)
        return [self._from_cli(self._choice.cli, ready)] if self._choice.cli else self._from_build(ready)

    def _from_build(self, ready: Ready) -> list[Part]:
        programs = self._choice.programs
        assert programs is not None
        switches = temporal_config.dynamic_file(self._switches)
        dynamic = temporal_config.write(self._folder / "dynamic.yaml", switches)
        ports = temporal_config.ServerPorts(
            grpc={name: self._grpc_port(name) for name in temporal_config.SERVICES},
            membership={name: self._home.port(f"temporal_{name}_membership") for name in temporal_config.SERVICES},
            http=self._home.port("temporal_http"),
        )
        store = None
        if (postgres := self._postgres) is not None:
            store = temporal_config.PostgresStore(postgres.port, TEMPORAL_DATABASE, USER, postgres.password)
        config = temporal_config.write(
            self._folder / "server.yaml", temporal_config.server(self._folder, ports, store, dynamic)
        )
        web_ui = temporal_config.web_ui(self.address, self.web_ui_port, self._namespace)
        temporal_config.write(self._folder / "ui" / "fascia.yaml", web_ui)
        return [
            self._server((programs.server, "--allow-no-auth", "--config-file", str(config), "start"), ready),
            Part(
                name=WEB_UI,
                argv=(programs.web_ui, "--root", str(self._folder), "--config", "ui", "--env", "fascia", "start"),
                ready=questions.page_answers(self.web_ui_url),
                address=self.web_ui_url,
            ),
        ]

    def _grpc_port(self, service: str) -> int:
        return self.port if service == "frontend" else self._home.port(f"temporal_{service}")

    def _from_cli(self, cli: Path, ready: Ready) -> Part:
        argv = [str(cli), "server", "start-dev", "--ip", temporal_config.LOOPBACK, "--port", str(self.port)]
        argv += ["--ui-ip", temporal_config.LOOPBACK, "--ui-port", str(self.web_ui_port)]
        argv += ["--db-filename", str(self._folder / "cli.db"), "--log-level", "warn"]
        for name, value in self._switches.items():
            argv += ["--dynamic-config-value", f"{name}={json.dumps(value)}"]
        return self._server(tuple(argv), ready)

    def _server(self, argv: tuple[str, ...], ready: Ready) -> Part:
        return Part(name=NAME, argv=argv, ready=ready, env={"GOGC": "400"}, address=self.address, stop_within=4.0)


def record(home: Home, choice: Choice, server: str) -> None:
    """Write down what the folder's cases live in, at the first start that came up."""
    home.write(RECORD, {"kind": choice.kind, "store": choice.store, "server": server})


def check_version(version: str) -> None:
    if not questions.is_new_enough(version):
        needed = ".".join(map(str, questions.OLDEST_TEMPORAL))
        raise StackError(f"the Temporal server is {version}; Fascia needs {needed} or later")
