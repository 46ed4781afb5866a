"""Many keepers, few commits: nobody waits for more than the commit under way, and nobody is lost with another's trouble."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Unavailable
from canonical.ports import NewMessage
from store import keep, keeping
from store.database import open_engine
from store.ids import IdsInOrder
from store.journal import StoredJournal
from store.keeping import GroupKeeper
from store.packing import AS_IT_CAME, HL7_2026, pack, unpack
from store.streams import StoredStreams
from store.tables import messages

ADT = (
    b"MSH|^~\\&|WARD|NGH|FASCIA|NGH|20260304101500||ADT^A01^ADT_A01|0000000001|P|2.5.1|||AL|NE||UNICODE UTF-8\r"
    b"EVN|A01|20260304101500|||OKAFOR7\rPID|1||48120377^^^NGH^MR||Lindqvist^Amara^C||19680211|F|||12 Mill Street^^"
    b"Springfield^IL^62704^USA||(555)555-0143|||S||100200300\rPV1|1|I|3W^214^1^NGH||||4471^Haddad^Yuki^^^DR\r"
)


def _new(number: int = 0, **fields: Any) -> NewMessage:
    return NewMessage(**{"door": "mllp", "data": f"{number}".encode(), "stream": f"s{number % 7}"} | fields)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages each commit of the keeper held."""
    sizes: list[int] = []
    real = keep.keep_rows

    async def counted(engine: AsyncEngine, new: Any, rows: Any) -> Any:
        sizes.append(len(rows))
        return await real(engine, new, rows)

    monkeypatch.setattr(keeping, "keep_rows", counted)
    return sizes


async def test_what_gathers_during_a_commit_shares_the_next_one(engine: AsyncEngine, commits: list[int]) -> None:
    keeper = GroupKeeper(engine)
    first = asyncio.create_task(keeper.keep(_new(0)))
    while not commits:
        await asyncio.sleep(0)
    rest = await asyncio.gather(*(keeper.keep(_new(number)) for number in range(1, 100)))
    ids = [(await first).message.id, *(one.message.id for one in rest)]
    assert commits == [1, 99]
    assert ids == sorted(ids), "who comes first has the lower id"
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(messages)) == 100


async def test_a_commit_holds_no_more_than_it_may(engine: AsyncEngine, commits: list[int]) -> None:
    keeper = GroupKeeper(engine, most=10, most_bytes=40)
    await asyncio.gather(*(keeper.keep(_new(1, data=b"x" * 3)) for _ in range(20)))
    await asyncio.gather(*(keeper.keep(_new(1, data=b"x" * 15)) for _ in range(4)), keeper.keep(_new(data=b"y" * 99)))
    assert commits == [10, 10, 2, 2, 1]


async def test_who_finds_no_room_waits_in_the_order_of_coming(engine: AsyncEngine, commits: list[int]) -> None:
    keeper = GroupKeeper(engine, most=3, room=3, room_bytes=1000)
    told = await asyncio.gather(*(keeper.keep(_new(number)) for number in range(30)))
    assert max(commits) <= 3 and sum(commits) == 30
    ids = [one.message.id for one in told]
    assert ids == sorted(ids)
    large = await asyncio.gather(*(keeper.keep(_new(number, data=b"z" * 2000)) for number in range(3)))
    assert {one.outcome for one in large} == {"kept"}, "what is larger than the room goes alone"


async def test_who_gives_up_waiting_leaves_the_place_to_the_next(engine: AsyncEngine) -> None:
    keeper = GroupKeeper(engine, most=1, room=1)
    tasks = [asyncio.create_task(keeper.keep(_new(number))) for number in range(6)]
    await asyncio.sleep(0)
    for task in (tasks[0], tasks[2], tasks[3]):
        task.cancel()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in told] == [True, False, True, True, False, False]
    await keeper.settled()
    assert (await keeper.keep(_new(9))).outcome == "kept", "its room is as large as before"
    assert (keeper._messages, keeper._bytes) == (0, 0)


async def test_duplicates_and_conflicts_in_one_commit_are_found(engine: AsyncEngine, commits: list[int]) -> None:
    keeper = GroupKeeper(engine)
    told = await asyncio.gather(
        *(keeper.keep(_new(data=b"a" if number % 2 else b"b", key=f"k{number // 4}")) for number in range(40))
    )
    assert Counter(one.outcome for one in told) == {"kept": 10, "duplicate": 10, "conflict": 20}
    assert len(commits) == 1


