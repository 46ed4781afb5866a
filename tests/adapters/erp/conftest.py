"""A real ERP for these tests: a throw-away PostgreSQL and the demonstration hospital's Tryton on it, on free ports."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from adapters.erp.tryton.erp import TrytonErp
from adapters.registry import ERPS, ErpAccess
from demo.erp import ErpServer, read_secret
from demo.erp_acts import ErpPeople
from demo.erp_database import Postgres
from stack.postgres import programs
from tests.adapters.erp.lines import Connect

for part in ("contract", "contract_common", "contract_invoices", "contract_stock"):
    pytest.register_assert_rewrite(f"tests.adapters.erp.{part}")

PEOPLE = "people"
FIRST_START = 400.0  # a machine that has never run it installs the ERP and builds its database


@dataclass(frozen=True)
class RunningErp:
    """Where the tests' ERP is and how to sign in."""

    access: ErpAccess
    people: ErpPeople
    home: Path


@pytest.fixture(scope="package")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="fascia-erp-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="package")
def postgres(folder: Path) -> Iterator[Postgres]:
    data, port = folder / "postgres", free_port()
    data.mkdir(mode=0o700)
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    make = [str(programs() / "initdb"), f"-D{data}", "-Ufascia", "-Atrust", "-EUTF8", "--locale=C.UTF-8", "-N"]
    subprocess.run(make, check=True, capture_output=True, cwd="/", **identity)
    options = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off"]
    run = [str(programs() / "postgres"), "-D", str(data), *(part for option in options for part in ("-c", option))]
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(run, stdout=log, stderr=log, cwd="/", **identity)
    server = Postgres("127.0.0.1", port, "fascia", None)
    try:
        give_up = time.monotonic() + 90
        while not _has_postgres(server) and time.monotonic() < give_up:
            time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def _has_postgres(server: Postgres) -> bool:
    with contextlib.suppress(OSError, asyncpg.PostgresError):
        return server.has("postgres")
    return False


@pytest.fixture(scope="package")
def running_erp(folder: Path, postgres: Postgres) -> Iterator[RunningErp]:
    server = ErpServer(postgres, "hospital", free_port())
    command = [sys.executable, "-m", "demo.erp", "serve", f"--home={folder}", f"--port={server.port}"]
    command.append(f"--people={PEOPLE}")  # HR's own database is served beside it, as on the stage
    command.append(f"--postgres=postgresql://fascia@127.0.0.1:{postgres.port}")
    log = folder / "erp.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        give_up = time.monotonic() + FIRST_START
        while not server.answers():
            if process.poll() is not None or time.monotonic() > give_up:
                pytest.fail(f"the ERP does not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.2)
        password = read_secret(folder, "fascia")
        yield RunningErp(
            access=ErpAccess(server.url, server.database, "fascia", password),
            people=ErpPeople(server.url, server.database, folder),
            home=folder,
        )
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
async def over() -> AsyncIterator[Connect]:
    """Adapters over a line of the test's choosing, closed afterwards."""
    opened: list[TrytonErp] = []

    def connect(line: httpx.AsyncBaseTransport, access: ErpAccess) -> TrytonErp:
        client = httpx.AsyncClient(transport=line, timeout=120)
        opened.append(TrytonErp(client, access.url, access.database, access.user, access.password))
        return opened[-1]

    yield connect
    for erp in opened:
        await erp.close()


@pytest.fixture(scope="package")
async def signed_in(running_erp: RunningErp) -> AsyncIterator[TrytonErp]:
    erp = ERPS["tryton"](running_erp.access)
    assert isinstance(erp, TrytonErp)
    yield erp
    await erp.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
