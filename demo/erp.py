"""The hospital's own finance and stock system, a real one: Tryton, started here as its IT department would run it.

``python -m demo.erp serve`` runs it in the foreground until it is told to stop; ``prepare`` makes what a first start needs
and ends; ``demo/erp_acts.py`` is what people do in it. The platform knows only its address and a user of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from demo import hr_seed
from demo.erp_database import Postgres
from demo.erp_environment import (
    ErpStartError,
    Say,
    cache_folder,
    content_key,
    make_environment,
    modules,
    one_at_a_time,
    program,
    recipe_key,
    run,
)
from demo.erp_rpc import ErpClient
from demo.erp_seed import USERS, seed
from demo.erp_seed_files import SEED

READY_WITHIN = 180.0
WORKERS, THREADS = 2, 8


def secret_name(user: str, of: str = "erp") -> str:
    """The file in ``<home>/secrets`` that holds a user's password; the platform's own is ``erp_password``, of HR ``hr_password``."""
    return f"{of}_password" if user == "fascia" else f"{of}_{user}_password"


def read_secret(home: Path, user: str, of: str = "erp") -> str:
    """The password of a user of the ERP (or of HR's database beside it), made when it is first asked for."""
    path = home / "secrets" / secret_name(user, of)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    return path.read_text(encoding="utf-8").strip()


@dataclass(frozen=True)
class ErpServer:
    """Where the ERP runs and on which database; ``people`` is HR's own beside it, none where empty."""

    postgres: Postgres
    database: str
    port: int
    people: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What the ERP is told. The database's password stands in the environment only, never on a command line."""
        return self.postgres.environment | {
            "TRYTOND_DATABASE__URI": f"postgresql://{self.postgres.host}:{self.postgres.port}/",
            "TRYTOND_QUEUE__WORKER": "False",
            # Each by name: one that is loaded by its first call refuses that call.
            "TRYTOND_DATABASE_NAMES": ",".join(filter(None, (self.database, self.people))),
            # Invoices are numbered under one lock, taken or failed at once: ten posted side by side try until their turn.
            "TRYTOND_DATABASE__RETRY": "40",
        }

    def command(self, workers: int = WORKERS, threads: int = THREADS) -> list[str]:
        """The program that serves it."""
        return [
            str(program("gunicorn")),
            f"--workers={workers}",
            f"--threads={threads}",
            f"--bind=127.0.0.1:{self.port}",
            "--no-control-socket",
            "--graceful-timeout=3",
            "--log-level=warning",
            "trytond.application:app",
        ]

    def answers(self) -> bool:
        """Whether it answers a call."""
        question = {"id": 1, "method": "common.server.version", "params": []}
        try:
            return httpx.post(f"{self.url}/rpc/", json=question, timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run it while something is done with it."""
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                self.command(workers=1, threads=2), env=os.environ | self.environment, stdout=log, stderr=log
            )
            try:
                give_up = time.monotonic() + READY_WITHIN
                while not self.answers():
                    if process.poll() is not None or time.monotonic() > give_up:
                        log.seek(0)
                        raise ErpStartError("the ERP does not come up:\n" + "".join(log.readlines()[-10:]))
                    time.sleep(0.2)
                yield
            finally:
                process.terminate()
                process.wait(timeout=20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- databases, made once and kept ------------------------------------------------------------------------------------


def _template(postgres: Postgres, say: Say) -> Path:
    """The dump of an empty database with all modules."""
    kept = cache_folder() / f"empty-{recipe_key()}.dump"
    if kept.exists():
        return kept
    say("making the ERP's empty database (about 90 s, once)")
    with _scratch(postgres, "erp_empty") as server:
        _initialise(server, modules())
        postgres.dump(server.database, kept)
    return kept


def _seeded(postgres: Postgres, say: Say) -> Path:
    """The dump of the hospital's database, filled."""
    today = datetime.now(UTC).date()
    code = sorted(Path(__file__).parent.glob("erp_seed*.py"))
    # By the month, since lots that are soon to expire are not so for ever.
    kept = cache_folder() / f"seeded-{content_key(SEED, *code, also=f'{recipe_key()} {today:%Y-%m}')}.dump"
    if kept.exists():
        return kept
    with one_at_a_time("database"):
        if kept.exists():
            return kept
        empty = _template(postgres, say)
        say("filling the ERP with the demonstration hospital (about 10 s, once)")
        with _scratch(postgres, "erp_seed") as server:
            postgres.restore(empty, server.database)
            _fill(server, lambda erp: seed(erp, today))
            postgres.dump(server.database, kept)
    return kept


def _employing(postgres: Postgres, say: Say) -> Path:
    """The dump of HR's own database. Not from the ERP's empty one: its modules would be loaded at every start, five times the work."""
    made_of = (Path(hr_seed.__file__), *(SEED / f"{name}.csv" for name in hr_seed.FILES))
    kept = cache_folder() / f"people-{content_key(*made_of, also=recipe_key())}.dump"
    if kept.exists():
        return kept
    with one_at_a_time("people"):
        if kept.exists():
            return kept
        say("making HR's own database (about 20 s, once)")
        with _scratch(postgres, "hr_seed") as server:
            _initialise(server, hr_seed.MODULES)
            _fill(server, hr_seed.seed)
            postgres.dump(server.database, kept)
    return kept


@contextlib.contextmanager
def _scratch(postgres: Postgres, name: str) -> Iterator[ErpServer]:
    """A database to make something in, taken away afterwards."""
    server = ErpServer(postgres, f"{name}_{os.getpid()}", _free_port())
    try:
        yield server
    finally:
        postgres.drop(server.database)


def _initialise(server: ErpServer, with_modules: Sequence[str]) -> None:
    """Make an empty database with these modules, and those they need."""
    server.postgres.create(server.database)
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(secrets.token_urlsafe(24))
        password.flush()
        command = [str(program("trytond-admin")), "-d", server.database, "--email", "admin@northfield.invalid"]
        env = server.environment | {"TRYTONPASSFILE": password.name}
        run([*command, "-u", *with_modules, "--activate-dependencies"], "making the ERP's database failed", env=env)


def _fill(server: ErpServer, fill: Callable[[ErpClient], None]) -> None:
    """Put into a database what belongs there, and leave nobody a password that works."""
    password = secrets.token_urlsafe(24)
    server.postgres.set_passwords(server.database, {"admin": password})
    with server.running(), ErpClient(server.url, server.database, "admin", password) as erp:
        fill(erp)
    forget = ("delete from ir_session", "update res_user set password_hash = null")
    server.postgres.execute(*forget, database=server.database)


def prepare(postgres: Postgres, say: Say) -> Path:
    """Make everything a start needs and return the dump of the filled database; seconds when it is there."""
    make_environment(say)
    return _seeded(postgres, say)


def make_database(postgres: Postgres, database: str, home: Path, say: Say) -> None:
    """Put the hospital's database in place, unless it is there, with passwords from this state folder."""
    kept = prepare(postgres, say)
    if postgres.has(database):
        _bring_up_to_date(postgres, database, modules(), say)
        return
    _put_in_place(postgres, kept, database, {user: read_secret(home, user) for user in ("admin", *USERS)}, say)


def make_people(postgres: Postgres, database: str, home: Path, say: Say) -> None:
    """The same of HR's own database."""
    make_environment(say)
    if postgres.has(database):
        _bring_up_to_date(postgres, database, hr_seed.MODULES, say)
        return
    users = ("admin", *hr_seed.USERS)
    kept, passwords = _employing(postgres, say), {user: read_secret(home, user, of="hr") for user in users}
    _put_in_place(postgres, kept, database, passwords, say)


def _put_in_place(postgres: Postgres, kept: Path, database: str, passwords: dict[str, str], say: Say) -> None:
    say(f"putting the ERP's database {database} in place")
    unfinished = f"{database}_{os.getpid()}_new"
    postgres.restore(kept, unfinished)
    postgres.set_passwords(unfinished, passwords)
    postgres.mark(unfinished, recipe_key())
    postgres.rename(unfinished, database)


def _bring_up_to_date(postgres: Postgres, database: str, with_modules: Sequence[str], say: Say) -> None:
    """A database made for other releases or modules gets what these add to it; what lies in it stays as it is."""
    if postgres.marked(database) == recipe_key():
        return
    say(
        f"bringing the ERP's database {database} up to date (its goods stay those it was made with: --fresh for today's)"
    )
    command = [str(program("trytond-admin")), "-d", database, "-u", *with_modules, "--activate-dependencies"]
    run(command, "bringing the ERP's database up to date failed", env=ErpServer(postgres, database, 0).environment)
    postgres.mark(database, recipe_key())


def serve(server: ErpServer, home: Path, say: Say) -> None:
    """Become the ERP: whoever holds this process holds the server."""
    make_database(server.postgres, server.database, home, say)
    if server.people:
        make_people(server.postgres, server.people, home, say)
    say(f"the ERP answers on {server.url}")
    command = server.command()
    os.execve(command[0], command, os.environ | server.environment)  # noqa: S606 the program is our own environment's


def _told(home: Path) -> dict[str, str]:
    """What the local stack wrote of its addresses."""
    try:
        told: dict[str, str] = json.loads((home / "addresses.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return told


def postgres_of(home: Path, url: str = "") -> Postgres:
    """The PostgreSQL to use: the one named, else the local stack's own."""
    url = url or os.environ.get("FASCIA_ERP_POSTGRES_URL") or _told(home).get("FASCIA_DATABASE_URL", "")
    if not url:
        raise ErpStartError("no PostgreSQL: start the local stack, or name one with --postgres")
    secret = home / "secrets" / "database_password"
    return Postgres.at(url, secret.read_text(encoding="utf-8").strip() if secret.exists() else None)


def main(arguments: list[str] | None = None) -> int:
    """The command line of the demonstration's ERP."""
    parser = argparse.ArgumentParser(prog="python -m demo.erp", description=__doc__)
    parser.add_argument("verb", choices=["serve", "prepare"])
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("FASCIA_HOME") or ".fascia"))
    parser.add_argument("--postgres", default="", help="address of a PostgreSQL whose user may make databases")
    parser.add_argument("--database", default=os.environ.get("FASCIA_ERP_DATABASE") or "hospital")
    parser.add_argument("--people", default="", help="HR's own database beside it; none where empty")
    parser.add_argument("--port", type=int, default=int(os.environ.get("FASCIA_ERP_PORT") or 0))
    chosen = parser.parse_args(arguments)
    home: Path = chosen.home.expanduser().absolute()

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    # Told to stop while something is still being made: leave nothing half made behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        postgres = postgres_of(home, chosen.postgres)
        if chosen.verb == "prepare":
            prepare(postgres, say)
            _employing(postgres, say)
        else:
            serve(ErpServer(postgres, chosen.database, chosen.port or _free_port(), chosen.people), home, say)
    except ErpStartError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
