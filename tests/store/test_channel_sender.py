"""What leaves by a channel arrives in order and once, and no answer is credited to another message, whatever the peer does."""

from __future__ import annotations

import asyncio
import socket

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from store.acts import Act
from tests.adapters.mllp_server import Call, ack, message, says_yes
from tests.store.channel import lane
from tests.store.channel_house import IDS, ME, at_port, says_nothing, scripted


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
    async with lane(engine, script, pause_first=1.0, answer_within=2.0) as one:
        await one.put("M1", "M2")
        await one.drain()
        assert one.server.ids == ["M1", "M1", "M1", "M2"] and len(set(one.server.got[:3])) == 1
        assert len(one.server.calls) == 3, "each silence ends its connection"
        assert set((await one.states()).values()) == {"answered"}
        assert ("sent", "sent again, the 2. time: LAB did not answer within 2 s") in await one.history("M1")


async def test_a_late_answer_to_the_first_try_is_not_the_second_tries(engine: AsyncEngine) -> None:
    sent_again, said_late = asyncio.Event(), asyncio.Event()

    async def late(call: Call, control_id: str) -> None:
        if len(call.server.got) == 1:
            await sent_again.wait()
            try:
                await call.say(ack(control_id, "AA"))
            finally:
                said_late.set()
        else:
            sent_again.set()
            await said_late.wait()
            await call.say(ack(control_id, "AR"))

    async with lane(engine, late, answer_within=2.0) as one:
        await one.put("M1")
        await one.drain()
        assert one.server.ids == ["M1", "M1"] and await one.states() == {"M1": "dead"}


async def test_swapped_answers_acknowledge_nothing_and_stand_in_the_history(engine: AsyncEngine) -> None:
    async def swapped(call: Call, control_id: str) -> None:
        if len(call.server.got) == 1:
            await call.say(ack("M2", "AA"))  # to M1, before M2 was ever sent
        else:
            await call.say(ack(control_id, "AR" if control_id == "M2" else "AA"))

    async with lane(engine, swapped, answer_within=2.0) as one:
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
        await sender.close()
        one.server.script, one.channel = says_yes, one.channel.changed(answer_within=60.0)  # now it is waited for
        await one.drain()
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
