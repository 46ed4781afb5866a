"""Brings our own database to the shape this version needs, by a command; every process checks it before it starts.

``python -m store.migrate upgrade|check|current``. Migrations only add (expand) or, a version later, take away what no
running version reads any more (contract), so that old and new workers run side by side; there is no way down.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import FasciaError, Unavailable
from store.database import open_engine, transaction

COMMAND = "python -m store.migrate upgrade"
_LOCK = 0x46415343  # one migration at a time, whoever starts it


class NotMigrated(FasciaError):
    """The database has another shape than this version of the platform needs."""

    code = "not-migrated"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The revision this version of the platform needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


async def upgrade(engine: AsyncEngine) -> str:
    """Bring the database to the newest revision, in one transaction; others who ask at once wait for the first."""
    async with transaction(engine) as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
    return newest()


async def current(engine: AsyncEngine) -> str:
    """The revision the database has, empty for an empty database."""
    async with transaction(engine) as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision()) or ""


async def check_head(engine: AsyncEngine) -> None:
    """Refuse to start on a database of another shape.

    A database that is ahead of us is fine: it was expanded for a newer version that runs beside this one.

    Raises:
        NotMigrated: the database lacks what this version needs; the text names the command.
    """
    found = await current(engine)
    if found == newest():
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found and found not in known:
        return
    raise NotMigrated(
        f"the database is at revision {found or 'none'}, this version needs {newest()}: run `{COMMAND}`", system="store"
    )


async def _run(verb: str, url: str) -> int:
    engine = None
    try:
        engine = open_engine(url, pool=1)
        if verb == "upgrade":
            _say(f"database is at revision {await upgrade(engine)}")
        elif verb == "check":
            await check_head(engine)
            _say(f"database is at revision {await current(engine)}")
        else:
            _say(await current(engine) or "none")
    except FasciaError as failed:
        sys.stderr.write(failed.message + "\n")
        return 7 if isinstance(failed, Unavailable) else 1
    finally:
        if engine is not None:
            await engine.dispose()
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m store.migrate", description=__doc__)
    parser.add_argument("verb", choices=("upgrade", "check", "current"))
    parser.add_argument("--url", default=os.environ.get("FASCIA_DATABASE_URL", ""), help="FASCIA_DATABASE_URL")
    given = parser.parse_args(arguments)
    if not given.url:
        parser.error("name the database in FASCIA_DATABASE_URL or --url")
    return asyncio.run(_run(given.verb, _with_password(given.url)))


def _with_password(url: str) -> str:
    """The address with the password from its file, where one is named, as the platform's processes have it."""
    named = os.environ.get("FASCIA_DATABASE_PASSWORD_FILE", "")
    if not named:
        return url
    password = Path(named).read_text(encoding="utf-8").strip()
    return make_url(url).set(password=password).render_as_string(hide_password=False)


if __name__ == "__main__":
    sys.exit(main())
