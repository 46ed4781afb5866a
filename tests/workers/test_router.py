"""A router asks once for all its shards, and while much comes it lets some come together before it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from canonical.messages import Kept, Move, NewMessage
from store.kept import slot_of
from tests.fakes.journal import FakeJournal
from workers.loops.router import ENOUGH, GATHER, Router, Routers


class Asked(FakeJournal):
    """A journal that says which shards were asked for, and how many messages each answer and each marking had."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[tuple[int, ...], int]] = []
        self.marked: list[int] = []

    async def next_to_route(
        self, shard: int | Collection[int], of: int, limit: int = 500, *, without: Collection[str] = ()
    ) -> Sequence[Kept]:
        found = await super().next_to_route(shard, of, limit, without=without)
        self.asked.append(((shard,) if isinstance(shard, int) else tuple(shard), len(found)))
        return found

    async def mark_many(self, moves: Sequence[Move]) -> None:
        self.marked.append(len(moves))
        await super().mark_many(moves)


class Routes:
    """Routes everything; ``most`` is how many were being routed at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.streams: list[str] = []

    async def route(self, message: Kept) -> Move:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        self.streams.append(message.stream)
        return Move(message=message.id, state="routed")


class Shards:
    """Those of one process, which may change."""

    of = 8

    def __init__(self) -> None:
        self.held: Sequence[int] = range(8)

    async def hold(self) -> Sequence[int]:
        return self.held


async def keep(journal: FakeJournal, count: int) -> list[str]:
    names = [f"WARD/{number}" for number in range(count)]
    for name in names:
        await journal.keep(NewMessage(door="mllp", data=b"x", stream=name))
    return names


def router(journal: FakeJournal, routes: Routes, pauses: list[float]) -> Router:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    return Router(journal, routes, range(8), 8, pause=pause)  # type: ignore[arg-type]


async def test_all_shards_of_a_process_are_routed_by_one_question_and_one_marking() -> None:
    journal, routes, shards = Asked(), Routes(), Shards()
    names = await keep(journal, 400)
    routers = Routers(shards, journal, routes)  # type: ignore[arg-type]
    await routers.once()
    assert journal.asked == [(tuple(range(8)), 400), (tuple(range(8)), 0)] and journal.marked == [400]
    assert sorted(routes.streams) == sorted(names) and routes.most > 100, "as many at once as its shards may have"


async def test_what_a_process_does_not_hold_any_more_it_leaves_to_others() -> None:
    journal, routes, shards = Asked(), Routes(), Shards()
    routers = Routers(shards, journal, routes)  # type: ignore[arg-type]
    await routers.once()
    names, shards.held = await keep(journal, 100), (1, 6)
    await routers.once()
    assert sorted(routes.streams) == sorted(name for name in names if slot_of(name) % 8 in (1, 6))
    shards.held = ()
    asked = len(journal.asked)
    await routers.once()
    assert len(journal.asked) == asked


async def test_few_messages_let_more_come_together_and_many_are_gone_on_with_at_once() -> None:
    journal, routes, pauses = Asked(), Routes(), list[float]()
    await keep(journal, ENOUGH + 500)
    await router(journal, routes, pauses).once()
    assert [count for _, count in journal.asked] == [500, ENOUGH, 0] and not pauses
    await journal.keep(NewMessage(door="mllp", data=b"y", stream="one"))
    await router(journal, routes, pauses).once()
    assert pauses == [GATHER] and "one" in routes.streams


async def test_a_mistake_of_ours_at_one_message_keeps_its_own_stream_waiting_and_no_other() -> None:
    class Fails(Routes):
        async def route(self, message: Kept) -> Move:
            if message.stream == "WARD/1":
                raise KeyError("a bug")
            return await super().route(message)

    journal, routes = Asked(), Fails()
    await keep(journal, 4)
    await router(journal, routes, []).once()
    assert sorted(routes.streams) == ["WARD/0", "WARD/2", "WARD/3"]
    assert sorted(one.state for one in journal.messages.values()) == ["received", "routed", "routed", "routed"]
