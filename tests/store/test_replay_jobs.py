"""Dead letters are previewed, replayed as a job that survives a kill, corrected in their place or passed over; nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import FasciaError, Rejected
from canonical.replays import CONFLICT, DONE, NEW, NOT_REPLAYED, UNREADABLE
from cli.house import MessageFilter
from store.acts import StoredActs
from tests.gateway.hl7_house import head, order, text
from tests.store.replay_house import DEAD, HERE, ME, ReplayHouse, unknown
from workers.loops.pace import turns
from workers.loops.replay_jobs import ReplayJobs

WORKER = (sys.executable, "-m", "tests.store.one_replayer")


@pytest.fixture
async def ward(engine: AsyncEngine, tmp_path: Path) -> ReplayHouse:
    made = ReplayHouse(engine, tmp_path)
    await made.register()
    return made


def case(number: str) -> str:
    return f"procure_to_pay/NGH/ward-desk/{number}"


# ---- preview -----------------------------------------------------------------------------------------------------------


async def test_a_preview_says_what_each_message_would_come_to_and_changes_nothing(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"), order("W-2", "REQ-2"), unknown("W-3", "REQ-3"), unknown("W-4", "REQ-3"))
    before = await ward.states()
    assert before == {"W-1": "dead", "W-2": "routed", "W-3": "dead", "W-4": "received"}
    (first, third) = await ward.replays.preview_all(DEAD, 10)
    assert (first.outcome, first.state, first.owner) == (UNREADABLE, "dead", "Ward integration")
    assert "NEW-9" in first.detail and third.outcome == UNREADABLE
    await ward.mend()
    everything = {one.control_number: one for one in await ward.replays.preview_all(MessageFilter(sender="WARD"), 10)}
    told = {control: one.outcome for control, one in everything.items()}
    assert told == {"W-1": NEW, "W-2": DONE, "W-3": NEW, "W-4": NOT_REPLAYED}
    assert everything["W-1"].cases == (case("REQ-1"),)
    added = {one.path: (one.was, one.now) for one in everything["W-1"].differences}
    assert added["requisition REQ-1 lines.1.item"] == ("", "ITM-1002")
    assert added["requisition REQ-1 lines.1.quantity"] == ("", "4 BX")
    assert await ward.states() == before and ward.starts.asked == [case("REQ-2")]
    assert await ward.stored.jobs() == []


async def test_what_is_known_with_other_content_would_conflict_and_differs_where_it_differs(ward: ReplayHouse) -> None:
    await ward.sends(order("W-1", "REQ-1"), order("W-2", "REQ-1", quantity="9"))
    message = await ward.message("W-2")
    assert (message.state, message.owner) == ("refused", "Ward integration")
    told = await ward.replays.preview(message.id)
    assert told.outcome == CONFLICT
    assert [(one.path, one.was, one.now) for one in told.differences] == [
        ("requisition REQ-1 lines.1.quantity", "4 BX", "9 BX")
    ]
    with pytest.raises(Rejected, match="other content"):
        await ward.replays.one(message.id, "", False)
    row = await ward.replays.begin(MessageFilter(state="refused"), "try")
    await ward.work()
    assert (await ward.job(row.replay)).outcomes == {CONFLICT: 1}
    assert await ward.message("W-2") == message and ward.starts.asked == [case("REQ-1")]


async def test_the_second_of_two_alike_is_done_by_the_first_of_the_list(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"))
    await ward.wiring.journal.unpark((await ward.message("W-1")).stream)
    await ward.sends(unknown("W-2", "REQ-1"))
    await ward.mend()
    first, second = await ward.replays.preview_all(DEAD, 10)
    assert (first.outcome, second.outcome) == (NEW, DONE) and first.message in second.detail
    row = await ward.replays.begin(DEAD, "the table is mended")
    await ward.work()
    assert (await ward.job(row.replay)).outcomes == {NEW: 1, DONE: 1} and ward.starts.asked == [case("REQ-1")]


# ---- one and many -------------------------------------------------------------------------------------------------------


async def test_one_is_replayed_by_its_router_and_its_stream_goes_on_behind_it(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"), order("W-2", "REQ-1").replace(b"ITM-1^Glove", b"NEW-9^Glove"))
    dead = await ward.message("W-1")
    assert [one.message for one in await ward.journal.parked()] == [dead.id]
    again = await ward.replays.one(dead.id, "look again", False)
    assert (again.state, again.outcome) == ("dead", UNREADABLE) and len(await ward.journal.parked()) == 1
    await ward.mend()
    done = await ward.replays.one(dead.id, "the table is mended", False)
    assert (done.before, done.state, done.case, done.outcome) == ("dead", "routed", case("REQ-1"), NEW)
    assert await ward.journal.parked() == []
    await ward.route()
    assert await ward.states() == {"W-1": "routed", "W-2": "routed"} and ward.starts.asked == [case("REQ-1")]
    twice = await ward.replays.one(dead.id, "", False)
    assert (twice.state, twice.outcome) == ("routed", DONE) and ward.starts.asked == [case("REQ-1")]
    history = [reason for _, reason, _ in await ward.journal.history(dead.id)]
    assert f"replayed by mito (os_user): the table is mended [replay {done.replay}]" in history
    assert done.replay in [item.job for item in await ward.stored.of_message(dead.id)]
    assert [one.state for one in await ward.wiring.cases.unmatched("")] == ["set_aside"], "nobody has to look any more"


async def test_many_are_replayed_as_a_job_with_a_result_for_each(ward: ReplayHouse) -> None:
    await ward.sends(*(unknown(f"W-{n}", f"REQ-{n}") for n in range(5)), order("W-9", "REQ-9", quantity="0"))
    await ward.mend()
    row = await ward.replays.begin(DEAD, "the table is mended")
    assert (row.state, row.total, row.done) == ("waiting", 6, 0)
    await ward.work()
    shown = await ward.replays.show(row.replay, "", 50)
    assert shown is not None and (shown.state, shown.done) == ("done", 6)
    assert shown.outcomes == {NEW: 5, UNREADABLE: 1} and shown.ended_at is not None
    assert [(one.before, one.outcome, one.case) for one in shown.items[:2]] == [
        ("dead", NEW, case("REQ-0")),
        ("dead", NEW, case("REQ-1")),
    ]
    assert "more than nothing" in shown.items[5].detail
    deeds = await StoredActs(ward.wiring.database).acts(f"replay/{row.replay}")
    assert [(one.verb, one.actor, one.reason) for one in deeds] == [("journal replay", ME, "the table is mended")]
    again = await ward.replays.begin(MessageFilter(sender="WARD"), "once more")
    await ward.work()
    assert (await ward.job(again.replay)).outcomes == {DONE: 5, UNREADABLE: 1}
    assert sorted(ward.starts.asked) == [case(f"REQ-{n}") for n in range(5)]


async def test_a_cancelled_job_routes_nothing_more_and_tells_what_it_did(ward: ReplayHouse) -> None:
    await ward.sends(*(unknown(f"W-{n}", f"REQ-{n}") for n in range(4)))
    await ward.mend()
    row = await ward.replays.begin(DEAD, "mended")
    job = await ward.job(row.replay)
    await ward.wiring.replayer().do(job, (await ward.stored.due(job.id, job.made_at.replace(year=2099)))[:1])
    assert (await ward.job(row.replay)).state == "running"
    gone = await ward.replays.cancel(row.replay, "the wrong table")
    await ward.work()
    assert (gone.state, gone.done, gone.cancelled_by) == ("cancelled", 1, "mito") and len(ward.starts.asked) == 1
    items = await ward.stored.items(row.replay)
    assert [one.state for one in items] == ["done", "cancelled", "cancelled", "cancelled"]
    with pytest.raises(Rejected, match="cancelled already"):
        await ward.replays.cancel(row.replay, "again")


async def test_what_is_away_is_waited_for_in_order_and_spends_nothing(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"))
    await ward.mend()
    ward.starts.away = True
    waits = await ward.replays.one((await ward.message("W-1")).id, "mended", False)
    assert (waits.state, waits.outcome) == ("dead", "") and len(await ward.journal.parked()) == 1
    await ward.work()
    assert (await ward.job(waits.replay)).state in ("waiting", "running")
    ward.starts.away = False
    await ward.works_until_done(waits.replay)
    assert (await ward.job(waits.replay)).outcomes == {NEW: 1} and (await ward.states())["W-1"] == "routed"


async def test_a_job_of_nothing_or_of_the_whole_journal_is_refused(ward: ReplayHouse) -> None:
    with pytest.raises(Rejected, match="no message fits"):
        await ward.replays.begin(DEAD, "x")
    with pytest.raises(FasciaError, match="which messages"):
        await ward.replays.begin(MessageFilter(), "x")


# ---- a kill, and two workers --------------------------------------------------------------------------------------------


async def test_a_worker_killed_in_the_middle_is_followed_by_one_that_does_the_rest(
    ward: ReplayHouse, server: str, tmp_path: Path
) -> None:
    await ward.sends(*(unknown(f"W-{n}", f"REQ-{n}") for n in range(150)))
    await ward.mend()
    row = await ward.replays.begin(DEAD, "mended")
    process = await asyncio.create_subprocess_exec(*WORKER, f"{server}/fascia", str(tmp_path), stdout=subprocess.PIPE)
    async with asyncio.timeout(120):
        while len(ward.starts.asked) <= 110:  # a hundred are done and written down, some of the next are done and not
            await asyncio.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    half = await ward.job(row.replay)
    assert half.state == "running" and half.done == 100
    done_before = len(ward.starts.asked)
    await ward.work()
    whole = await ward.job(row.replay)
    assert (whole.state, whole.done) == ("done", 150)
    assert set(ward.starts.asked) == {case(f"REQ-{n}") for n in range(150)}
    assert len(ward.starts.asked) - done_before <= 50, "what was written down is not asked for again"
    assert set((await ward.states()).values()) == {"routed"} and await ward.journal.parked() == []


async def test_two_workers_do_no_item_twice(ward: ReplayHouse, engine: AsyncEngine) -> None:
    await ward.sends(*(unknown(f"W-{n}", f"REQ-{n}") for n in range(60)))
    await ward.mend()
    row = await ward.replays.begin(DEAD, "mended")
    turn = turns(engine)

    async def worker() -> None:
        loop = ReplayJobs(ward.stored, ward.wiring.replayer())
        for _ in range(2400):
            async with turn("replay jobs") as mine:
                if mine:
                    await loop.once()
            if (await ward.job(row.replay)).state == "done":
                return
            await asyncio.sleep(0.05)

    await asyncio.gather(worker(), worker())
    assert sorted(ward.starts.asked) == sorted(case(f"REQ-{n}") for n in range(60))


# ---- correcting and passing over ----------------------------------------------------------------------------------------


async def test_a_correction_is_a_new_version_routed_in_its_place_and_the_original_stays(ward: ReplayHouse) -> None:
    bad, behind = unknown("W-1", "REQ-1"), order("W-2", "REQ-1", quantity="5")
    await ward.sends(bad, behind)
    dead = await ward.message("W-1")
    mended = order("W-1", "REQ-1", quantity="5")
    seen = await ward.replays.correct(dead.id, mended, "", True)
    assert (seen.outcome, seen.message) == (NEW, "") and (await ward.message("W-1")).state == "dead"
    done = await ward.replays.correct(dead.id, mended, "they meant ITM-1", False)
    assert (done.state, done.case, done.outcome) == ("routed", case("REQ-1"), NEW)
    original, version = await ward.journal.read(dead.id), await ward.journal.read(done.message)
    assert original is not None and (original.data, original.hash, original.state) == (bad, dead.hash, "corrected")
    assert version is not None and (version.version_of, version.data, version.stream) == (dead.id, mended, dead.stream)
    assert "corrected by mito (os_user)" in original.reason and "they meant ITM-1" in original.reason
    assert await ward.journal.parked() == []
    await ward.route()
    assert (await ward.states())["W-2"] == "routed" and ward.starts.asked == [case("REQ-1")]
    again = await ward.door.take(bad, HERE)
    assert b"MSA|AA|W-1" in again[0], "its sender is answered as before"
    with pytest.raises(Rejected, match="corrected already"):
        await ward.replays.correct(dead.id, order("W-1", "REQ-1", quantity="6"), "again", False)
    with pytest.raises(Rejected, match="was corrected"):
        await ward.replays.one(dead.id, "", False)


async def test_a_correction_shows_what_it_changes_and_one_that_is_no_better_can_be_corrected(ward: ReplayHouse) -> None:
    await ward.sends(order("W-1", "REQ-1"), order("W-2", "REQ-1", quantity="9"))
    refused = await ward.message("W-2")
    new = order("W-2", "REQ-2", quantity="9")
    seen = await ward.replays.correct(refused.id, new, "", True)
    assert ("requisition REQ-2 number", "", "REQ-2") in [(d.path, d.was, d.now) for d in seen.preview.differences]
    worse = await ward.replays.correct(refused.id, unknown("W-2", "REQ-2"), "try", False)
    assert (worse.state, worse.outcome) == ("dead", UNREADABLE)
    assert [one.message for one in await ward.journal.parked()] == [worse.message]
    good = await ward.replays.correct(worse.message, new, "REQ-2 is free", False)
    assert (good.state, good.case) == ("routed", case("REQ-2")) and await ward.journal.parked() == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (unknown("W-1", "REQ-1"), "nothing is corrected"),
        (order("W-1", "REQ-1", quantity="many"), "its door would refuse it"),
        (text(head("W-1", "ADT^A08^ADT_A01"), "EVN||20261102", "PID|1||7^^^NGH^MR||TEST^A", "PV1|1|I"), "MSH-9"),
        (b"hello", "MSH"),
    ],
)
async def test_bytes_its_door_would_refuse_are_no_correction(ward: ReplayHouse, data: bytes, said: str) -> None:
    await ward.sends(unknown("W-1", "REQ-1"))
    dead = await ward.message("W-1")
    with pytest.raises(FasciaError, match=said):
        await ward.replays.correct(dead.id, data, "x", False)
    assert await ward.message("W-1") == dead and await ward.stored.jobs() == []


async def test_a_routed_message_is_not_corrected_but_on_its_case(ward: ReplayHouse) -> None:
    await ward.sends(order("W-1", "REQ-1"))
    with pytest.raises(Rejected, match="only what was not taken"):
        await ward.replays.correct((await ward.message("W-1")).id, order("W-1", "REQ-1", quantity="5"), "x", False)


async def test_while_temporal_is_away_a_correction_keeps_its_place_and_a_worker_brings_it(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"), order("W-2", "REQ-1"))
    ward.starts.away = True
    done = await ward.replays.correct((await ward.message("W-1")).id, order("W-1", "REQ-1"), "mended", False)
    assert (done.outcome, len(await ward.journal.parked())) == ("", 1)
    ward.starts.away = False
    await ward.route()
    assert (await ward.states())["W-2"] == "received", "nothing goes before the correction"
    await ward.works_until_done(done.replay)
    await ward.route()
    assert (await ward.states())["W-2"] == "routed" and await ward.journal.parked() == []


async def test_a_correction_whose_replay_is_cancelled_is_a_dead_letter_its_stream_waits_for(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"), order("W-2", "REQ-1", quantity="7"))
    ward.starts.away = True
    mended = order("W-1", "REQ-1", quantity="7")
    waits = await ward.replays.correct((await ward.message("W-1")).id, mended, "mended", False)
    await ward.replays.cancel(waits.replay, "look again first")
    ward.starts.away = False
    (parked,) = await ward.replays.parked()
    assert (parked.message, parked.behind) == (waits.message, 1) and "skip it" in parked.reason
    left = await ward.journal.read(waits.message)
    assert left is not None and (left.state, left.owner) == ("dead", "Ward integration")
    await ward.route()
    assert (await ward.states())["W-2"] == "received", "nothing went past it"
    done = await ward.replays.one(waits.message, "it is right", False)
    assert (done.state, done.case) == ("routed", case("REQ-1")) and await ward.replays.parked() == []
    await ward.route()
    assert (await ward.states())["W-2"] == "routed"


async def test_a_dead_letter_passed_over_lets_its_stream_go_on_and_says_who_and_why(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"), order("W-2", "REQ-1"))
    dead = await ward.message("W-1")
    assert (await ward.replays.skip(dead.id, "", True)).stream_goes_on and len(await ward.journal.parked()) == 1
    done = await ward.replays.skip(dead.id, "the ward ordered by phone", False)
    assert done.stream_goes_on and await ward.journal.parked() == []
    after = await ward.message("W-1")
    assert (after.state, after.reason) == ("skipped", "passed over by mito (os_user): the ward ordered by phone")
    await ward.route()
    assert (await ward.states())["W-2"] == "routed"
    (deed,) = await StoredActs(ward.wiring.database).acts(f"message/{dead.id}")
    assert (deed.verb, deed.actor, deed.reason) == ("journal skip", ME, "the ward ordered by phone")
    assert [one.state for one in await ward.wiring.cases.unmatched("")] == ["set_aside"]
    with pytest.raises(Rejected, match="only a dead or refused"):
        await ward.replays.skip((await ward.message("W-2")).id, "x", False)
    await ward.mend()
    back = await ward.replays.preview(dead.id)
    assert back.outcome == CONFLICT, "the one behind it took its number"


async def test_where_a_senders_streams_go_on_a_correction_leaves_none_parked(ward: ReplayHouse) -> None:
    await ward.streams_go_on()
    await ward.sends(unknown("W-1", "REQ-1"))
    dead = await ward.message("W-1")
    assert dead.state == "dead" and await ward.journal.parked() == []
    worse = await ward.replays.correct(dead.id, unknown("W-1", "REQ-7"), "try", False)
    assert worse.state == "dead" and await ward.journal.parked() == []
