"""A key is looked up once a second however often it calls; what was revoked stops within that second."""

from __future__ import annotations

import asyncio

import pytest

from canonical.errors import Unavailable
from gateway.callers import RecentCallers
from gateway.lookups import Caller

CALLER = Caller(key="key-1", sender="orplan", facility="NGH")


class Keys:
    """Keys by secret, each asked for noted."""

    def __init__(self) -> None:
        self.known: dict[str, Caller] = {"secret": CALLER}
        self.asked: list[str] = []
        self.away = False

    async def caller(self, secret: str) -> Caller | None:
        self.asked.append(secret)
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        return self.known.get(secret)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_many_calls_at_once_and_within_a_second_ask_once() -> None:
    keys, clock = Keys(), Clock()
    recent = RecentCallers(keys, clock=clock)
    assert set(await asyncio.gather(*(recent.caller("secret") for _ in range(50)))) == {CALLER}
    clock.now += 0.9
    assert await recent.caller("secret") == CALLER
    assert keys.asked == ["secret"]


async def test_a_key_revoked_while_it_is_remembered_stops_within_the_second() -> None:
    keys, clock = Keys(), Clock()
    recent = RecentCallers(keys, clock=clock)
    assert await recent.caller("secret") == CALLER
    del keys.known["secret"]
    clock.now += 0.9
    assert await recent.caller("secret") == CALLER, "remembered for a moment"
    clock.now += 0.1
    assert await recent.caller("secret") is None


async def test_a_key_nobody_knew_holds_as_soon_as_it_is_made() -> None:
    keys = Keys()
    recent = RecentCallers(keys)
    assert await recent.caller("new") is None
    keys.known["new"] = CALLER
    assert await recent.caller("new") == CALLER


async def test_while_our_database_is_away_nobody_is_let_in_on_old_word() -> None:
    keys, clock = Keys(), Clock()
    recent = RecentCallers(keys, clock=clock)
    await recent.caller("secret")
    keys.away = True
    clock.now += 1.0
    for _ in range(2):
        with pytest.raises(Unavailable):
            await recent.caller("secret")
    keys.away = False
    assert await recent.caller("secret") == CALLER
