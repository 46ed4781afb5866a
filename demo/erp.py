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
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

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


def secret_name(user: str) -> str:
    """The file in ``<home>/secrets`` that holds a user's password; the platform's own is ``erp_password``."""
    return "erp_password" if user == "fascia" else f"erp_{user}_password"


def read_secret(home: Path, user: str) -> str:
    """The password of a user of the ERP, made when it is first asked for."""
    path = home / "secrets" / secret_name(user)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    return path.read_text(encoding="utf-8").strip()


@dataclass(frozen=True)
class ErpServer:
    """Where the ERP runs and on which database."""

    postgres: Postgres
    database: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What the ERP is told. The database's password stands in the environment only, never on a command line."""
        return self.postgres.environment | {
            "TRYTOND_DATABASE__URI": f"postgresql://{self.postgres.host}:{self.postgres.port}/",
            "TRYTOND_QUEUE__WORKER": "False",
            "TRYTOND_DATABASE_NAMES": self.database,
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


def _template(postgres: Postgres, say: Say) -> Path:
    """The dump of an empty database with all modules."""
    kept = cache_folder() / f"empty-{recipe_key()}.dump"
    if kept.exists():
        return kept
    say("making the ERP's empty database (about 90 s, once)")
    scratch = f"erp_empty_{os.getpid()}"
    server = ErpServer(postgres, scratch, 0)
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(secrets.token_urlsafe(24))
        password.flush()
        postgres.create(scratch)
        try:
            command = [str(program("trytond-admin")), "-d", scratch, "--email", "admin@northfield.invalid"]
            env = server.environment | {"TRYTONPASSFILE": password.name}
            run([*command, "-u", *modules(), "--activate-dependencies"], "making the ERP's database failed", env=env)
            postgres.dump(scratch, kept)
        finally:
            postgres.drop(scratch)
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
        scratch = f"erp_seed_{os.getpid()}"
        server = ErpServer(postgres, scratch, _free_port())
        postgres.restore(empty, scratch)
        try:
            password = secrets.token_urlsafe(24)
            postgres.set_passwords(scratch, {"admin": password})
            with server.running(), ErpClient(server.url, scratch, "admin", password) as erp:
                seed(erp, today)
            postgres.execute("delete from ir_session", "update res_user set password_hash = null", database=scratch)
            postgres.dump(scratch, kept)
        finally:
            postgres.drop(scratch)
    return kept


def prepare(postgres: Postgres, say: Say) -> Path:
    """Make everything a start needs and return the dump of the filled database; seconds when it is there."""
    make_environment(say)
    return _seeded(postgres, say)


def make_database(postgres: Postgres, database: str, home: Path, say: Say) -> None:
    """Put the hospital's database in place, unless it is there, with passwords from this state folder."""
    kept = prepare(postgres, say)
    if postgres.has(database):
        _bring_up_to_date(postgres, database, say)
        return
    say(f"putting the ERP's database {database} in place")
    unfinished = f"{database}_{os.getpid()}_new"
    postgres.restore(kept, unfinished)
    postgres.set_passwords(unfinished, {user: read_secret(home, user) for user in ("admin", *USERS)})
    postgres.mark(unfinished, recipe_key())
    postgres.rename(unfinished, database)


def _bring_up_to_date(postgres: Postgres, database: str, say: Say) -> None:
    """A database made for other releases or modules gets what these add to it; what lies in it stays as it is."""
    if postgres.marked(database) == recipe_key():
        return
    say(
        f"bringing the ERP's database {database} up to date (its goods stay those it was made with: --fresh for today's)"
    )
    command = [str(program("trytond-admin")), "-d", database, "-u", *modules(), "--activate-dependencies"]
    run(command, "bringing the ERP's database up to date failed", env=ErpServer(postgres, database, 0).environment)
    postgres.mark(database, recipe_key())


def serve(server: ErpServer, home: Path, say: Say) -> None:
    """Become the ERP: whoever holds this process holds the server."""
    make_database(server.postgres, server.database, home, say)
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
        else:
            serve(ErpServer(postgres, chosen.database, chosen.port or _free_port()), home, say)
    except ErpStartError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
