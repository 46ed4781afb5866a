"""The supervisor on a real PostgreSQL: order, restarts, control from outside, and an orderly or a sudden end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from stack import control
from stack.held import News
from stack.home import Home, StackError
from stack.part import Part
from stack.supervisor import Stack, running
from tests.stack.test_keeper import WAITS, is_running, wait_for
from workers.settings import Settings

SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from stack.supervisor import running

async def main():
    async with running(Path(sys.argv[1]), ("database",)) as stack:
        print(stack.pid("database"), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def said() -> list[News]:
    """What the stack said, in order."""
    return []


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, said: list[News]) -> AsyncIterator[Stack]:
    """A stack of a database alone, which the tests of this module share and leave as they found it."""
    async with running(tmp_path_factory.mktemp("shared"), ("database",), say=said.append) as stack:
        yield stack


async def test_a_database_is_there_for_whoever_has_the_password(stack: Stack) -> None:
    settings = Settings(home=stack.home.path)
    assert "@127.0.0.1:" in settings.database_url.get_secret_value()
    assert "password" not in (stack.home.path / "addresses.json").read_text(encoding="utf-8")
    connection = await asyncpg.connect(settings.database_url.get_secret_value().replace("+asyncpg", ""))
    assert (await connection.fetchval("show server_version")).startswith("18.")
    assert await connection.fetchval("select count(*) from alembic_version") == 1  # our tables are there
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(stack.addresses["FASCIA_DATABASE_URL"].replace("+asyncpg", ""), password="guessed")


async def test_another_database_is_made_once(stack: Stack) -> None:
    assert await stack.create_database("tryton")
    assert not await stack.create_database("tryton")
    connection = await asyncpg.connect(stack.database_url("tryton"))
    await connection.close()


async def test_what_was_kept_is_there_after_the_next_start(home: Home) -> None:
    async with running(home.path, ("database",)) as first:
        connection = await asyncpg.connect(first.database_url())
        await connection.execute("create table kept (what text)")
        await connection.close()
        address = first.parts["database"].part.address
    async with running(home.path, ("database",)) as second:
        assert second.parts["database"].part.address == address
        connection = await asyncpg.connect(second.database_url())
        assert await connection.fetchval("select count(*) from kept") == 0
        await connection.close()


async def test_a_part_that_dies_is_said_at_once_and_started_again(
    stack: Stack, said: list[News], script: Callable[..., Part]
) -> None:
    await stack.add_part(script("dies", WAITS))
    await _until(lambda: "waiting" in "".join(stack.home.log_tail("dies")))
    first = stack.pid("dies")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await _until(lambda: any((news.kind, news.part) == ("died", "dies") for news in said))
    died = next(news for news in said if news.kind == "died" and news.part == "dies")
    assert "dies was ended by SIGKILL; starting it again" in died.text and "waiting" in died.text
    await stack.ready("dies")
    assert stack.pid("dies") not in (None, first)
    assert stack.parts["dies"].restarts == 1
    assert stack.home.read("stack.json")["parts"]["dies"]["pid"] == stack.pid("dies")


async def test_a_part_that_dies_before_it_is_ready_fails_the_start_with_its_last_words(
    stack: Stack, script: Callable[..., Part]
) -> None:
    async def never() -> bool:  # a part without a sign of readiness is taken for ready after a moment
        return False

    with pytest.raises(StackError, match=r"fails ended with code 1 before it was ready[^$]*no such table"):
        await stack.add_part(script("fails", "raise SystemExit('no such table')", ready=never))


async def test_parts_are_stopped_killed_and_started_one_by_one(stack: Stack, script: Callable[..., Part]) -> None:
    await stack.add_part(script("obeys", WAITS))
    await stack.stop("obeys")
    assert stack.pid("obeys") is None
    await asyncio.sleep(0.7)
    assert stack.pid("obeys") is None, "a part stopped on purpose was started again"
    await stack.start("obeys")
    before = stack.pid("obeys")
    await stack.kill("obeys")
    await stack.ready("obeys")
    assert stack.pid("obeys") != before
    with pytest.raises(StackError, match="no part nonsense"):
        await stack.stop("nonsense")


async def test_the_database_can_be_restarted_under_a_running_stack(stack: Stack) -> None:
    await stack.restart("database")
    connection = await asyncpg.connect(stack.database_url())
    await connection.close()


async def test_another_program_asks_through_the_control_socket(stack: Stack, script: Callable[..., Part]) -> None:
    await stack.add_part(script("asked", WAITS))
    status = await asyncio.to_thread(control.ask, stack.home, "status")
    assert status["state"] == "ready" and status["parts"]["asked"]["pid"] == stack.pid("asked")
    await asyncio.to_thread(control.ask, stack.home, "stop", "asked")
    assert stack.pid("asked") is None
    with pytest.raises(StackError, match="no part nonsense"):
        await asyncio.to_thread(control.ask, stack.home, "kill", "nonsense")
    await asyncio.to_thread(control.ask, stack.home, "down")
    assert stack.stop_asked.is_set()
    stack.stop_asked.clear()


async def test_a_second_start_in_the_same_folder_says_that_one_runs(stack: Stack) -> None:
    with pytest.raises(StackError, match="runs already"):
        async with running(stack.home.path, ("database",)):
            pass
    assert stack.parts["database"].state == "ready"


async def test_two_folders_are_two_stacks_side_by_side(stack: Stack, tmp_path: Path) -> None:
    async with running(tmp_path / "other", ("database",)) as other:
        assert other.parts["database"].part.address != stack.parts["database"].part.address


async def test_settings_of_one_stack_reach_its_programs(home: Home, script: Callable[..., Part]) -> None:
    source = (
        "from workers.settings import load\nimport time\nfound = load()\n"
        "print(found.home, found.sticky_timeout, found.erp_url, flush=True)\ntime.sleep(600)\n"
    )

    async def with_an_erp(stack: Stack) -> None:
        stack.publish(FASCIA_ERP_URL=f"http://127.0.0.1:{stack.port('erp')}")

    env = {"FASCIA_STICKY_TIMEOUT": "1.5"}
    async with running(home.path, ("database",), prepare=with_an_erp, env=env) as stack:
        await stack.add_part(script("reads", source))
        await _until(lambda: bool(stack.home.log_tail("reads")))
        assert stack.home.log_tail("reads") == [f"{home.path} 1.5 http://127.0.0.1:{stack.port('erp')}"]


async def test_a_start_that_is_stopped_on_the_way_says_so(home: Home) -> None:
    told: list[News] = []
    there = asyncio.Event()

    async def takes_long(_: Stack) -> None:
        there.set()
        await asyncio.sleep(600)

    opening = asyncio.create_task(Stack(home.path, say=told.append).open(("database",), takes_long))
    await asyncio.wait_for(there.wait(), 60)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert [news.text for news in told if news.kind == "failed"] == ["stopped before everything was ready"]


def test_a_killed_supervisor_leaves_no_database_behind(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(home.path)], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        postmaster = int(supervisor.stdout.readline())
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
    wait_for(lambda: not is_running(postmaster))
    assert "database system is shut down" in home.log("database").read_text(encoding="utf-8")


async def _until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)
