"""What a channel's row says of its connection is how the connection is made."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from canonical.errors import Rejected
from canonical.senders import Channel
from tests.adapters.mllp_server import Call, MllpServer, ack, message, mllp_server, says_yes
from tests.certificates import Authority
from workers.channels import ways
from workers.loops.channel_sender import Way


def way(server: MllpServer, secrets: Path, **terms: object) -> Way:
    host, port = server.address[:2]
    given = {"code": "LAB", "facility": "NGH", "host": host, "port": port, "answer_within": 60.0}
    return ways(secrets)(Channel.model_validate(given | terms), None, lambda _: None)


async def test_a_target_that_closes_after_each_answer_gets_a_connection_for_each_message(tmp_path: Path) -> None:
    async def hangs_up(call: Call, control_id: str) -> None:
        await call.say(ack(control_id))
        await asyncio.sleep(0.05)  # the next message would be on its way by now
        call.hang_up()

    async with mllp_server(hangs_up) as server:
        one = way(server, tmp_path, keep_connection=False)
        for number in range(5):
            assert (await one.send(message(f"M{number}"), f"M{number}")).accepted
        await one.close()
    assert [len(call.got) for call in server.calls] == [1] * 5


async def test_a_connection_is_kept_where_the_row_says_nothing_else(tmp_path: Path) -> None:
    async with mllp_server(says_yes) as server:
        one = way(server, tmp_path)
        for number in range(5):
            await one.send(message(f"M{number}"), f"M{number}")
        await one.close()
    assert [len(call.got) for call in server.calls] == [5]


async def test_the_targets_certificate_must_have_the_name_in_the_row(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("lab")  # for 127.0.0.1
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    terms = {"tls": True, "authority_file": authority.certificate.name}
    async with mllp_server(says_yes, tls=context) as server:
        by_name = way(server, tmp_path, **terms, host="localhost", server_name="127.0.0.1")
        assert (await by_name.send(message("M1"), "M1")).accepted
        await by_name.close()
        other = way(server, tmp_path, **terms, server_name="lab.example")
        with pytest.raises(Rejected, match="certificate"):
            await other.send(message("M2"), "M2")
        await other.close()
    assert server.ids == ["M1"]
