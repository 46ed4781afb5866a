"""A PostgreSQL of our own for the tests of the store, thrown away after the last of them; each test gets empty tables."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from stack.postgres import programs as postgres_programs
from store import count_tables, hr_tables, migrate, people_tables, recall_tables, target_tables
from store.database import open_engine

SEAL_KEY = b"the seal key of the tests"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="package")
def server() -> Iterator[str]:
    """The address of a throw-away server, as asyncpg writes it, without a database name."""
    programs = postgres_programs()
    home = Path(tempfile.mkdtemp(prefix="fascia-store-"))
    home.chmod(0o755)
    data, port = home / "data", _free_port()
    data.mkdir(mode=0o700)
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    make = [str(programs / "initdb"), f"-D{data}", "-Ufascia", "-Atrust", "-EUTF8", "--locale=C.UTF-8", "-N"]
    subprocess.run(make, check=True, capture_output=True, cwd="/", **identity)
    options = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off"]
    run = [str(programs / "postgres"), "-D", str(data), *(part for option in options for part in ("-c", option))]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(run, stdout=log, stderr=log, cwd="/", **identity)
    try:
        asyncio.run(_wait(port))
        yield f"postgresql+asyncpg://fascia@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(120)
        shutil.rmtree(home, ignore_errors=True)


async def _wait(port: int) -> None:
    import asyncpg

    for _ in range(2400):  # on a busy machine it takes its time
        try:
            connection = await asyncpg.connect(f"postgresql://fascia@127.0.0.1:{port}/postgres", ssl=False)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
            continue
        await connection.execute("create database fascia")
        await connection.close()
        return
    raise AssertionError("PostgreSQL did not start")


@pytest.fixture(scope="package")
async def migrated(server: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(f"{server}/fascia", pool=25)
    await migrate.upgrade(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(migrated: AsyncEngine) -> AsyncEngine:
    """The migrated database with empty tables."""
    assert hr_tables.hr_away.metadata is target_tables.targets_gone.metadata is people_tables.people.metadata
    assert count_tables.stock_counts.metadata is recall_tables.recalls.metadata is people_tables.people.metadata
    deletes = "; ".join(f'DELETE FROM "{table.name}"' for table in recall_tables.recalls.metadata.sorted_tables)
    async with migrated.begin() as connection:
        await connection.execute(text(f"DO $$ BEGIN {deletes}; END $$"))  # quicker than TRUNCATE on small tables
    return migrated
