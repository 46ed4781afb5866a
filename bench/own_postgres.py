"""A PostgreSQL of its own for one measurement, with fsync on, thrown away afterwards."""

# ruff: noqa: ASYNC220, ASYNC221 (nothing else runs in this process yet)
from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg

from stack.postgres import programs


@contextlib.asynccontextmanager
async def own_postgres(*settings: str) -> AsyncIterator[tuple[str, int]]:
    """Its address without a database name, and the process id of its parent; the database is ``fascia``."""
    home = Path(tempfile.mkdtemp(prefix="fascia-bench-"))
    home.chmod(0o755)
    data, port = home / "data", free_port()
    data.mkdir(mode=0o700)
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    make = [str(programs() / "initdb"), f"-D{data}", "-Ufascia", "-Atrust", "-EUTF8", "--locale=C.UTF-8", "-N"]
    subprocess.run(make, check=True, capture_output=True, cwd="/", **identity)
    # as the stack starts its own (stack/postgres.py)
    options = (
        "listen_addresses=127.0.0.1",
        f"port={port}",
        "unix_socket_directories=",
        "shared_buffers=128MB",
        *settings,
    )
    run = [str(programs() / "postgres"), "-D", str(data), *(part for option in options for part in ("-c", option))]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(run, stdout=log, stderr=log, cwd="/", **identity)
    try:
        await _ready(port)
        yield f"postgresql://fascia@127.0.0.1:{port}", process.pid
    finally:
        process.send_signal(signal.SIGINT)  # at once, whoever is still connected
        process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def _ready(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(f"postgresql://fascia@127.0.0.1:{port}/postgres", ssl=False)
            await connection.execute("create database fascia")
            await connection.close()
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("PostgreSQL did not start")
