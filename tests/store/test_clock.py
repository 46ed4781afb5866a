"""What two machines keep one after the other stands in that order, whatever their own clocks say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from store import clock, ids
from store.clock import set_right
from workers.clock import right

FAR = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    ids.set_right(timedelta(0))


def machine(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """From now on this machine's clock is wrong by so much."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + by

    for module in (clock, ids):
        monkeypatch.setattr(module, "datetime", Wrong)


@pytest.mark.parametrize("by", [FAR, -FAR])
async def test_ids_of_two_machines_stand_in_the_order_of_our_databases_clock(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, by: timedelta
) -> None:
    kept = []
    for wrong in (by, timedelta(0), -by, by):  # one message after the other, each at another machine
        machine(monkeypatch, wrong)
        await set_right(engine)
        kept.append(ids.IdsInOrder().next()[0])
        await asyncio.sleep(0.3)  # longer than a question to a busy database is uncertain by
    assert kept == sorted(kept)
    machine(monkeypatch, by)
    await set_right(engine)
    assert abs(ids.now() - datetime.now(UTC)) < timedelta(seconds=1)


async def test_a_machine_whose_clock_agrees_with_our_databases_keeps_its_own(engine: AsyncEngine) -> None:
    for _ in range(5):
        assert abs(await set_right(engine)) < timedelta(milliseconds=20)


async def test_a_clock_that_is_set_while_we_run_is_seen_and_told_once(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        async with right(engine, every=0.02):
            machine(monkeypatch, -FAR)
            async with asyncio.timeout(60):
                while abs(ids.now() - datetime.now(UTC)) > timedelta(seconds=1):
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
    (told,) = [one for one in logs if one.get("alert")]
    assert told["seconds_behind"] == pytest.approx(FAR.total_seconds(), abs=1)
