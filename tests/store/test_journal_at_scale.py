"""Many keepers, few commits: nobody waits for more than the commit under way, and nobody is lost with another's trouble."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

import store.keep
from canonical.errors import Unavailable
from canonical.messages import KeepResult, NewMessage
from gateway.keeping import Line
from store.ids import IdsInOrder
from store.journal import StoredJournal
from store.packing import AS_IT_CAME, HL7_2026, pack, unpack
from store.streams import StoredStreams
from store.tables import message_keys, messages

ADT = (
    b"MSH|^~\\&|WARD|NGH|FASCIA|NGH|20260304101500||ADT^A01^ADT_A01|0000000001|P|2.5.1|||AL|NE||UNICODE UTF-8\r"
    b"EVN|A01|20260304101500|||OKAFOR7\rPID|1||48120377^^^NGH^MR||Lindqvist^Amara^C||19680211|F|||12 Mill Street^^"
    b"Springfield^IL^62704^USA||(555)555-0143|||S||100200300\rPV1|1|I|3W^214^1^NGH||||4471^Haddad^Yuki^^^DR\r"
)


def _new(number: int = 0, **fields: Any) -> NewMessage:
    return NewMessage(**{"door": "mllp", "data": f"{number}".encode(), "stream": f"s{number % 7}"} | fields)


class CountedJournal(StoredJournal):
    """Our own journal, which says how many messages each commit was for."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.commits: list[int] = []

    async def keep_many(self, brought: Sequence[NewMessage]) -> list[KeepResult]:
        self.commits.append(len(brought))
        return await super().keep_many(brought)


async def _kept(line: Line, message: NewMessage) -> KeepResult:
    (told,) = await line.kept(line.join([message]))
    return told


async def test_what_gathers_during_a_commit_shares_the_next_one(engine: AsyncEngine) -> None:
    journal = CountedJournal(engine)
    line = Line(journal)
    first = asyncio.create_task(_kept(line, _new(0)))
    while not journal.commits:
        await asyncio.sleep(0)
    rest = await asyncio.gather(*(_kept(line, _new(number)) for number in range(1, 100)))
    ids = [(await first).message.id, *(one.message.id for one in rest)]
    assert journal.commits == [1, 99]
    assert ids == sorted(ids), "who comes first has the lower id"
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(messages)) == 100


async def test_duplicates_and_conflicts_in_one_commit_are_found(engine: AsyncEngine) -> None:
    journal = CountedJournal(engine)
    line = Line(journal)
    told = await asyncio.gather(
        *(_kept(line, _new(data=b"a" if number % 2 else b"b", key=f"k{number // 4}")) for number in range(40))
    )
    assert Counter(one.outcome for one in told) == {"kept": 10, "duplicate": 10, "conflict": 20}
    assert len(journal.commits) == 1


async def test_two_doors_with_the_same_numbers_in_other_orders_end(engine: AsyncEngine) -> None:
    lines = [Line(StoredJournal(engine)), Line(StoredJournal(engine))]
    numbers = [f"k{number}" for number in range(200)]
    told = await asyncio.gather(
        *(_kept(lines[0], _new(key=number)) for number in numbers),
        *(_kept(lines[1], _new(key=number)) for number in reversed(numbers)),
    )
    assert Counter(one.outcome for one in told) == {"kept": 200, "duplicate": 200}


async def test_a_message_that_cannot_be_kept_takes_no_neighbour_with_it(engine: AsyncEngine) -> None:
    line = Line(StoredJournal(engine))
    poison = _new(13, priority=5).model_copy(update={"priority": 99_999})  # larger than its column
    told = await asyncio.gather(
        *(_kept(line, poison if number == 13 else _new(number)) for number in range(40)), return_exceptions=True
    )
    assert [number for number, one in enumerate(told) if isinstance(one, Exception)] == [13]
    assert not isinstance(told[13], Unavailable)
    async with engine.connect() as connection:
        kept = await connection.scalars(select(messages.c.size).order_by(messages.c.id))
        assert len(list(kept)) == 39


async def test_what_is_told_kept_is_in_another_connections_sight(engine: AsyncEngine) -> None:
    line, journal = Line(StoredJournal(engine)), StoredJournal(engine)
    seen = []

    async def bring(number: int) -> None:
        kept = (await _kept(line, _new(number))).message
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


async def test_what_says_nothing_unusual_is_written_as_everything_is(engine: AsyncEngine) -> None:
    journal = StoredJournal(engine)
    said: dict[str, Any] = {
        "door": "mllp", "data": ADT, "sender": "WARD", "kind": "ADT^A01", "control_number": "1", "trace": "t", "stream": "s",
        "priority": 3, "occurred": datetime(2026, 3, 4, tzinfo=UTC), "remember": timedelta(days=1),
    }  # fmt: skip
    await journal.keep_many([NewMessage(**said, key="usual")])
    await journal.keep_many([NewMessage(**said, key="beside"), NewMessage(door="mllp", data=b"x", note="odd")])
    own = ("id", "at", "key")
    async with engine.connect() as connection:
        asked = select(*(column for column in messages.c if column.name not in own)).where(messages.c.sender == "WARD")
        usual, beside = (await connection.execute(asked)).all()
        keys = (await connection.execute(select(message_keys.c.direction, message_keys.c.hash))).all()
    assert usual == beside
    assert keys[0] == keys[1] and len(keys) == 2


async def test_keeping_over_a_connection_the_server_cut_is_unavailable_and_leaves_nothing(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, usual = StoredJournal(engine), store.keep._KEEP_USUAL
    with monkeypatch.context() as patched:
        cut = usual.replace("RETURNING id", "AND pg_terminate_backend(pg_backend_pid()) RETURNING id")
        patched.setattr("store.keep._KEEP_USUAL", cut)
        with pytest.raises(Unavailable):
            await journal.keep(_new(1, key="k"))
    assert (await journal.keep(_new(1, key="k"))).outcome == "kept"
    assert (await journal.keep(_new(1, key="k"))).outcome == "duplicate"
