"""One worker sends for a target at a time, its pause and rate hold for all, and the applications answer when they like."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from canonical.senders import Channel
from store.acts import Act
from store.channels import StoredChannels, Word
from tests.adapters.mllp_server import Call, ack, message, mllp_server
from tests.certificates import Authority
from tests.store.build import NOW
from tests.store.channel import Terms, lane
from tests.store.channel_house import IDS, ME, application, scripted, settled, started
from workers.channels import ways
from workers.loops.channel_sender import LEASE, ChannelSender
from workers.loops.channels import UNFIT_AGAIN, ChannelSenders


async def test_two_workers_on_one_channel_double_nothing_and_keep_its_order(engine: AsyncEngine) -> None:
    ids = [f"M{number:03}" for number in range(60)]
    async with lane(engine) as one:
        loops = [one.loop("one"), one.loop("two")]
        await one.put(*ids[:20])

        async def work(loop: ChannelSenders) -> None:
            while len(one.server.ids) < len(ids):
                await loop.once()
                await asyncio.sleep(0.01)

        async def write() -> None:
            for control_id in ids[20:]:
                await one.put(control_id)

        async with asyncio.timeout(120):
            await asyncio.gather(write(), *map(work, loops))
        await asyncio.gather(*(loop.close() for loop in loops))
        assert one.server.ids == ids and len(one.server.calls) == 1, "one stream, not two"


async def test_when_a_worker_stops_another_takes_over_at_once(engine: AsyncEngine) -> None:
    async with lane(engine) as one:
        first, second = one.loop("one"), one.loop("two")
        await one.put("M1")
        while not one.server.ids:
            await first.once()
            await asyncio.sleep(0.01)
        await first.close()
        await one.put("M2")
        async with asyncio.timeout(60):
            while len(one.server.ids) < 2:
                await second.once()
                await asyncio.sleep(0.01)
        await second.close()
        assert one.server.ids == ["M1", "M2"] and set((await one.states()).values()) == {"answered"}


async def test_a_worker_that_was_cut_off_writes_nothing_once_another_has_taken_over(engine: AsyncEngine) -> None:
    taken_over = asyncio.Event()

    async def slow(call: Call, control_id: str) -> None:
        if len(call.server.got) == 1:
            await taken_over.wait()
            await call.say(ack(control_id, "AR"))
        else:
            await call.say(ack(control_id, "AA"))

    async with lane(engine, slow) as one:
        await one.put("M1")
        cut_off, other = one.sender("one"), one.sender("two")
        task = asyncio.create_task(cut_off.drain(asyncio.Event()))
        while not one.server.got:
            await asyncio.sleep(0.01)
        await one.end_lease()
        await one.drain(other)
        taken_over.set()
        await task
        assert one.server.got == [message("M1")] * 2 and await one.states() == {"M1": "answered"}


async def test_a_worker_that_stood_still_past_its_lease_sends_nothing_old_when_it_wakes(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lane(engine) as one:
        await one.put(*IDS)
        stands, other, sending = one.sender("one"), one.sender("two"), one.store.sending

        async def stopped(*given: Any) -> bool:  # SIGSTOP when its word was written, SIGCONT when another has done all
            monkeypatch.setattr(one.store, "sending", sending)
            held = await sending(*given)
            await one.end_lease()
            await one.drain(other)
            one.ticks += 60
            return held

        monkeypatch.setattr(one.store, "sending", stopped)
        await stands.drain(asyncio.Event())
        assert one.server.ids == IDS, "M1 does not come again after M5"
        assert set((await one.states()).values()) == {"answered"}


async def test_every_word_of_a_worker_holds_only_while_the_lease_is_its_own_and_nothing_leaves_after_a_pause(
    engine: AsyncEngine,
) -> None:
    async with lane(engine) as one:
        await one.put("M1")
        turn = await one.store.turn("LAB", "one", LEASE)
        assert turn is not None and turn.head is not None
        assert await one.store.turn("LAB", "two", LEASE) is None
        await one.keeping.pause("LAB", Act(verb="channel pause", about="channel/LAB", actor=ME, reason="they update"))
        assert not await one.store.sending(turn.head, turn.standing, "one", one.clock(), LEASE)
        await one.keeping.resume("LAB", Act(verb="channel resume", about="channel/LAB", actor=ME))
        await one.end_lease()
        other = await one.store.turn("LAB", "two", LEASE)
        assert other is not None and await one.store.renew("one", LEASE) == []
        broken = turn.standing.changed(failures=9)
        assert not await one.store.sending(turn.head, broken, "one", one.clock(), LEASE)
        assert not await one.store.unreached(turn.head, broken, "one", one.clock(), one.clock())
        assert not await one.store.ended(turn.head, broken, "one", one.clock(), "dead", Word(code="AR"))
        assert await one.states() == {"M1": "waiting"} and (await one.keeping.standings())[0].failures == 0
        assert await one.history("M1") == [("validated", "")]


async def test_a_sender_killed_before_it_noted_the_answer_repeats_the_same_bytes_at_most(
    engine: AsyncEngine, server: str
) -> None:
    process: subprocess.Popen[bytes] | None = None

    async def killing(call: Call, control_id: str) -> None:
        if control_id == "M2" and process is not None and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        await call.say(ack(control_id))

    async with lane(engine, killing) as one:
        await one.put(*IDS)
        host, port = one.server.address[:2]
        process = started(f"{server}/fascia", host, str(port))
        async with asyncio.timeout(120):
            while process.poll() is None:
                await asyncio.sleep(0.02)
        assert process.returncode == -signal.SIGKILL and (await one.states())["M2"] == "sent"
        await one.sender().drain(asyncio.Event())
        assert one.server.ids == ["M1", "M2"], "its lease still runs"
        await one.end_lease()
        await one.drain()
        assert one.server.ids == ["M1", "M2", "M2", "M3", "M4", "M5"]
        assert one.server.got[1] == one.server.got[2] and set((await one.states()).values()) == {"answered"}


async def test_a_pause_holds_from_the_next_message_on_and_says_who_and_why(engine: AsyncEngine) -> None:
    async with lane(engine) as one:

        async def pausing(call: Call, control_id: str) -> None:
            if control_id == "M2":
                act = Act(verb="channel pause", about="channel/LAB", actor=ME, reason="they update")
                await one.keeping.pause("LAB", act)
            await call.say(ack(control_id))

        one.server.script = pausing
        await one.put(*IDS)
        sender = one.sender()
        await sender.drain(asyncio.Event())
        assert one.server.ids == ["M1", "M2"] and await one.store.due(one.clock()) == []
        (standing,) = await one.keeping.standings()
        assert (standing.paused_by, standing.paused_why) == ("mito", "they update")
        await one.keeping.resume("LAB", Act(verb="channel resume", about="channel/LAB", actor=ME))
        await one.drain(sender)
        assert one.server.ids == IDS


async def test_a_targets_rate_is_kept_also_by_the_worker_that_takes_over(engine: AsyncEngine) -> None:
    moments: list[float] = []
    async with lane(engine, per_second=5.0) as one:

        async def timed(call: Call, control_id: str) -> None:
            moments.append(one.clock.seconds)
            await call.say(ack(control_id))

        one.server.script = timed
        ids = [f"M{number}" for number in range(30)]
        await one.put(*ids[:15])
        first = one.sender("one")
        await one.drain(first)
        await first.close()
        await one.put(*ids[15:])
        await one.drain(one.sender("two"))
        assert one.server.ids == ids
        for begins in moments:
            assert sum(begins <= moment < begins + 1 for moment in moments) <= 5


async def test_the_applications_answer_comes_when_it_likes_and_is_matched_by_its_number(engine: AsyncEngine) -> None:
    calls: list[Call] = []

    async def later(call: Call, control_id: str) -> None:
        calls.append(call)
        await call.say(ack(control_id, "CA"))

    async with lane(engine, later, enhanced=True) as one:
        await one.put("M1", "M2")
        sender = one.sender()
        await one.drain(sender)
        assert {name: row.application for name, row in (await one.rows()).items()} == {"M1": "", "M2": ""}
        await calls[0].say(application("M2", "AE", wants="AL"), application("M1", "AA"))  # in another order
        await settled(one, "M1", "AA")
        await settled(one, "M2", "AE")
        rows = await one.rows()
        assert (rows["M1"].state, rows["M2"].state, rows["M2"].application) == ("answered", "dead", "AE")
        assert [state for state, why in await one.history("M1") if why.endswith("AA")] == ["acknowledged"]
        async with asyncio.timeout(60):  # their MSH-15 asks for our accept answer
            while not [data for data in one.server.got if b"MSA|CA|BM2" in data]:
                await asyncio.sleep(0.02)
        await calls[0].say(application("M1", "AE"), application("M1", "AA"))
        async with asyncio.timeout(60):
            while ("acknowledged", "AE after AA, credited to nothing") not in await one.history("M1"):
                await asyncio.sleep(0.02)
        assert (await one.rows())["M1"].state == "answered", "its first word stands"


async def test_an_application_that_answers_before_its_accept_answer_is_noted_still_counts(engine: AsyncEngine) -> None:
    async def at_once(call: Call, control_id: str) -> None:
        await call.say(ack(control_id, "CA"), application(control_id, "AR"))

    async with lane(engine, at_once, enhanced=True, on_dead="go on") as one:
        sender: ChannelSender = one.sender()
        for number in range(8):  # who writes first is chance
            await one.put(f"M{number}")
            await one.drain(sender)
            await settled(one, f"M{number}", "AR")
        assert set((await one.states()).values()) == {"dead"}


async def test_what_was_answered_while_its_turn_came_again_does_not_leave_a_second_time(engine: AsyncEngine) -> None:
    script = scripted("CE")
    async with lane(engine, script, enhanced=True, pause_first=60.0) as one:
        await one.put("M1")
        sender = one.sender()
        await sender.drain(asyncio.Event())
        turn = await one.store.turn("LAB", "one", LEASE)
        assert turn is not None and turn.head is not None
        assert (await one.store.application("LAB", "M1", Word(code="AA"), one.clock()))[1]
        assert not await one.store.sending(turn.head, turn.standing, "one", one.clock(), LEASE)
        assert await one.states() == {"M1": "answered"} and one.server.ids == ["M1"]


async def test_an_accept_answer_that_was_lost_does_not_send_again_what_the_application_has(engine: AsyncEngine) -> None:
    async def only_the_application(call: Call, control_id: str) -> None:
        await call.say(b"MSH|^~\\&|LAB||||||ACK|X|P|2.5.1\rMSA|CA|\r")  # unreadable: no MSA-2
        await call.say(application(control_id, "AA"))

    async with lane(engine, only_the_application, enhanced=True, answer_within=3.0) as one:
        await one.put("M1")
        await one.drain()
        assert one.server.ids == ["M1"] and await one.states() == {"M1": "answered"}


async def test_a_channel_whose_certificate_comes_later_is_used_then_and_told_of_once(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    now = NOW
    pem = tmp_path / "authority.pem"
    row = Channel(code="LATE", facility="NGH", host="x", port=1, tls=True, authority_file=str(pem))
    loop = ChannelSenders(Terms(row), StoredChannels(engine), ways(tmp_path), "one", clock=lambda: now)
    with capture_logs() as logs:
        await loop.once()
        now += UNFIT_AGAIN
        await loop.once()
        assert "LATE" not in loop._senders
        Authority(tmp_path, "authority")
        await loop.once()
        assert "LATE" not in loop._senders, "not looked at each second"
        now += UNFIT_AGAIN
        await loop.once()
    assert "LATE" in loop._senders
    assert [entry["event"] for entry in logs] == ["channel cannot be used"]
    await loop.close()


async def test_a_changed_row_is_used_from_then_on_and_a_bad_one_stops_no_other(engine: AsyncEngine) -> None:
    async with lane(engine) as one, mllp_server() as elsewhere:
        bad = Channel(code="BAD", facility="NGH", host="x", port=1, tls=True, authority_file="nowhere.pem")
        terms = Terms(one.channel, bad)
        loop = one.loop("one", terms)
        await one.put("M1")
        with capture_logs() as logs:
            async with asyncio.timeout(60):
                while not one.server.ids:
                    await loop.once()
                    await asyncio.sleep(0.01)
        assert [entry["channel"] for entry in logs if entry["event"] == "channel cannot be used"] == ["BAD"]
        host, port = elsewhere.address[:2]
        terms.rows = (one.channel.changed(host=host, port=port),)
        await loop.once()  # from here on it is known
        await one.put("M2")
        async with asyncio.timeout(60):
            while not elsewhere.ids:
                await loop.once()
                await asyncio.sleep(0.01)
        await loop.close()
        assert (one.server.ids, elsewhere.ids) == (["M1"], ["M2"])
