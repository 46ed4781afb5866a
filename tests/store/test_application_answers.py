"""An application that answers by a connection of its own is heard at our door, and credited to the message it is about."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.messages import Kept
from canonical.senders import Sender
from formats import hl7
from gateway.directory import Directory
from gateway.hl7_door import Hl7Door
from gateway.intake import Intake
from gateway.mllp_peer import Peer
from gateway.routing import Routing
from tests.adapters.mllp_server import Call, ack
from tests.fakes.store import FakeCases
from tests.gateway.fakes import FakeEngine
from tests.gateway.hl7_house import Senders, head, text
from tests.store.channel import Lane, lane
from workers.acknowledged import credit
from workers.loops.router import Router

LAB = Sender(
    code="LABSYS",
    facility="NGH",
    addresses=("127.0.0.1",),
    kinds=("ORU^*",),
    reply_channel="LAB",
    unrouted="AR",
    owner="Lab IT",
)
PEER = Peer("127.0.0.1", 4000)


async def accepts(call: Call, control_id: str) -> None:
    await call.say(ack(control_id, "CA"))


def said(control: str, about: str, code: str = "AA", words: str = "") -> bytes:
    return text(head(control, "ACK", app="LABSYS"), f"MSA|{code}|{about}", *([words] if words else []))


class Door:
    """Our door and its router, over the store a channel sends from."""

    def __init__(self, one: Lane, *senders: Sender) -> None:
        self.one = one
        self.directory = Directory(Senders(*senders))
        self.cases = FakeCases()
        self.door = Hl7Door(one.journal, self.directory, self.cases)
        intake = Intake(one.journal, self.cases, FakeEngine())
        routing = Routing(one.journal, intake, self.directory, {}, credit=credit(one.store))
        self.router = Router(one.journal, routing, 0, 1)

    async def hear(self, data: bytes) -> str:
        """What our door answers; then everything is routed."""
        await self.directory.refresh()
        (answer,) = await self.door.take(data, PEER)
        await self.router.once()
        return hl7.read_acknowledgement(answer).code

    async def kept(self, data: bytes) -> Kept:
        """The message of these bytes."""
        (found,) = await self.one.journal.kept_under(f"hl7/LABSYS/{hl7.header(data).control}")
        return found


async def test_an_application_that_opens_its_own_connection_is_credited_by_its_number_and_channel(
    engine: AsyncEngine,
) -> None:
    async with lane(engine, accepts, enhanced=True) as one:
        await one.put("M1", "M2")
        await one.drain()
        at = Door(one, LAB)
        yes, no = said("A-1", "M1"), said("A-2", "M2", "AE", "ERR|||207^Application error^HL70357|E||||no such item")
        assert [await at.hear(yes), await at.hear(no)] == ["AA", "AA"]
        rows = await one.rows()
        assert {name: (row.state, row.application) for name, row in rows.items()} == {
            "M1": ("answered", "AA"),
            "M2": ("dead", "AE"),
        }
        assert ("dead", "application: AE: no such item") in await one.history("M2")
        kept = await at.kept(yes)
        assert (kept.state, kept.reason) == ("routed", f"AA to message {rows['M1'].message}")
        about = await one.journal.read(rows["M1"].message)
        assert about is not None and about.answer == kept.id, "the answer's bytes are the ones our door kept"
        await at.door.close()


async def test_its_first_word_stands_and_the_same_again_changes_nothing(engine: AsyncEngine) -> None:
    async with lane(engine, accepts, enhanced=True) as one:
        await one.put("M1")
        await one.drain()
        at = Door(one, LAB)
        await at.hear(said("A-1", "M1"))
        before = await one.history("M1")
        await at.hear(said("A-2", "M1"))
        assert await one.history("M1") == before
        await at.hear(said("A-3", "M1", "AR"))
        assert (await one.states())["M1"] == "answered"
        assert (await one.history("M1"))[-1] == ("acknowledged", "AR after AA, credited to nothing")
        await at.door.close()


@pytest.mark.parametrize(
    "answer",
    [said("A-1", "M9"), said("A-1", "M1", "CA")],
    ids=["of a number we never sent", "an accept answer on a connection of its own"],
)
async def test_what_answers_nothing_is_kept_refused_and_credited_to_nothing(engine: AsyncEngine, answer: bytes) -> None:
    async with lane(engine, accepts, enhanced=True) as one:
        await one.put("M1")
        await one.drain()
        at = Door(one, LAB)
        assert await at.hear(answer) == "AA"
        kept = await at.kept(answer)
        assert kept.state == "refused" and kept.reason.endswith("credited to nothing")
        assert (await one.rows())["M1"].application == ""
        await at.door.close()


async def test_another_systems_word_on_a_number_is_not_this_channels(engine: AsyncEngine) -> None:
    async with lane(engine, accepts, enhanced=True) as one:
        await one.put("M1")
        await one.drain()
        at = Door(one, LAB.changed(reply_channel="PHARMACY"))
        await at.hear(said("A-1", "M1", "AR"))
        assert (await one.rows())["M1"].application == ""
        await at.door.close()


async def test_an_answer_nobody_can_read_is_a_dead_letter(engine: AsyncEngine) -> None:
    async with lane(engine, accepts, enhanced=True) as one:
        at = Door(one, LAB.changed(check="off"))
        broken = text(head("A-1", "ACK", app="LABSYS"), "MSA|ZZ|M1")
        await at.hear(broken)
        assert (await at.kept(broken)).state == "dead"
        await at.door.close()
