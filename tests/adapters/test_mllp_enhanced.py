"""Enhanced mode and TLS of our sender, against a server whose every answer is scripted."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.mllp import Answer, MllpSender, MllpTarget, client_tls
from canonical.errors import Rejected, Unavailable
from tests.adapters.mllp_out import _shakes_hands, out, serving, soon, taker
from tests.adapters.mllp_server import Call, ack, message
from tests.certificates import Authority


async def test_in_enhanced_mode_the_accept_answer_comes_first_and_the_applications_later() -> None:
    async def accepts_first(call: Call, control_id: str) -> None:
        await call.say(ack(control_id, "CA"))
        await asyncio.sleep(0.05)
        await call.say(ack(control_id, "AE", "unknown item"))

    taken: list[Answer] = []
    async with out(accepts_first, on_answer=taker(taken, b"MSH|^~\\&|F\rMSA|CA|AM1\r")) as way:
        assert (await way.send("M1")).code == "CA"
        await soon(lambda: len(way.server.got) == 2)
        assert [(one.code, one.control_id, one.text) for one in taken] == [("AE", "M1", "unknown item")]
        assert way.server.got[1] == b"MSH|^~\\&|F\rMSA|CA|AM1\r", "the other side hears that we have it"
        assert way.strays == []


async def test_an_applications_answer_that_comes_while_another_message_waits_is_not_that_ones() -> None:
    async def behind(call: Call, control_id: str) -> None:
        if control_id == "M2":
            await call.say(ack("M1", "AA"))
        await call.say(ack(control_id, "CA"))

    taken: list[Answer] = []
    async with out(behind, on_answer=taker(taken)) as way:
        assert [(await way.send(one)).code for one in ("M1", "M2")] == ["CA", "CA"]
        await soon(lambda: bool(taken))
        assert [(one.code, one.control_id) for one in taken] == [("AA", "M1")]


async def test_a_second_accept_answer_is_a_stray_in_enhanced_mode_too() -> None:
    async def twice(call: Call, control_id: str) -> None:
        await call.say(ack(control_id, "CA"), ack(control_id, "CA"))

    taken: list[Answer] = []
    async with out(twice, on_answer=taker(taken)) as way:
        await way.send("M1")
        await soon(lambda: bool(way.reasons))
        assert way.reasons == [("not waited for", "M1")]
        assert taken == []


async def test_an_applications_answer_we_could_not_take_is_not_accepted_and_the_connection_is_closed() -> None:
    async def both(call: Call, control_id: str) -> None:
        await call.say(ack(control_id, "CA"), ack(control_id, "AA", "SMITH"))

    async def fails(answer: Answer) -> bytes | None:
        raise Unavailable("our own database does not answer", system="store")

    with capture_logs() as logs:
        async with out(both, on_answer=fails) as way:
            assert (await way.send("M1")).code == "CA"
            await soon(lambda: way.server.ended == 1)
            assert way.server.ids == ["M1"]
    assert "SMITH" not in repr(logs)
    assert [line["error"] for line in logs] == ["Unavailable"]


async def test_applications_answers_faster_than_we_take_them_stay_with_their_sender_and_come_in_order() -> None:
    taken: list[Answer] = []
    go = asyncio.Event()
    said = 0

    async def burst(call: Call, control_id: str) -> None:
        nonlocal said
        await call.say(ack(control_id, "CA"))
        if control_id == "M1":
            for number in range(2000):
                await call.say(ack(f"O{number}", text="x" * 10_000))
                said += 1

    async def slowly(answer: Answer) -> bytes | None:
        await go.wait()
        taken.append(answer)
        return None

    async with out(burst, on_answer=slowly) as way:
        await way.send("M1")
        await asyncio.sleep(0.5)
        assert said < 1500, "20 MB are not held here"
        go.set()
        await soon(lambda: len(taken) == 2000)
        assert [one.control_id for one in taken] == [f"O{number}" for number in range(2000)]
        assert (await way.send("M2")).code == "CA", "read on afterwards"


async def test_over_tls_both_sides_show_who_they_are(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("fascia")
    context = client_tls(authority.certificate, ours.certificate, ours.key)
    async with out(tls=(serving(authority, asks=True), context)) as way:
        for number in range(3):
            assert (await way.send(f"M{number}")).accepted
        subject = way.server.calls[0].writer.get_extra_info("peercert")["subject"]
        assert (("commonName", "fascia"),) in subject


async def test_a_target_with_another_certificate_gets_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    stranger = Authority(tmp_path, "Stranger Root")
    async with out(tls=(serving(stranger), client_tls(authority.certificate))) as way:
        with pytest.raises(Rejected) as refused:
            await way.send("M1")
        assert refused.value.code == "certificate"
        assert way.server.got == []


async def test_a_target_that_does_not_take_our_certificate_says_so(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = serving(authority, asks=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving_once = asyncio.create_task(asyncio.to_thread(_shakes_hands, listener, context))
        host, port = listener.getsockname()
        sender = MllpSender(MllpTarget("LAB", host, port, tls=client_tls(authority.certificate)), timeout=60)
        with pytest.raises(Rejected) as refused:
            await sender.send(message("M1"), "M1")
        assert refused.value.code == "unauthenticated"
        await sender.close()
        await serving_once


async def test_over_tls_a_time_out_closes_the_connection_too(tmp_path: Path) -> None:
    async def never(call: Call, control_id: str) -> None:
        await asyncio.sleep(60)

    authority = Authority(tmp_path)
    async with out(never, timeout=0.2, tls=(serving(authority), client_tls(authority.certificate))) as way:
        with pytest.raises(Unavailable):
            await way.send("M1")
        await soon(lambda: way.server.ended == 1)


async def test_a_target_that_speaks_no_tls_is_unavailable(tmp_path: Path) -> None:
    async with out() as way:
        target = MllpTarget("LAB", *way.server.address, tls=client_tls(Authority(tmp_path).certificate))
        sender = MllpSender(target, connect_timeout=0.5)
        with pytest.raises(Unavailable):
            await sender.send(message("M1"), "M1")
        await sender.close()


def test_files_that_cannot_be_read_are_refused_when_the_way_is_built(tmp_path: Path) -> None:
    for files in ((tmp_path / "missing.pem",), (None, tmp_path / "missing.pem", tmp_path / "missing.key")):
        with pytest.raises(Rejected) as refused:
            client_tls(*files)
        assert refused.value.code == "configuration"
