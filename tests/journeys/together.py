"""Tests that wait most of their time - for suppliers, sweeps, the bank - and so go on side by side, each reported by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tests.journeys.conftest import Hospital

Story = Callable[[Hospital], Coroutine[Any, Any, None]]
Tasks = dict[str, asyncio.Task[None]]

_STORIES: dict[tuple[str, str], Story] = {}


def side_by_side(story: Story) -> Callable[[Tasks], Awaitable[None]]:
    """A test whose story begins with the others' of its module. The module imports the fixture ``under_way`` too."""

    async def test(under_way: Tasks) -> None:
        await under_way[name]

    name = test.__name__ = story.__name__
    test.__doc__, test.__module__ = story.__doc__, story.__module__
    _STORIES[story.__module__, name] = story
    return test


@pytest.fixture(scope="module")
async def under_way(hospital: Hospital, request: pytest.FixtureRequest) -> AsyncIterator[Tasks]:
    """The stories of this module whose tests were asked for, all begun."""
    here = request.module.__name__
    asked_for = {item.name for item in request.session.items if item.nodeid.startswith(request.node.nodeid)}
    tasks = {
        name: asyncio.create_task(story(hospital))
        for (module, name), story in _STORIES.items()
        if module == here and name in asked_for
    }
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
