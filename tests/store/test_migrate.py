"""The database gets its shape by a command, and nothing starts on another shape."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Unavailable
from canonical.messages import NewMessage
from store import case_tables, migrate, recall_tables
from store.cases import StoredCases
from store.database import open_engine, transaction
from store.journal import StoredJournal
from store.migrate import NotMigrated


@pytest.fixture
async def empty(server: str, migrated: AsyncEngine) -> AsyncIterator[str]:
    """The address of an empty database."""
    async with migrated.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.exec_driver_sql("drop database if exists empty with (force)")
        await outside.exec_driver_sql("create database empty")
    yield f"{server}/empty"
    async with migrated.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.exec_driver_sql("drop database empty with (force)")


async def test_an_empty_database_is_refused_with_the_command_that_mends_it(empty: str) -> None:
    engine = open_engine(empty, pool=1)
    with pytest.raises(NotMigrated, match=r"store\.migrate upgrade"):
        await migrate.check_head(engine)
    assert await migrate.current(engine) == ""
    await engine.dispose()


async def test_several_who_upgrade_at_once_do_it_once(empty: str) -> None:
    engines = [open_engine(empty, pool=1) for _ in range(4)]
    found = await asyncio.gather(*(migrate.upgrade(engine) for engine in engines))
    assert set(found) == {migrate.newest()}
    await migrate.check_head(engines[0])
    assert await migrate.current(engines[0]) == migrate.newest()
    for engine in engines:
        await engine.dispose()


async def test_a_database_expanded_for_a_later_version_is_fine(empty: str) -> None:
    engine = open_engine(empty, pool=1)
    await migrate.upgrade(engine)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("update alembic_version set version_num = 'of a later version'")
    await migrate.check_head(engine)
    await engine.dispose()


def _ours(name: str | None, kind: str, _: Any) -> bool:
    """Partitions are made and dropped as time goes by; they have the form of their parents."""
    return not (kind == "table" and re.search(r"_(default|w\d{8})$", name or ""))


async def test_the_migrations_make_the_tables_we_use(migrated: AsyncEngine) -> None:
    def differences(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"compare_type": False, "include_name": _ours})
        assert recall_tables.recalls.metadata is case_tables.cases.metadata
        return compare_metadata(context, case_tables.cases.metadata)

    async with migrated.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_command_upgrades_checks_and_tells(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def run(verb: str) -> int:
        return await asyncio.to_thread(migrate.main, [verb, "--url", empty])  # the command has a loop of its own

    assert await run("check") == 1 and "upgrade" in capsys.readouterr().err
    assert await run("current") == 0 and capsys.readouterr().out == "none\n"
    assert await run("upgrade") == 0 and await run("check") == 0
    assert migrate.newest() in capsys.readouterr().out


def test_an_address_of_something_else_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("nonsense", "sqlite:///file"):
        assert migrate.main(["check", "--url", url]) == 1
        assert "database" in capsys.readouterr().err


async def test_the_password_may_stand_in_a_file(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret/@\n", encoding="utf-8")
    monkeypatch.setenv("FASCIA_DATABASE_PASSWORD_FILE", str(secret))
    assert migrate._with_password("postgresql://u@h/d") == "postgresql://u:s3cret%2F%40@h/d"
    address = empty.replace("+asyncpg", "")
    assert await asyncio.to_thread(migrate.main, ["current", "--url", address]) == 0
    assert capsys.readouterr().out == "none\n"


async def test_a_database_that_is_away_is_unavailable() -> None:
    engine = open_engine("postgresql+asyncpg://fascia@127.0.0.1:1/fascia", pool=1)
    with pytest.raises(Unavailable, match="our own database"):
        await StoredCases(engine, b"").status("c")
    await engine.dispose()


async def test_a_running_installation_keeps_everything_when_its_journal_goes_by_weeks(empty: str) -> None:
    engine = open_engine(empty, pool=2)
    async with transaction(engine) as connection:
        await connection.run_sync(lambda sync: command.upgrade(migrate._config(sync), "0008"))
        for statement in _BEFORE.split(";"):
            await connection.exec_driver_sql(statement)
    await migrate.upgrade(engine)
    journal = StoredJournal(engine)
    first, other, out, late, odd = [await journal.read(name) for name in (_FIRST, _OTHER, _OUT, _LATE, "odd")]
    assert first is not None and (first.data, first.state, first.case, first.answer) == (b"a", "routed", "c", _OUT)
    assert other is not None and (other.data, other.reason) == (b"b", "conflict: told apart")
    assert out is not None and out.state == "sent" and late is not None and odd is not None and odd.data == b"odd"
    assert [(state, why) for state, why, _ in await journal.history(_FIRST)] == [("received", ""), ("routed", "done")]
    for data, outcome, name in ((b"a", "duplicate", _FIRST), (b"b", "conflict", _OTHER)):
        again = await journal.keep(NewMessage(door="sftp", data=data, key="k"))
        assert (again.outcome, again.message.id) == (outcome, name)
    assert [one.id for one in await journal.unrouted(datetime(2099, 1, 1, tzinfo=UTC))] == [_LATE, "odd"]
    assert [one.id for one in await journal.kept_under("k")] == [_FIRST]
    async with engine.connect() as connection:
        places = await connection.exec_driver_sql("SELECT tableoid::regclass::text AS place FROM messages")
        assert list(places.scalars()).count("messages_default") == 1, "only what has no moment in its name"
    await engine.dispose()


_FIRST, _OTHER = "019c0000-0000-7000-8000-000000000001", "019c0000-0000-7000-8000-000000000002"
_OUT, _LATE = "019c8000-0000-7000-8000-000000000003", "019d0000-0000-7000-8000-000000000004"
_BEFORE = f"""
    INSERT INTO messages (id, direction, door, key, state, reason, "case", hash, size, conflicts_with, answer, at, data) VALUES
    ('{_FIRST}', 'in', 'sftp', 'k', 'routed', 'done', 'c', encode(sha256('a'), 'hex'), 1, '', '{_OUT}', now(), 'a'),
    ('{_OTHER}', 'in', 'sftp', 'k', 'refused', 'conflict: told apart', '', encode(sha256('b'), 'hex'), 1, '{_FIRST}', '',
        now(), 'b'),
    ('{_OUT}', 'out', 'sftp', 'k', 'sent', '', '', encode(sha256('c'), 'hex'), 1, '', '', now(), 'c'),
    ('{_LATE}', 'in', 'rest', '', 'received', '', '', encode(sha256('d'), 'hex'), 1, '', '', now(), 'd'),
    ('odd', 'in', 'rest', '', 'received', '', '', encode(sha256('odd'), 'hex'), 3, '', '', now() + interval '1 s', 'odd');
    INSERT INTO message_states (message, state, reason, at) VALUES
    ('{_FIRST}', 'received', '', now()), ('{_OTHER}', 'received', '', now()), ('{_FIRST}', 'routed', 'done', now())
"""