async def test_two_keepers_with_the_same_numbers_in_other_orders_end(engine: AsyncEngine) -> None:
    keepers = [GroupKeeper(engine), GroupKeeper(engine)]
    numbers = [f"k{number}" for number in range(200)]
    told = await asyncio.gather(
        *(keepers[0].keep(_new(key=number)) for number in numbers),
        *(keepers[1].keep(_new(key=number)) for number in reversed(numbers)),
    )
    assert Counter(one.outcome for one in told) == {"kept": 200, "duplicate": 200}


async def test_a_message_that_cannot_be_kept_takes_no_neighbour_with_it(engine: AsyncEngine) -> None:
    keeper = GroupKeeper(engine)
    poison = _new(13, priority=5).model_copy(update={"priority": 99_999})  # larger than its column
    told = await asyncio.gather(
        *(keeper.keep(poison if number == 13 else _new(number)) for number in range(40)), return_exceptions=True
    )
    assert [number for number, one in enumerate(told) if isinstance(one, Exception)] == [13]
    assert not isinstance(told[13], Unavailable)
    async with engine.connect() as connection:
        kept = await connection.scalars(select(messages.c.size).order_by(messages.c.id))
        assert len(list(kept)) == 39


async def test_a_database_that_is_away_is_told_to_all_who_wait_and_forgotten(engine: AsyncEngine) -> None:
    away = open_engine("postgresql://fascia@127.0.0.1:1/fascia", pool=1)
    keeper = GroupKeeper(away)
    told = await asyncio.gather(*(keeper.keep(_new(number)) for number in range(20)), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in told)
    keeper._engine = engine  # it is back
    assert (await keeper.keep(_new(1))).outcome == "kept"
    await away.dispose()


async def test_what_is_told_kept_is_in_another_connections_sight(engine: AsyncEngine) -> None:
    keeper, journal = GroupKeeper(engine), StoredJournal(engine)
    seen = []

    async def bring(number: int) -> None:
        kept = (await keeper.keep(_new(number))).message
        seen.append(await journal.read(kept.id) == kept)

    await asyncio.gather(*(bring(number) for number in range(50)))
    assert seen == [True] * 50


def test_ids_come_in_order_also_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime, timedelta

    ids, noon = IdsInOrder(), datetime(2026, 3, 4, 12, tzinfo=UTC)
    moments = iter(
        [noon, noon, noon - timedelta(hours=1), noon + timedelta(microseconds=1), noon + timedelta(seconds=1)]
    )
    monkeypatch.setattr("store.ids.now", lambda: next(moments))
    given = [ids.next() for _ in range(5)]
    assert given == sorted(given) and [at for _, at in given] == sorted({at for _, at in given})


def test_packed_bytes_come_out_as_they_went_in() -> None:
    packing, packed = pack(ADT)
    assert packing == HL7_2026 and len(packed) < len(ADT) * 0.6
    for data in (b"", b"a", ADT, ADT * 60, bytes(range(256)) * 4, b"\x00" * 500, "é\r".encode() * 300, ADT[:127]):
        assert unpack(*pack(data)) == data
    assert pack(bytes(range(256)))[0] == AS_IT_CAME, "what does not get smaller is left as it came"


async def test_a_packed_message_is_read_as_it_came(engine: AsyncEngine) -> None:
    journal = StoredJournal(engine)
    kept = await journal.keep(NewMessage(door="mllp", data=ADT, key="k"))
    async with engine.connect() as connection:
        row = (await connection.execute(select(messages.c.packing, messages.c.payload))).one()
    assert row.packing == HL7_2026 and len(row.payload) < len(ADT) * 0.6
    read = await journal.read(kept.message.id)
    again = await journal.keep(NewMessage(door="mllp", data=ADT, key="k"))
    assert read is not None and read.data == again.message.data == ADT


async def test_what_waits_behind_a_parked_stream_is_counted_and_set_aside(engine: AsyncEngine) -> None:
    journal = StoredJournal(engine)
    told = await journal.keep_many([_new(0, stream="bad") for _ in range(30)] + [_new(1, stream="good")])
    await journal.park("bad", told[0].message.id, "unknown code")
    (parked,) = await journal.parked()
    assert (parked.stream, parked.message, parked.reason, parked.behind) == (
        "bad",
        told[0].message.id,
        "unknown code",
        30,
    )
    assert parked.oldest == told[0].message.at
    streams: StoredStreams = journal
    assert [await streams.set_aside(20), await streams.set_aside(20), await streams.set_aside(20)] == [20, 10, 0]
    assert (await journal.parked())[0].behind == 30
    await journal.keep(_new(2, stream="bad"))
    assert [one.stream for one in await journal.next_to_route(0, 1)] == ["good"]
    await journal.unpark("bad")
    found = [one.id for one in await journal.next_to_route(0, 1) if one.stream == "bad"]
    assert len(found) == 31 and found == sorted(found) and await journal.parked() == []
