"""A department whose order cannot be read hears that: ORS or ORN with UA and the reason, once, in its own words, without a patient."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from canonical.messages import KeepResult, Kept, NewMessage
from canonical.senders import Channel, Sender
from formats import hl7
from gateway.hl7_refusals import Refusals
from gateway.registry import HL7_FEEDS
from gateway.routing import Routing
from tests.gateway.hl7_house import WARD, House, head, house, order, text
from workers.loops.router import Router

CHANNEL = Channel(code="WARD-REPLIES", facility="NGH", host="ward", port=2575)
BEDS = WARD.changed(
    kinds=("*",), department="surgery", cost_centre="CC-4100", deliver_to="NGH-W3", requester="E-1001",
    reply_channel="WARD-REPLIES", check="warn",
)  # fmt: skip
BAD = order("W-1").replace(b"|BX^Box^L", b"|not a unit")


class Ways:
    """The register's channels, and what is put into them."""

    def __init__(self, at: House, *channels: Channel) -> None:
        self._at = at
        self._channels = channels

    async def channels(self) -> Sequence[Channel]:
        return self._channels

    async def put(self, channel: str, message: NewMessage) -> KeepResult:
        return await self._at.journal.keep(message.model_copy(update={"channel": channel}))


async def ward(sender: Sender = BEDS, channel: Channel = CHANNEL) -> tuple[House, Router]:
    at = await house(sender)
    at.feeds = {kind: feed for (_, kind), feed in HL7_FEEDS.items()}
    ways = Ways(at, channel)
    refuser = Refusals(ways, ways)
    routing = Routing(at.journal, at.intake, at.directory, at.takers, feed_for=at._feed, refuser=refuser)
    return at, Router(at.journal, routing, 0, 1, clock=lambda: at.now)


def sent(at: House) -> list[Kept]:
    return [one for one in at.journal.messages.values() if one.direction == "out"]


async def test_an_order_that_cannot_be_read_is_answered_with_ua_the_place_and_the_reason() -> None:
    at, router = await ward()
    assert (await at.answer(BAD)).accepted
    await router.once()
    (reply,) = sent(at)
    message = hl7.read(reply.data)
    report = hl7.check(message)
    assert report.known and report.ok, report.errors
    assert (reply.kind, reply.channel, message.header.structure) == ("ORS^O06", "WARD-REPLIES", "ORS_O06")
    assert (message.value("MSA-1"), message.value("MSA-2")) == ("AE", "W-1")
    assert (message.value("ERR-2.1"), message.value("ERR-2.3"), message.value("ERR-3.1")) == ("RQD", "6", "103")
    assert "not a unit" in message.value("ERR-8") and "not a unit" in message.value("NTE-3")
    assert (message.value("ORC-1"), message.value("ORC-2"), message.value("ORC-5")) == ("UA", "REQ-1", "CA")
    assert message.value("RQD-2.1") == "ITM-1" and b"PID" not in reply.data and b"900001" not in reply.data


async def test_the_same_refusal_again_is_the_same_reply_and_another_reason_is_another() -> None:
    at, router = await ward()
    await at.answer(BAD)
    await router.once()
    kept = at.journal.kept()
    for _ in range(2):
        await at.journal.mark(kept.id, "validated")
        await at.journal.unpark(kept.stream)
        await router.once()
    assert len(sent(at)) == 1 and at.journal.kept().state == "dead"
    at.register.rows[0] = BEDS.changed(requester=None)
    await at.directory.refresh()
    await at.journal.mark(kept.id, "validated")
    at.feeds["OMS^O05"] = lambda *_: (_ for _ in ()).throw(RuntimeError("a bug"))
    await at.journal.unpark(kept.stream)
    await router.once()
    assert [hl7.read(one.data).value("ERR-3.1") for one in sent(at)] == ["103", "207"]


async def test_a_conflict_is_told_and_names_only_the_requisition_it_is_about() -> None:
    at, router = await ward(BEDS.changed(on_dead="go on"))
    await at.answer(order("W-1", "REQ-1"))
    await router.once()
    line = "RQD|1|ITM-1^Glove^NGH||ITM-1^Glove^NGH|9|BX^Box^L"
    both = text(head("W-2"), "PID|1||900001^^^NGH^MR||TEST^A", "ORC|NW|REQ-1", line, "ORC|NW|REQ-2", line)
    await at.answer(both)
    await router.once()
    (reply,) = sent(at)
    message = hl7.read(reply.data)
    assert (message.value("MSA-2"), message.value("ERR-3.1")) == ("W-2", "205")
    assert message.values("ORC-2") == ["REQ-1"] and at.journal.kept("W-2").state == "refused"
    assert at.journal.kept("W-2").owner == "Ward integration"


@pytest.mark.parametrize("version", ["2.4", "2.5", "2.6", "2.7.1", "2.8.2"])
async def test_a_refusal_is_written_in_the_version_it_was_asked_in(version: str) -> None:
    at, router = await ward()
    await at.answer(BAD.replace(b"|P|2.5.1", f"|P|{version}".encode()))
    await router.once()
    (reply,) = sent(at)
    message = hl7.read(reply.data)
    assert message.header.version == version and message.value("ORC-1") == "UA"
    assert not [fault.text for fault in hl7.check(message).errors]


async def test_an_omn_is_answered_by_an_orn() -> None:
    at, router = await ward()
    await at.answer(BAD.replace(b"OMS^O05^OMS_O05", b"OMN^O07^OMN_O07"))
    await router.once()
    assert [one.kind for one in sent(at)] == ["ORN^O08"]


@pytest.mark.parametrize(
    ("sender", "channel"), [(BEDS.changed(reply_channel=None), CHANNEL), (BEDS, CHANNEL.changed(active=False))]
)
async def test_who_has_no_channel_for_replies_is_told_nothing(sender: Sender, channel: Channel) -> None:
    at, router = await ward(sender, channel)
    await at.answer(BAD)
    await router.once()
    assert sent(at) == [] and at.journal.kept().state == "dead"


async def test_a_dead_letter_has_its_senders_owner_in_a_column() -> None:
    at, router = await ward()
    await at.answer(BAD)
    await router.once()
    assert (at.journal.kept().state, at.journal.kept().owner) == ("dead", "Ward integration")


async def test_what_is_wrong_and_taken_all_the_same_is_noted_on_the_message() -> None:
    at, _ = await ward()
    assert (await at.answer(order("W-1").replace(b"ORC|NW", b"ORC|"))).accepted
    await at.answer(order("W-2"))
    noted = at.journal.kept("W-1").note
    assert "ORC-1" in noted and at.journal.kept("W-2").note == ""
    assert "900001" not in noted and at.journal.kept("W-1").state == "received"


async def test_a_refusal_is_in_the_set_the_department_writes_without_naming_it() -> None:
    at, router = await ward(BEDS.changed(character_set="8859/1"))
    assert (await at.answer(BAD.replace(b"not a unit", "Schüssel".encode("latin-1")))).accepted
    await router.once()
    (reply,) = sent(at)
    assert "Schüssel" in hl7.read(reply.data, default="8859/1").value("ERR-8")
