"""A hospital's database that an earlier release made is brought up to date at the next start, with all that lies in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from demo import erp
from demo.erp import make_database
from demo.erp_database import Postgres
from demo.erp_environment import KEY_MODULE, modules, recipe_key

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]


async def _columns(postgres: Postgres, database: str) -> set[str]:
    connection = await postgres._connect(database)
    try:
        rows = await connection.fetch(
            "select column_name from information_schema.columns where table_name = 'stock_move'"
        )
        return {row["column_name"] for row in rows}
    finally:
        await connection.close()


def test_an_older_database_gets_what_its_modules_add_and_keeps_what_lies_in_it(
    postgres: Postgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    make_database(postgres, "older", folder, said.append)
    assert postgres.marked("older") == recipe_key()
    assert KEY_MODULE.name in modules()
    # Only the one whose column goes: each of the others takes seconds.
    monkeypatch.setattr(erp, "modules", lambda: [KEY_MODULE.name])
    postgres.mark("older", "another recipe")
    postgres.execute(
        "alter table stock_move drop column fascia_line",
        "update stock_location set name = 'As it was' where code = 'NGH-OR'",
        database="older",
    )
    make_database(postgres, "older", folder, said.append)
    assert postgres.marked("older") == recipe_key()
    assert "fascia_line" in asyncio.run(_columns(postgres, "older"))

    async def name() -> str:
        connection = await postgres._connect("older")
        try:
            return str(await connection.fetchval("select name from stock_location where code = 'NGH-OR'"))
        finally:
            await connection.close()

    assert asyncio.run(name()) == "As it was"
    before = len(said)
    make_database(postgres, "older", folder, said.append)
    assert len(said) == before  # nothing left to do
