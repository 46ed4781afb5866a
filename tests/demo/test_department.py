"""A department's system in the demonstration: its list of what was acknowledged is true, and what it heard is on disk first."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from demo import department
from demo.department import OR_SYSTEM, SYSTEMS
from demo.department_line import Message, Sent, send
from demo.hl7_plain import Answer, LineHeard, Reply, Writer, field, frame, framed, one, segments
from demo.partner_script import SEED
from demo.story_doors import StoryError
from tests.gateway.hl7_house import WARD, house

US = Writer("FASCIA", "NGH")
Take = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(take: Take) -> AsyncIterator[tuple[str, int]]:
    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()


def messages(count: int) -> list[Message]:
    return [(f"M{at}", OR_SYSTEM.writer.update(f"M{at}", "900001")) for at in range(count)]


class Gateway:
    """Keeps each number once; ``dies_at`` that many it closes without a word, once."""

    def __init__(self, dies_at: int = -1, says: str = "AA") -> None:
        self.kept: list[str] = []
        self.dies_at = dies_at
        self.says = says

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                number = field(one(await frame(reader), "MSH"), 10)
                if number not in self.kept:
                    self.kept.append(number)
                if len(self.kept) == self.dies_at:
                    self.dies_at = -1
                    break
                writer.write(framed(US.message("ACK", f"A{number}", f"MSA|{self.says}|{number}")))
        writer.close()


async def test_what_was_not_acknowledged_when_the_gateway_died_is_sent_again_in_its_order() -> None:
    gateway, sent = Gateway(dies_at=20), Sent()
    async with listening(gateway.take) as address:
        await send(address, messages(50), sent=sent)
    assert gateway.kept == [f"M{at}" for at in range(50)]
    assert set(sent.answers) == set(gateway.kept)
    assert "M19" in sent.again and sent.broken == 1
    assert "M0" not in sent.again


async def test_a_message_that_is_refused_is_not_taken_for_acknowledged() -> None:
    sent = Sent()
    async with listening(Gateway(says="AE").take) as address:
        with pytest.raises(StoryError, match="AE to M0"):
            await send(address, messages(2), sent=sent)
    assert sent.answers == {}


async def test_an_answer_to_nothing_that_waits_is_told() -> None:
    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await frame(reader)
        writer.write(framed(US.message("ACK", "A1", "MSA|AA|OTHER")))
        writer.close()

    async with listening(elsewhere) as address:
        with pytest.raises(StoryError, match="AA to OTHER, which waits for no answer"):
            await send(address, messages(1))


async def test_what_a_system_hears_is_on_disk_before_it_says_so(tmp_path: Path) -> None:
    reply = US.message("ORS^O06^ORS_O06", "R1", "MSA|AA|M7", "ORC|OK|Q.1^ORSYS|PO1^FASCIA||IP", "RQD|1|GZ-44")
    async with listening(partial(department.listen, tmp_path, OR_SYSTEM)) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(framed(reply) * 2)
        assert Answer.read(await frame(reader)) == Answer("AA", "R1")
        assert department.heard(tmp_path, "OR-SYS")[0] == Reply(
            "ORS^O06", "R1", "M7", (LineHeard("1", "OK", "PO1", "IP"),)
        )
        await frame(reader)
        writer.close()
    assert len(department.heard(tmp_path, "OR-SYS")) == 2, "one that comes twice stands there twice"


async def test_what_the_departments_write_the_gateway_takes() -> None:
    ward = WARD.model_copy(update={"applications": (OR_SYSTEM.application,), "kinds": ("OMS^O05", "ADT^*", "SIU^*")})
    door, writer = await house(ward), OR_SYSTEM.writer
    about = {"requester": "E-1001", "cost_centre": "CC-4100", "place": "NGH-OR"}
    for text in (
        writer.order("M1", "Q-1", [("GZ-44", "2", "BOX"), ("GLV-NIT-M", "4", "BOX")], **about),
        writer.update("M2", "900001"),
        writer.booking("M3", "900001"),
    ):
        answer = await door.answer(text.encode())
        assert answer.code == "AA", (text, answer)
    assert {
        (field(orc, 2), field(orc, 4)) for orc in segments(writer.order("M1", "Q", [("I", "1", "EA")], **about), "ORC")
    } == {("Q.1", "Q")}


def test_every_system_of_the_story_is_a_sender_with_a_way_back() -> None:

    senders = {row["code"]: row for row in json.loads((SEED / "senders.json").read_text())}
    channels = {row["system"]: row for row in json.loads((SEED / "department_channels.json").read_text())}
    for code, system in SYSTEMS.items():
        assert senders[code]["applications"] == [system.application]
        assert senders[code]["reply_channel"] == channels[code]["code"]
