"""What the HL7 door answers in enhanced mode, to batches and to broken frames."""

from __future__ import annotations

import pytest

from canonical.errors import Unavailable
from canonical.senders import Sender
from formats import hl7
from formats.mllp import Broken, Fault
from tests.formats.hl7_files import ALL, sample
from tests.gateway.hl7_batches import ENHANCED, batch, codes
from tests.gateway.hl7_house import HERE, WARD, house, order
from tests.gateway.mllp_client import Sender as Wire
from tests.gateway.mllp_corridor import door


@pytest.mark.parametrize(
    ("wish", "good", "refused", "unread"),
    [
        ("|||AL|AL", ["CA", "AA"], ["CE"], ["CA", "AE"]),
        ("|||AL|NE", ["CA"], ["CE"], ["CA"]),
        ("|||NE|AL", ["AA"], ["AE"], ["AE"]),
        ("|||ER|ER", [], ["CE"], ["AE"]),
        ("|||SU|SU", ["CA", "AA"], [], ["CA"]),
        ("|||NE|ER", [], ["AE"], ["AE"]),
        ("|||NE|NE", [], [], []),
        ("||||AL", ["AA"], ["AE"], ["AE"]),
        ("|||yes|", ["CA"], ["CE"], ["CA"]),
    ],
)
async def test_enhanced_mode_answers_what_was_asked_for(
    wish: str, good: list[str], refused: list[str], unread: list[str]
) -> None:
    assert await codes(order(rest=wish)) == [(code, "W-1") for code in good]
    assert await codes(order(quantity="many", rest=wish)) == [(code, "W-1") for code in refused]
    assert await codes(order(rest=wish), unreadable=True) == [(code, "W-1") for code in unread]


async def test_the_answer_after_reading_follows_on_the_same_connection_and_a_repeat_hears_both_again() -> None:
    at = await house(WARD.changed(addresses=("127.0.0.1",)))
    async with door(at.door) as listener:
        wire = await Wire.connect(listener.address)
        heard = []
        for _ in range(2):
            await wire.send(b"\x0b" + order(rest=ENHANCED) + b"\x1c\r")
            heard.append(await wire.answers(2))
        wire.close()
    assert heard[0] == heard[1]
    assert [hl7.read_acknowledgement(one).code for one in heard[0]] == ["CA", "AA"]
    numbers = [hl7.read_acknowledgement(one).header.control for one in heard[0]]
    assert len(set(numbers)) == 2 and max(map(len, numbers)) <= 20


async def test_the_messages_of_a_batch_are_kept_one_by_one_and_answered_in_one() -> None:
    at = await house()
    (said,) = await at.answers(batch(order("W-1"), order("W-2", quantity="many"), order("W-3")))
    lines = said.decode().split("\r")
    assert lines[0].startswith("BHS|") and lines[0].split("|")[11] == "B-1" and lines[-2] == "BTS|3"
    assert [line for line in lines if line.startswith("MSA")] == ["MSA|AA|W-1", "MSA|AE|W-2", "MSA|AA|W-3"]
    states = {one.control_number: one.state for one in at.journal.messages.values()}
    assert states == {"": "received", "W-1": "received", "W-2": "refused", "W-3": "received"}
    assert at.journal.commits == [4]
    assert (await at.answers(batch(order("W-1"), order("W-2", quantity="many"), order("W-3")))) == (said,)
    assert len(at.journal.messages) == 4


async def test_a_batch_is_answered_message_by_message_where_its_senders_row_says_so() -> None:
    at = await house(WARD.changed(batch="single"))
    said = await at.answers(batch(order("W-1"), order("W-2")))
    assert [hl7.read_acknowledgement(one).control for one in said] == ["W-1", "W-2"]


async def test_of_a_batch_that_is_cut_or_miscounted_nothing_is_taken() -> None:
    at = await house()
    whole = batch(order("W-1"), order("W-2"))
    for broken in (whole[: len(whole) - 6], batch(order("W-1"), count=2), b"BHS|^~\\&|A\rBTS|0\r", b"FHS"):
        (said,) = await at.answers(broken)
        assert b"MSA|AR|" in said
    assert {one.state for one in at.journal.messages.values()} == {"refused"}
    assert next(one.data for one in at.journal.messages.values()) == whole[: len(whole) - 6]


async def test_a_batch_that_cannot_be_kept_is_answered_for_each_of_its_messages() -> None:
    at = await house(patience=0.1)
    at.journal.away = True
    (said,) = await at.answers(batch(order("W-1"), order("W-2")))
    assert said.count(b"MSA|AE|W-") == 2 and not at.journal.messages


@pytest.mark.parametrize("fault", Fault)
async def test_a_broken_frame_is_kept_as_far_as_it_came_and_listed(fault: Fault) -> None:
    at = await house()
    said = await at.door.broken(Broken(fault, order("W-9")[:70]), HERE)
    (kept,) = at.journal.messages.values()
    assert (kept.state, kept.data, at.listed()) == ("refused", order("W-9")[:70], ["broken_frame"])
    waits = fault in (Fault.TOO_LARGE, Fault.UNTERMINATED, Fault.NOISE)
    assert len(said) == int(waits)


async def test_every_sample_is_kept_and_answered() -> None:
    anybody = Sender(code="ANY", facility="NGH", addresses=("10.2.0.0/16",), kinds=("*",))
    for name in ALL:
        at = await house(anybody)
        said = await at.answers(sample(name))
        assert said and any(one.data == sample(name) for one in at.journal.messages.values()), name
        if name.startswith("refused"):
            assert not hl7.read_acknowledgement(said[0]).accepted, name


async def test_a_list_that_cannot_be_written_keeps_nobody_from_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    at = await house()

    async def away(_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(at.cases, "put_unmatched", away)
    assert (await at.answer(order(app="STRANGER"))).code == "AR"
