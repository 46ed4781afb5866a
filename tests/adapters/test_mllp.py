"""Sending HL7 over MLLP: an answer is its message's own or nobody's, whatever comes late, swapped, doubled or never."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from adapters.mllp import MllpSender, MllpTarget
from canonical.errors import Malformed, Rejected, Unavailable
from formats.mllp import END, FS, VT
from tests.adapters.mllp_out import out, soon
from tests.adapters.mllp_server import Call, ack, message, mllp_server, says_yes


async def test_a_message_arrives_as_it_is_and_its_answer_comes_back_on_a_connection_that_is_kept() -> None:
    async with out() as way:
        for number in range(5):
            answer = await way.send(f"M{number}")
            assert (answer.code, answer.control_id, answer.accepted) == ("AA", f"M{number}", True)
        assert way.server.got == [message(f"M{number}") for number in range(5)]
        assert len(way.server.calls) == 1
        assert way.strays == []


@pytest.mark.parametrize(
    ("code", "text", "more", "told"),
    [
        ("AE", "quantity missing", "", "quantity missing"),
        ("AR", "", "ERR||PID^1|101^Required field missing^HL70357|E||||PID-3 is needed\r", "PID-3 is needed"),
        ("CE", "", "ERR||PID^1|101^Required field missing^HL70357|E\r", "101 Required field missing"),
        ("CR", "", "", ""),
    ],
)
async def test_a_no_is_an_answer_with_its_code_and_reason_and_not_an_error(
    code: str, text: str, more: str, told: str
) -> None:
    async def says_no(call: Call, control_id: str) -> None:
        await call.say(ack(control_id, code, text, more))

    async with out(says_no) as way:
        answer = await way.send("M1")
        assert (answer.code, answer.text, answer.accepted) == (code, told, False)
        assert answer.data == ack("M1", code, text, more)
        assert told not in repr(answer) or not told, "what others write may name a patient"


async def test_one_message_is_under_way_at_a_time_in_the_order_they_were_given() -> None:
    async def slowly(call: Call, control_id: str) -> None:
        assert way.server.ids[-1] == control_id
        await asyncio.sleep(0.02)
        assert way.server.ids[-1] == control_id, "nothing more came before its answer"
        await call.say(ack(control_id))

    async with out(slowly) as way:
        answers = await asyncio.gather(*(way.send(f"M{number}") for number in range(8)))
        assert [one.control_id for one in answers] == way.server.ids == [f"M{number}" for number in range(8)]


async def test_an_answer_in_small_pieces_with_line_feeds_and_lower_case_is_read() -> None:
    async def dribbles(call: Call, control_id: str) -> None:
        for byte in VT + ack(control_id, "aa").replace(b"\r", b"\r\n") + END:
            await call.raw(bytes([byte]))
            await asyncio.sleep(0)

    async with out(dribbles) as way:
        assert (await way.send("M1")).code == "AA"


async def test_no_answer_in_time_closes_the_connection_before_anybody_may_send_again() -> None:
    async def never(call: Call, control_id: str) -> None:
        await asyncio.sleep(60)

    async with out(never, timeout=1.0) as way:
        with pytest.raises(Unavailable) as failure:
            await way.send("M1")
        assert failure.value.code == "no-answer"
        await soon(lambda: way.server.ended == 1)
        way.server.script = says_yes
        assert (await way.send("M1")).code == "AA"
        assert len(way.server.calls) == 2


async def test_a_late_answer_is_never_taken_for_the_next_messages() -> None:
    late: list[Call] = []
    sent_again, said_late = asyncio.Event(), asyncio.Event()

    async def first_late(call: Call, control_id: str) -> None:
        if not late:
            late.append(call)
            await sent_again.wait()
            try:
                await call.say(ack(control_id, "AA"))
            finally:
                said_late.set()
        else:
            sent_again.set()
            await said_late.wait()
            await call.say(ack(control_id, "AE"))

    async with out(first_late, timeout=2.0) as way:
        with pytest.raises(Unavailable):
            await way.send("M1")
        assert (await way.send("M1")).code == "AE", "not the yes that came for its first try"
        assert late[0] is not way.server.calls[-1]


async def test_swapped_answers_are_credited_to_nobody() -> None:
    async def swapped(call: Call, control_id: str) -> None:
        await call.say(ack({"M1": "M2", "M2": "M1"}[control_id]))

    async with out(swapped, timeout=1.0) as way:
        for control_id in ("M1", "M2"):
            with pytest.raises(Unavailable):
                await way.send(control_id)
        assert way.reasons == [("another message's", "M2"), ("another message's", "M1")]


async def test_an_answer_to_another_message_does_not_hide_the_right_one() -> None:
    async def both(call: Call, control_id: str) -> None:
        await call.say(ack("M0", "AE"), ack(control_id))

    async with out(both) as way:
        assert (await way.send("M1")).code == "AA"
        assert way.reasons == [("another message's", "M0")]


async def test_a_doubled_answer_is_counted_once() -> None:
    async def twice(call: Call, control_id: str) -> None:
        await call.say(ack(control_id), ack(control_id))

    async with out(twice) as way:
        assert [(await way.send(f"M{n}")).control_id for n in range(3)] == ["M0", "M1", "M2"]
        await soon(lambda: len(way.strays) == 3)
        assert {stray.control_id for stray in way.strays} == {"M0", "M1", "M2"}
        assert way.sender.counts.answered == 3


async def test_the_double_of_a_refusal_is_not_taken_for_the_answer_to_the_repeat() -> None:
    async def twice_no_then_yes(call: Call, control_id: str) -> None:
        if way.server.ids.count(control_id) == 1:
            await call.say(ack(control_id, "AE"))
            await asyncio.sleep(0.1)
            await call.say(ack(control_id, "AE"))
        else:
            await asyncio.sleep(0.2)
            await call.say(ack(control_id, "AA"))

    async with out(twice_no_then_yes) as way:
        assert (await way.send("M1")).code == "AE"
        assert (await way.send("M1")).code == "AA"
        assert len(way.server.calls) == 2, "the repeat goes by a connection where no old answer can come"


async def test_an_answer_that_nobody_waits_for_is_reported_at_once_and_not_kept_for_later() -> None:
    async with out() as way:
        await way.send("M1")
        await way.server.calls[0].say(ack("M2", "AE"))
        await soon(lambda: bool(way.strays))
        assert way.reasons == [("not waited for", "M2")]
        assert (await way.send("M2")).code == "AA"


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"\x06",
        b"MSH|^~\\&|LAB\r",
        b"MSH|^~\\&|LAB\rMSA|AA\r",
        b"MSH|^~\\&|LAB\rMSA||M1\r",
        b"MSA|AA|M1\r",
        ack("M1") + ack("M1"),
        ack("M1") + b"MSA|AR|M1\r",
        b"MSH",
        b"\xff\xfe\x00",
    ],
)
async def test_an_answer_that_cannot_be_read_is_no_answer(odd: bytes) -> None:
    async def oddly(call: Call, control_id: str) -> None:
        await call.say(odd)

    async with out(oddly, timeout=1.0) as way:
        with pytest.raises(Unavailable):
            await way.send("M1")
        assert way.reasons == [("unreadable", "")]
        assert way.strays[0].data == odd


async def test_broken_frames_and_noise_before_the_answer_are_reported_and_cost_nothing() -> None:
    async def noisily(call: Call, control_id: str) -> None:
        await call.raw(b"hello" + VT + ack("M0") + FS + VT + ack(control_id) + END)

    async with out(noisily) as way:
        assert (await way.send("M1")).code == "AA"
        assert [stray.reason for stray in way.strays] == ["noise", "unterminated"]


async def test_an_answer_too_large_is_not_held() -> None:
    async def at_length(call: Call, control_id: str) -> None:
        await call.say(ack(control_id, text="x" * 3_000_000))

    async with out(at_length, timeout=3.0) as way:
        with pytest.raises(Unavailable):
            await way.send("M1")
        assert [(stray.reason, len(stray.data)) for stray in way.strays] == [("too_large", 1024 * 1024)]


async def test_a_code_hl7_does_not_know_leaves_the_outcome_open() -> None:
    async def says_ok(call: Call, control_id: str) -> None:
        await call.say(ack(control_id, "OK"))

    async with out(says_ok) as way:
        with pytest.raises(Malformed) as failure:
            await way.send("M1")
        assert failure.value.path == "MSA-1"
        await soon(lambda: way.server.ended == 1)


async def test_who_gives_up_waiting_closes_the_connection() -> None:
    async def never(call: Call, control_id: str) -> None:
        await asyncio.sleep(60)

    async with out(never) as way:
        sending = asyncio.create_task(way.send("M1"))
        await soon(lambda: way.server.ids == ["M1"])
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        await soon(lambda: way.server.ended == 1)


async def test_a_connection_that_is_closed_before_the_answer_leaves_the_outcome_open_and_the_next_opens_anew() -> None:
    async def hangs_up(call: Call, control_id: str) -> None:
        await call.raw(VT + b"MSH|half")
        call.hang_up()

    async with out(hangs_up) as way:
        with pytest.raises(Unavailable) as failure:
            await way.send("M1")
        assert failure.value.code == "no-answer"
        assert [stray.reason for stray in way.strays] == ["truncated"]
        way.server.script = says_yes
        assert (await way.send("M1")).accepted


async def test_a_target_that_closes_after_each_answer_is_served() -> None:
    async def one_only(call: Call, control_id: str) -> None:
        await call.say(ack(control_id))
        call.hang_up()

    async with out(one_only) as way:
        for number in range(5):
            assert (await way.send(f"M{number}")).accepted
            await soon(lambda number=number: way.server.ended == number + 1)  # type: ignore[misc]
        assert len(way.server.calls) == 5


async def test_a_target_known_to_close_after_each_answer_is_given_a_connection_for_each_message() -> None:
    async def one_only(call: Call, control_id: str) -> None:
        if len(call.got) == 1:  # what comes while it closes is lost
            await call.say(ack(control_id))
            await asyncio.sleep(0.02)
            call.hang_up()

    async with mllp_server(one_only) as server:
        sender = MllpSender(MllpTarget("LAB", *server.address, keep=False), timeout=60)
        for number in range(20):
            assert (await sender.send(message(f"M{number}"), f"M{number}")).accepted
        assert len(server.calls) == 20


async def test_a_target_that_is_away_is_unavailable_and_found_when_it_is_back() -> None:
    async with out() as way:
        away = MllpSender(MllpTarget("AWAY", "127.0.0.1", 1), connect_timeout=60)
        with pytest.raises(Unavailable):
            await away.send(message("M1"), "M1")
        assert away.counts.sent == 0
        await away.close()
        assert (await way.send("M1")).accepted


@pytest.mark.parametrize(
    ("data", "control_id"),
    [
        (message("M1"), "M2"),
        (message(""), ""),
        (b"PID|1\r", "M1"),
        (b"", "M1"),
        (message("M1", "x\x1c"), "M1"),
        (message("M1", "x\x0b"), "M1"),
    ],
)
async def test_what_could_not_be_told_from_another_or_would_break_the_frame_is_not_sent(
    data: bytes, control_id: str
) -> None:
    async with out() as way:
        with pytest.raises(Rejected) as refused:
            await way.sender.send(data, control_id)
        assert refused.value.code == "data-invalid"
        assert way.server.calls == []


async def test_no_content_of_an_answer_stands_in_a_log() -> None:
    async def strays(call: Call, control_id: str) -> None:
        await call.say(ack("SMITH^JOHN"), ack(control_id, "AE", "SMITH^JOHN"))

    with capture_logs() as logs:
        async with out(strays) as way:
            await way.send("M1")
    assert len(logs) == 1
    assert "SMITH" not in repr(logs)
