"""Weeks come and go, and with them what nobody needs any more; what is needed stays, however old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.messages import NewMessage
from canonical.senders import Sender
from store.acts import Act
from store.cases import StoredCases
from store.channels import StoredChannels
from store.ids import lowest_id, moment_of, new_id
from store.journal import StoredJournal
from store.partitions import StoredPartitions, week_of, weeks
from store.query_models import MessageQuery
from store.replays import StoredReplays
from store.retention import KeepFor, StoredRetention
from store.tables import message_keys, message_states, messages
from tests.store.build import SEAL_KEY, change
from workers.loops.journal_upkeep import JournalUpkeep

NOW = datetime(2031, 6, 18, 12, tzinfo=UTC)  # in weeks no other test has


@pytest.fixture
async def journal(engine: AsyncEngine) -> AsyncIterator[StoredJournal]:
    yield StoredJournal(engine)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM messages"))
    partitions = StoredPartitions(engine)
    for week in await partitions.weeks():
        if week.begins.year >= 2029:
            await partitions.drop(week, "false")
    await partitions.make_ahead(datetime.now(UTC))  # which were past every retention, as of then


async def _old(journal: StoredJournal, days: float, state: str = "routed", **fields: Any) -> str:
    new = NewMessage(**{"door": "mllp", "data": b"a", "at": NOW - timedelta(days=days)} | fields)
    kept = (await journal.keep(new)).message.id
    case = fields.get("case", "")
    if state != "received":
        await journal.mark(kept, state, case=case)
    return kept


async def _there(engine: AsyncEngine, table: str = "messages") -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_weeks_begin_on_monday_and_hold_the_ids_of_their_days() -> None:
    week = week_of(NOW)
    assert (week.monday.isoformat(), week.suffix) == ("2031-06-16", "w20310616")
    assert week.first <= new_id(week.begins) and new_id(week.ends - timedelta(microseconds=1)) < week.beyond
    assert new_id(week.begins - timedelta(microseconds=1)) < week.first and week.beyond <= new_id(week.ends)
    assert [one.monday.day for one in weeks(NOW, NOW + timedelta(days=14))] == [16, 23, 30]
    assert moment_of(new_id(NOW)) == NOW and lowest_id(NOW) <= new_id(NOW)


async def test_weeks_are_made_ahead_once_and_take_over_what_came_before_them(
    engine: AsyncEngine, journal: StoredJournal
) -> None:
    kept = await _old(journal, 0)
    assert await _there(engine, "messages_default") == 1
    partitions = StoredPartitions(engine)
    made = await partitions.make_ahead(NOW, 2)
    assert [week.monday.day for week in made] == [16, 23, 30] and await partitions.make_ahead(NOW, 2) == []
    for table in ("messages", "message_states"):
        assert (await _there(engine, f"{table}_default"), await _there(engine, f"{table}_w20310616")) == (0, 1)
    assert [state for state, _, _ in await journal.history(kept)] == ["received", "routed"]
    later = await _old(journal, -7)
    assert await _there(engine, "messages_w20310623") == 1 and (await journal.read(later)) is not None


async def test_each_sender_and_kind_has_its_own_time(engine: AsyncEngine, journal: StoredJournal) -> None:
    gone = [
        await _old(journal, 401),
        await _old(journal, 31, sender="LAB"),
        await _old(journal, 8, sender="LAB", kind="ORU^R01"),
        await _old(journal, 31, partner="ALPINE", kind="855"),
    ]
    stay = [
        await _old(journal, 399),
        await _old(journal, 29, sender="LAB"),
        await _old(journal, 399, sender="LAB", kind="ADT^A01"),
        await _old(journal, 31, partner="ALPINE", kind="850"),
    ]
    rules = [
        KeepFor(sender="LAB", days=30),
        KeepFor(sender="LAB", kind="ORU^R01", days=7),
        KeepFor(sender="LAB", kind="ADT^*", days=400),
        KeepFor(partner="ALPINE", kind="855", days=30),
    ]
    deleted = await StoredRetention(engine).clean(rules, NOW, at_once=1)
    assert deleted.messages == 4 and [await journal.read(one) for one in gone] == [None] * 4
    assert None not in [await journal.read(one) for one in stay]
    assert await _there(engine, "message_states") == 4, "states go with their messages"


async def test_what_is_not_settled_stays_however_old(engine: AsyncEngine, journal: StoredJournal) -> None:
    states = ("received", "validated", "routed", "refused", "dead")
    kept = {state: await _old(journal, 2000, state) for state in states}
    await StoredRetention(engine).clean([], NOW)
    assert [state for state, one in kept.items() if await journal.read(one)] == ["received", "validated", "dead"]


async def test_what_a_stream_waits_for_stays_so_that_a_person_can_let_it_go_on(
    engine: AsyncEngine, journal: StoredJournal
) -> None:
    refused = await _old(journal, 30, "refused", stream="hl7/WARD/order/1", sender="WARD")
    other = await _old(journal, 30, "refused", stream="hl7/WARD/order/2", sender="WARD")
    await journal.park("hl7/WARD/order/1", refused, "it conflicts")
    retention, rules = StoredRetention(engine), [KeepFor(sender="WARD", days=1)]
    await retention.clean(rules, NOW)
    assert await journal.read(refused) is not None and await journal.read(other) is None
    await journal.unpark("hl7/WARD/order/1")
    await retention.clean(rules, NOW)
    assert await journal.read(refused) is None


def test_a_message_is_kept_as_long_as_its_number_is_known() -> None:
    ward = Sender(code="WARD", facility="NGH", addresses=("10.2.0.0/16",), keep_for=1, duplicates_for=7)
    assert ward.days_kept == 7, "else a repeat of what was refused would be answered AA and nothing come of it"
    assert ward.changed(keep_for=30).days_kept == 30


async def test_what_an_open_case_came_from_stays(engine: AsyncEngine, journal: StoredJournal) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    await cases.record(change("open", 1))
    await cases.record(change("closed", 1, closed=True))
    kept = [await _old(journal, 2000, case=case) for case in ("open", "closed", "not yet recorded")]
    await StoredRetention(engine).clean([], NOW)
    assert [await journal.read(one) is not None for one in kept] == [True, False, True]


async def test_a_week_past_every_retention_goes_whole_and_what_is_needed_of_it_stays(
    engine: AsyncEngine, journal: StoredJournal
) -> None:
    partitions = StoredPartitions(engine)
    await StoredRetention(engine).clean([], NOW)  # the weeks of our own time go first
    await partitions.make_ahead(NOW - timedelta(days=420), 1)
    routed, dead = await _old(journal, 420), await _old(journal, 420, "dead")
    kept_longer = await StoredRetention(engine).clean([KeepFor(sender="LAB", days=900)], NOW, batches=0)
    assert kept_longer.weeks == (), "one sender's messages are kept longer"
    deleted = await StoredRetention(engine).clean([], NOW, batches=0)
    old = week_of(NOW - timedelta(days=420))
    assert deleted.weeks[0] == old.monday.isoformat() and old not in await partitions.weeks()
    assert await journal.read(routed) is None and (await journal.read(dead)) is not None
    assert [state for state, _, _ in await journal.history(dead)] == ["received", "dead"]


async def test_a_number_for_ever_is_known_after_its_bytes_are_gone(engine: AsyncEngine, journal: StoredJournal) -> None:
    first = await _old(journal, 2000, key="x12/1")
    await StoredRetention(engine).clean([], NOW)
    again = await journal.keep(NewMessage(door="sftp", data=b"a", key="x12/1"))
    other = await journal.keep(NewMessage(door="sftp", data=b"b", key="x12/1"))
    assert (again.outcome, again.message.id, other.outcome) == ("duplicate", first, "conflict")


async def test_keys_go_when_their_time_is_over(engine: AsyncEngine, journal: StoredJournal) -> None:
    for days, remember in ((10, 7), (1, 7), (10, None)):
        week = timedelta(days=remember) if remember else None
        await _old(journal, days, key=f"{days}/{remember}", remember=week)
    assert (await StoredRetention(engine).clean([], NOW, at_once=1)).keys == 1
    async with engine.connect() as connection:
        left = await connection.scalars(select(message_keys.c.key).order_by(message_keys.c.key))
        assert list(left) == ["1/7", "10/None"]


async def test_the_loop_makes_weeks_sets_aside_and_deletes(engine: AsyncEngine, journal: StoredJournal) -> None:
    clock = iter([NOW, NOW + timedelta(minutes=1), NOW + timedelta(hours=2)])
    partitions = StoredPartitions(engine)
    retention = StoredRetention(engine, partitions)

    async def rules() -> list[KeepFor]:
        return [KeepFor(sender="LAB", days=30)]

    upkeep = JournalUpkeep(partitions, retention, journal, rules=rules, clock=lambda: next(clock))
    waits = await _old(journal, 0, "received", stream="bad")
    await journal.park("bad", waits, "unknown code")
    await _old(journal, 31, sender="LAB")
    await upkeep.once()
    assert week_of(NOW) in await partitions.weeks() and await _there(engine) == 1
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(messages).where(messages.c.parked)) == 1
    await _old(journal, 31, sender="LAB")
    await upkeep.once()
    assert await _there(engine) == 2, "not again within the hour"
    await upkeep.once()
    assert await _there(engine) == 1
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(message_states)) == 0


async def test_a_place_in_a_channels_queue_goes_with_its_answered_message_and_what_is_unanswered_stays(
    engine: AsyncEngine, journal: StoredJournal
) -> None:
    channels = StoredChannels(engine)
    ages = {"new": 10, "old": 40, "old and dropped with its week": 800, "unanswered": 800, "dead": 800}
    await StoredPartitions(engine).make_ahead(NOW - timedelta(days=805))
    for name, days in ages.items():
        at = NOW - timedelta(days=days)
        new = NewMessage(door="channel", data=name.encode(), control_number=name, key=name, at=at)
        message = (await channels.put("LAB", new)).message.id
        answered = name not in ("unanswered", "dead")
        await journal.mark(message, "acknowledged" if answered else "dead" if name == "dead" else "sent")
        state = "answered" if answered else "dead" if name == "dead" else "sent"
        async with engine.begin() as connection:
            await connection.execute(
                text("UPDATE outbound SET state = :state WHERE control_id = :name"), {"state": state, "name": name}
            )
    for _ in range(2):
        await StoredRetention(engine).clean([KeepFor(partner="LAB", days=30)], NOW, days=30)
    async with engine.connect() as connection:
        left = set(await connection.scalars(text("SELECT control_id FROM outbound")))
        there = set(await connection.scalars(text("SELECT control_number FROM messages WHERE direction = 'out'")))
    assert left == there == {"new", "unanswered", "dead"}


async def test_places_of_a_week_that_was_dropped_before_they_could_be_cleared_are_cleared_later(
    engine: AsyncEngine, journal: StoredJournal
) -> None:
    channels = StoredChannels(engine)
    new = NewMessage(door="channel", data=b"a", control_number="M1", key="M1", at=NOW - timedelta(days=800))
    await channels.put("LAB", new)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE outbound SET state = 'answered'"))
        await connection.execute(text("DELETE FROM messages"))
    await StoredRetention(engine).clean([], NOW)
    assert await _there(engine, "outbound") == 0


async def test_a_replay_goes_with_the_last_of_its_messages_and_one_at_work_stays(
    engine: AsyncEngine, journal: StoredJournal
) -> None:
    replays, act = (
        StoredReplays(engine),
        Act(verb="journal replay", about="", actor=Actor(id="mito", known_by="os_user")),
    )
    old, young = await _old(journal, 500, sender="GONE"), await _old(journal, 10, sender="BOTH")
    also = await _old(journal, 450, sender="BOTH")
    jobs = {
        "gone": await replays.open(MessageQuery(sender="GONE"), act),
        "left": await replays.open(MessageQuery(sender="BOTH"), act),
        "at work": await replays.open(MessageQuery(sender="GONE"), act),
    }
    async with engine.begin() as connection:
        for name in ("gone", "left"):
            ended = {"job": jobs[name].id, "at": NOW - timedelta(days=401)}
            await connection.execute(
                text("UPDATE replay_jobs SET state = 'done', ended_at = :at WHERE id = :job"), ended
            )
    deleted = await StoredRetention(engine).clean([], NOW)
    assert (deleted.messages, deleted.replays) == (2, 1)
    assert await journal.read(old) is None and await journal.read(also) is None and await journal.read(young)
    assert {one.id for one in await replays.jobs()} == {jobs["left"].id, jobs["at work"].id}
    assert await replays.items(jobs["gone"].id) == [] and len(await replays.items(jobs["left"].id)) == 2
    assert (await StoredRetention(engine).clean([], NOW)).replays == 0
