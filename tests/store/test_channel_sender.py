"""What leaves by a channel arrives in order and once, and no answer is credited to another message, whatever the peer does."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from canonical.cases import Actor
from canonical.senders import Channel
from store.acts import Act
from store.channels import Word
from tests.adapters.mllp_server import Call, MllpServer, Script, ack, message, mllp_server, says_yes
from tests.store.channel import Lane, Terms, lane
from workers.loops.channel_sender import LEASE, ChannelSender
from workers.loops.channels import ChannelSenders

IDS = [f"M{number}" for number in range(1, 6)]
ME = Actor(id="mito", known_by="os_user")


def scripted(*answers: str) -> Script:
    """A peer that gives these answers one after the other (``-``: none), then AA."""
    left = list(answers)

    async def script(call: Call, control_id: str) -> None:
        code = left.pop(0) if left else "AA"
        if code != "-":
            await call.say(ack(control_id, code, "as scripted"))

    return script


async def test_messages_arrive_in_their_order_and_once_and_are_acknowledged_by_their_kept_answer(
    engine: AsyncEngine,
) -> None:
    async with lane(engine) as one:
        await one.put(*IDS)
        await one.drain()
        assert one.server.ids == IDS and len(one.server.calls) == 1
        assert set((await one.states()).values()) == {"answered"}
        kept = await one.journal.read((await one.rows())["M1"].message)
        assert kept is not None and (kept.state, kept.reason, kept.partner) == ("acknowledged", "AA", "LAB")
        answer = await one.journal.read(kept.answer)
        assert answer is not None and (answer.data, answer.state) == (ack("M1"), "routed")
        assert [state for state, _ in await one.history("M1")][-2:] == ["sent", "acknowledged"]


async def test_a_message_put_twice_is_one_and_another_under_its_control_id_is_refused(engine: AsyncEngine) -> None:
    async with lane(engine) as one:
        first, again = await one.put_one("M1"), await one.put_one("M1")
        assert again.outcome == "duplicate" and again.message.id == first.message.id
        for key in ("M1", "another key"):
            with pytest.raises(Exception, match=r"other content|has the control id"):
                await one.put_one("M1", body="other", key=key)
        await one.drain()
        assert one.server.got == [message("M1")]


async def test_without_an_answer_the_connection_is_closed_and_the_same_bytes_go_again(engine: AsyncEngine) -> None:
    script = scripted("-", "-")
    async with lane(engine, script, pause_first=1.0) as one:
        await one.put("M1", "M2")
        await one.drain()
        assert one.server.ids == ["M1", "M1", "M1", "M2"] and len(set(one.server.got[:3])) == 1
        assert len(one.server.calls) == 3, "each silence ends its connection"
        assert set((await one.states()).values()) == {"answered"}
        assert ("sent", "sent again, the 2. time: LAB did not answer within 0.3 s") in await one.history("M1")


async def test_a_late_answer_to_the_first_try_is_not_the_second_tries(engine: AsyncEngine) -> None:
    async def late(call: Call, control_id: str) -> None:
        if len(call.server.got) == 1:
            await asyncio.sleep(0.5)
            await call.say(ack(control_id, "AA"))
        else:
            await asyncio.sleep(0.2)  # meanwhile the first answer is on its way
            await call.say(ack(control_id, "AR"))

    async with lane(engine, late) as one:
        await one.put("M1")
        await one.drain()
        assert one.server.ids == ["M1", "M1"] and await one.states() == {"M1": "dead"}


async def test_swapped_answers_acknowledge_nothing_and_stand_in_the_history(engine: AsyncEngine) -> None:
    async def swapped(call: Call, control_id: str) -> None:
        if len(call.server.got) == 1:
            await call.say(ack("M2", "AA"))  # to M1, before M2 was ever sent
        else:
            await call.say(ack(control_id, "AR" if control_id == "M2" else "AA"))

    async with lane(engine, swapped) as one:
        await one.put("M1", "M2")
        await one.drain()
        assert one.server.ids == ["M1", "M1", "M2"]
        assert await one.states() == {"M1": "answered", "M2": "dead"}
        assert ("validated", "answer AA: another message's, credited to nothing") in await one.history("M2")


async def test_a_doubled_answer_is_not_the_next_messages(engine: AsyncEngine) -> None:
    async def doubled(call: Call, control_id: str) -> None:
        if control_id == "M1":
            await call.say(ack("M1"), ack("M1"))
        else:
            await asyncio.sleep(0.1)
            await call.say(ack(control_id, "AR"))

    async with lane(engine, doubled) as one:
        await one.put("M1", "M2")
        sender = one.sender()
        await one.drain(sender)
        await sender.tell_strays()
        assert await one.states() == {"M1": "answered", "M2": "dead"}
        said = [why for _, why in await one.history("M1")]
        assert said.count("AA") == 1 and any(why.endswith("credited to nothing") for why in said)


async def test_an_answer_to_what_we_never_sent_is_kept_all_the_same(engine: AsyncEngine) -> None:
    async def noise(call: Call, control_id: str) -> None:
        await call.say(ack("WHO"), ack(control_id))

    async with lane(engine, noise) as one:
        await one.put("M1")
        sender = one.sender()
        await one.drain(sender)
        await sender.tell_strays()
        async with engine.connect() as connection:
            found = await connection.exec_driver_sql(
                "select reason from messages where kind = 'acknowledgement' and state = 'refused'"
            )
            assert [row.reason for row in found] == ["another message's, credited to nothing"]


async def test_ae_is_tried_again_with_longer_and_longer_pauses_until_it_is_taken(engine: AsyncEngine) -> None:
    script = scripted("AE", "AE", "CE")
    async with lane(engine, script, pause_first=1.0, pause_longest=3.0) as one:
        await one.put("M1", "M2")
        await one.drain()
        assert one.server.ids == ["M1", "M1", "M1", "M1", "M2"], "what comes after waits for what came before"
        assert 6 <= one.clock.seconds < 10, "1 + 2 + 3 (the longest)"
        assert set((await one.states()).values()) == {"answered"}


@pytest.mark.parametrize(("answers", "tries"), [(["AR"], 1), (["CR"], 1), (["AE"] * 3, 3)])
async def test_what_is_refused_is_a_dead_letter_with_an_alert_and_its_owner(
    engine: AsyncEngine, answers: list[str], tries: int
) -> None:
    script = scripted(*answers)
    with capture_logs() as logs:
        async with lane(engine, script, attempts=3, on_dead="go on") as one:
            await one.put("M1", "M2")
            await one.drain()
            assert one.server.ids == ["M1"] * tries + ["M2"]
            assert await one.states() == {"M1": "dead", "M2": "answered"}
            kept = await one.journal.read((await one.rows())["M1"].message)
            assert kept is not None and (kept.state, kept.reason) == ("dead", f"{answers[-1]}: as scripted")
    (alert,) = [entry for entry in logs if entry.get("alert")]
    assert (alert["event"], alert["owner"], alert["answer"]) == ("message given up", "IT", answers[-1])


async def test_where_its_row_says_so_a_channel_stands_still_until_a_person_decides(engine: AsyncEngine) -> None:
    script = scripted("AR", "AR")
    async with lane(engine, script, on_dead="stand still") as one:
        await one.put("M1", "M2")
        await one.drain()
        (backlog,) = await one.keeping.backlogs()
        assert one.server.ids == ["M1"] and backlog.stands_still and (backlog.waiting, backlog.dead) == (1, 1)
        rows = await one.rows()
        await one.keeping.retry([rows["M1"].message], Act(verb="channel retry", about="", actor=ME, reason="mended"))
        await one.drain()
        assert one.server.ids == ["M1", "M1"], "refused again, and again nothing passes it"
        await one.keeping.skip(rows["M1"].message, Act(verb="channel skip", about="", actor=ME))
        await one.drain()
        assert one.server.ids == ["M1", "M1", "M2"] and await one.states() == {"M1": "dead", "M2": "answered"}
        assert ("validated", "sent again, asked by mito (os_user): mended") in await one.history("M1")


@pytest.mark.parametrize(("on_dead", "lost"), [("go on", 1), ("stand still", 0)])
async def test_one_silence_costs_one_message_at_most_and_none_where_nothing_may_pass_it(
    engine: AsyncEngine, on_dead: str, lost: int
) -> None:
    async with lane(engine, says_nothing, on_dead=on_dead, attempts=2, answer_within=0.02) as one:
        await one.put(*IDS)
        sender = one.sender()
        for _ in range(20):
            await sender.drain(asyncio.Event())
            one.clock.advance(60)
        one.server.script = says_yes
        await one.drain(sender)
        assert list((await one.states()).values()) == ["dead"] * lost + ["answered"] * (5 - lost)


async def test_a_message_that_cannot_be_framed_is_dead_and_the_target_is_not_blamed(engine: AsyncEngine) -> None:
    async with lane(engine, on_dead="go on") as one:
        await one.put_one("M1", body="a\x0bb")
        await one.put("M2")
        await one.drain()
        assert one.server.ids == ["M2"] and (await one.states())["M1"] == "dead"
        (standing,) = await one.keeping.standings()
        assert (standing.breaker, standing.failures) == ("closed", 0)


async def test_a_receiver_that_was_down_gets_everything_once_and_in_order_when_it_is_back(engine: AsyncEngine) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    async with lane(engine, port=port, open_after=3, half_open_after=30.0) as one:
        await one.put(*IDS)
        sender = one.sender()
        for _ in range(100):  # an hour and a half
            await sender.drain(asyncio.Event())
            one.clock.advance(60)
        (standing,) = await one.keeping.standings()
        assert (standing.breaker, standing.openings) == ("open", 1) and "cannot be reached" in standing.error
        assert {row.attempts for row in (await one.rows()).values()} == {0}, "what never left has spent no try"
        assert "sent" not in [state for state, _ in await one.history("M1")]
        async with at_port(port) as server:
            one.clock.advance(60)
            await one.drain(sender)
            await sender.close()
            assert server.ids == IDS and set((await one.states()).values()) == {"answered"}
        (standing,) = await one.keeping.standings()
        assert (standing.breaker, standing.failures) == ("closed", 0)


@asynccontextmanager
async def at_port(port: int) -> AsyncIterator[MllpServer]:
    """A peer at a known port."""
    peer = MllpServer(says_yes)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", port)
    try:
        yield peer
    finally:
        server.close()


async def test_while_the_breaker_is_open_nothing_is_sent_and_one_message_finds_out(engine: AsyncEngine) -> None:
    tried: list[float] = []
    async with lane(engine, answer_within=0.02, open_after=2, half_open_after=100.0, pause_first=1.0) as one:

        async def silent(_: Call, __: str) -> None:
            tried.append(one.clock.seconds)

        one.server.script = silent
        await one.put("M1", "M2")
        sender = one.sender()
        for _ in range(350):
            await sender.drain(asyncio.Event())
            one.clock.advance(1)
        assert tried == pytest.approx([0, 1, 101, 201, 301], abs=2) and set(one.server.ids) == {"M1"}


async def says_nothing(_: Call, __: str) -> None:
    return


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

        async with asyncio.timeout(30):
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
        async with asyncio.timeout(5):
            while len(one.server.ids) < 2:
                await second.once()
                await asyncio.sleep(0.01)
        await second.close()
        assert one.server.ids == ["M1", "M2"] and set((await one.states()).values()) == {"answered"}


async def test_a_worker_that_was_cut_off_writes_nothing_once_another_has_taken_over(engine: AsyncEngine) -> None:
    async def slow(call: Call, control_id: str) -> None:
        await asyncio.sleep(0.2 if len(call.server.got) == 1 else 0)
        await call.say(ack(control_id, "AR" if len(call.server.got) == 1 else "AA"))

    async with lane(engine, slow, answer_within=5.0) as one:
        await one.put("M1")
        cut_off, other = one.sender("one"), one.sender("two")
        task = asyncio.create_task(cut_off.drain(asyncio.Event()))
        while not one.server.got:
            await asyncio.sleep(0.01)
        await one.end_lease()
        await one.drain(other)
        await task
        assert one.server.got == [message("M1")] * 2 and await one.states() == {"M1": "answered"}


def started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.store.one_sender", *arguments])


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
        async with asyncio.timeout(30):
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


# ---- enhanced mode ------------------------------------------------------------------------------------------------------


def application(control_id: str, code: str, *, wants: str = "NE") -> bytes:
    """An application answer as a message of its own, with its own MSH-15."""
    header = f"MSH|^~\\&|LAB|NGH|FASCIA|NGH|20261102||ORR^O02^ORR_O02|B{control_id}|P|2.5.1|||{wants}|NE"
    return f"{header}\rMSA|{code}|{control_id}|\r".encode()


async def settled(one: Lane, control_id: str, code: str) -> None:
    async with asyncio.timeout(5):
        while (await one.rows())[control_id].application != code:
            await asyncio.sleep(0.02)


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
        rows = await one.rows()
        assert (rows["M1"].state, rows["M2"].state, rows["M2"].application) == ("answered", "dead", "AE")
        assert [state for state, why in await one.history("M1") if why.endswith("AA")] == ["acknowledged"]
        await asyncio.sleep(0.1)
        assert [data for data in one.server.got if b"MSA|CA|BM2" in data], "their MSH-15 asks for our accept answer"
        await calls[0].say(application("M1", "AE"), application("M1", "AA"))
        await asyncio.sleep(0.2)
        assert (await one.rows())["M1"].state == "answered", "its first word stands"
        assert ("acknowledged", "AE after AA, credited to nothing") in await one.history("M1")


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

    async with lane(engine, only_the_application, enhanced=True) as one:
        await one.put("M1")
        await one.drain()
        assert one.server.ids == ["M1"] and await one.states() == {"M1": "answered"}


# ---- the loop -----------------------------------------------------------------------------------------------------------


async def test_a_changed_row_is_used_from_then_on_and_a_bad_one_stops_no_other(engine: AsyncEngine) -> None:
    async with lane(engine) as one, mllp_server() as elsewhere:
        bad = Channel(code="BAD", facility="NGH", host="x", port=1, tls=True, authority_file="nowhere.pem")
        terms = Terms(one.channel, bad)
        loop = one.loop("one", terms)
        await one.put("M1")
        with capture_logs() as logs:
            async with asyncio.timeout(5):
                while not one.server.ids:
                    await loop.once()
                    await asyncio.sleep(0.01)
        assert [entry["channel"] for entry in logs if entry["event"] == "channel cannot be used"] == ["BAD"]
        host, port = elsewhere.address[:2]
        terms.rows = (one.channel.changed(host=host, port=port),)
        await loop.once()  # from here on it is known
        await one.put("M2")
        async with asyncio.timeout(5):
            while not elsewhere.ids:
                await loop.once()
                await asyncio.sleep(0.01)
        await loop.close()
        assert (one.server.ids, elsewhere.ids) == (["M1"], ["M2"])
