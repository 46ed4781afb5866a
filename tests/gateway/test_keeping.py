"""One line into the journal: who sends alone waits for nobody, and while many send they share commits."""

from __future__ import annotations

import asyncio
import gc

import pytest

from canonical.messages import NewMessage
from gateway.keeping import Line, NotKept, Place
from tests.gateway.hl7_house import Journal


class SlowJournal(Journal):
    """One that takes a millisecond for a commit."""

    async def keep_many(self, messages):  # type: ignore[no-untyped-def]
        await asyncio.sleep(0.001)
        return await super().keep_many(messages)


async def send(line: Line, name: str, times: int, after: float = 0.0) -> None:
    """One who sends so many messages, each once the one before is kept."""
    for number in range(times):
        await asyncio.sleep(after)
        await line.kept(line.join([NewMessage(door="mllp", data=f"{name}/{number}".encode())]))


async def test_one_who_sends_alone_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.keeping.GATHER", 600.0)
    journal = Journal()
    line = Line(journal)
    async with asyncio.timeout(60):
        await send(line, "alone", 20)
    assert journal.commits == [1] * 20
    await line.close()


async def test_those_who_send_at_the_same_time_share_commits_although_none_comes_at_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.keeping.GATHER", 0.2)
    monkeypatch.setattr("gateway.keeping.BUSY", 60.0)  # however late the next of them comes
    journal = SlowJournal()
    line = Line(journal)
    await asyncio.gather(*(send(line, f"w{number}", 10, after=0.0005 * number) for number in range(12)))
    assert sum(journal.commits) == 120
    assert len(journal.commits) <= 14, "one of a dozen for each round, and little more"
    await line.close()


async def test_a_full_line_is_kept_without_waiting_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.keeping.GATHER", 600.0)
    journal = SlowJournal()
    line = Line(journal)
    places = [line.join([NewMessage(door="mllp", data=b"%d" % number)]) for number in range(1200)]
    async with asyncio.timeout(120):
        await asyncio.gather(*(line.kept(place) for place in places))
    assert journal.commits == [500, 500, 200]
    await line.close()


async def test_patience_ends_for_each_at_its_own_time_and_for_nobody_who_was_kept() -> None:
    journal = Journal()
    line = Line(journal, patience=0.2)
    await send(line, "before", 3)
    journal.hold = asyncio.Event()
    began = asyncio.get_running_loop().time()

    async def waits(after: float) -> float:
        await asyncio.sleep(after)
        with pytest.raises(NotKept):
            await line.kept(line.join([NewMessage(door="mllp", data=b"waits")]))
        return asyncio.get_running_loop().time() - began

    first, second = await asyncio.gather(waits(0), waits(0.15))
    assert 0.2 <= first < second and 0.35 <= second < 60
    journal.hold.set()
    await send(line, "after", 1)
    assert b"after/0" in [one.data for one in journal.messages.values()]
    await line.close()


async def test_what_is_kept_is_let_go_of_although_somebody_waits_before_it() -> None:
    line = Line(Journal(), patience=60)
    first, late = (line.join([NewMessage(door="mllp", data=b"W")], sender="W", per_minute=1) for _ in range(2))
    await line.kept(first)
    waits = asyncio.create_task(line.kept(late))  # over its quota, for a minute
    await send(line, "others", 3000)
    assert not waits.done()
    assert sum(isinstance(one, Place) for one in gc.get_objects()) < 700
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    await line.close()
