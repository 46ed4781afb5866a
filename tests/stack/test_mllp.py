"""The MLLP door as a program on a real database: nothing acknowledged is missing, nothing is there twice, whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.directory import Directory
from gateway.intake import Intake
from gateway.routing import Routing
from stack.supervisor import Stack, running
from store.database import open_engine
from store.journal import StoredJournal
from store.register import StoredRegister
from store.shards import StoredShards
from tests.fakes.store import FakeCases
from tests.gateway.fakes import FakeEngine
from tests.stack.departments import (
    Department,
    counted,
    empty_journal,
    everything_once,
    more_than,
    second_gateway,
    until,
)
from workers.loops.router import Routers

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    env = {"FASCIA_MLLP_PATIENCE": "1.5", "FASCIA_MLLP_DOORS": "2"}
    async with running(tmp_path_factory.mktemp("mllp"), ("database", "mllp"), env=env) as started:
        yield started


@pytest.fixture
async def engine(stack: Stack) -> AsyncIterator[AsyncEngine]:
    async with empty_journal(stack) as opened:
        yield opened


async def test_a_door_killed_under_load_loses_nothing_it_acknowledged_and_doubles_nothing(
    stack: Stack, engine: AsyncEngine
) -> None:
    async with second_gateway(stack) as (port, _):
        ports = (stack.settings.mllp_port, port)
        departments = [Department(f"D{n}", 400, ports[n % 2 :] + ports[: n % 2]) for n in range(6)]

        async def kill() -> None:
            for door, acknowledged in (("mllp", 300), ("mllp-2", 900), ("mllp", 1500)):
                await until(more_than(departments, acknowledged))
                await stack.ready(door)
                await stack.kill(door)

        async with asyncio.timeout(400), asyncio.TaskGroup() as group:
            killing = group.create_task(kill())
            for one in departments:
                group.create_task(one.send_all())
        assert killing.done()
    assert max(one.connected for one in departments) >= 2, "nobody's connection was lost"
    everything_once(departments, await counted(engine))


@pytest.mark.parametrize("away", ["mllp", "mllp-2"])
async def test_of_two_doors_on_one_port_either_takes_what_comes_while_the_other_is_away(
    stack: Stack, engine: AsyncEngine, away: str
) -> None:
    await stack.stop(away)
    try:
        departments = [Department(f"{away}{n}", 30, (stack.settings.mllp_port,)) for n in range(4)]
        async with asyncio.timeout(400):
            await asyncio.gather(*(one.send_all() for one in departments))
    finally:
        await stack.start(away)
    everything_once(departments, await counted(engine))


async def test_while_the_database_is_away_senders_wait_or_are_told_and_nothing_is_lost(
    stack: Stack, engine: AsyncEngine
) -> None:
    departments = [Department(f"A{n}", 200, (stack.settings.mllp_port,)) for n in range(4)]

    async def told_to_wait() -> bool:
        return sum(one.told_again["AE"] for one in departments) > 0

    async def outage() -> None:
        await until(more_than(departments, 50))
        await engine.dispose()
        await stack.stop("database")
        await until(told_to_wait)
        await stack.start("database")

    async with asyncio.timeout(400), asyncio.TaskGroup() as group:
        group.create_task(outage())
        for one in departments:
            group.create_task(one.send_all())
    everything_once(departments, await counted(engine))


async def test_two_routers_side_by_side_route_everything_once_and_in_order(stack: Stack, engine: AsyncEngine) -> None:
    departments = [Department(f"R{n}", 150, (stack.settings.mllp_port,)) for n in range(4)]
    journal, register = StoredJournal(engine), StoredRegister(engine)
    locks = open_engine(stack.settings.database_url.get_secret_value())
    routed: list[tuple[str, str]] = []

    class Noting(Routing):
        async def route(self, message):  # type: ignore[no-untyped-def]
            move = await super().route(message)
            routed.append((message.stream, message.id))
            return move

    async def route(stop: asyncio.Event) -> None:
        shards = StoredShards(locks)
        intake = Intake(journal, FakeCases(), FakeEngine())
        routers = Routers(shards, journal, Noting(journal, intake, Directory(register), {}))
        while not stop.is_set():
            await routers.once()
            await asyncio.sleep(0.05)
        await shards.release()

    async def left() -> bool:
        async with engine.connect() as connection:
            return not await connection.scalar(text("SELECT count(*) FROM messages WHERE state <> 'routed'"))

    stop = asyncio.Event()
    async with asyncio.timeout(400), asyncio.TaskGroup() as group:
        routers = [group.create_task(route(stop)) for _ in range(2)]
        await asyncio.gather(*(one.send_all() for one in departments))
        await until(left)
        stop.set()
        await asyncio.gather(*routers)
    await locks.dispose()
    async with engine.connect() as connection:
        times = await connection.scalars(
            text("SELECT count(*) FROM message_states WHERE state = 'routed' GROUP BY message")
        )
    assert list(times) == [1] * 600
    streams: dict[str, list[str]] = {}
    for stream, message in routed:
        streams.setdefault(stream, []).append(message)
    assert len(routed) == 600 and len(streams) > 4
    assert all(mine == sorted(mine) for mine in streams.values())


async def test_a_door_told_to_stop_answers_what_it_has_and_ends(stack: Stack, engine: AsyncEngine) -> None:
    async with second_gateway(stack) as (port, _):
        one = Department("S", 40, (port,))
        await one.send_all()
    assert len(one.acknowledged) == 40
