"""A number came again with other content: a person finds it, sees what differs, takes it as a new one or passes it over."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import FasciaError, Malformed, Rejected
from canonical.replays import NEW
from store.acts import StoredActs
from tests.formats.x12_files import sample
from tests.gateway.hl7_house import order
from tests.store.build import put
from tests.store.replay_house import HERE, ReplayHouse, unknown
from tests.store.requisition_desk import Desk, asked
from tests.store.test_replay import ALPINE, ANSWER, House


@pytest.fixture
async def ward(engine: AsyncEngine, tmp_path: Path) -> ReplayHouse:
    made = ReplayHouse(engine, tmp_path)
    await made.register()
    return made


@pytest.fixture
async def supplier(engine: AsyncEngine, tmp_path: Path) -> House:
    await put(engine, "partner", "", "ALPINE", ALPINE)
    return House(engine, tmp_path)


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> Desk:
    made = Desk(engine, tmp_path)
    await made.register()
    return made


def case(number: str) -> str:
    return f"procure_to_pay/NGH/ward-desk/{number}"


async def code(ward: ReplayHouse, data: bytes) -> bytes:
    """What a message is answered: MSA-1."""
    (answer,) = await ward.door.take(data, HERE)
    return answer.partition(b"MSA|")[2][:2]


async def twice(ward: ReplayHouse, other: bytes) -> str:
    """A number sent with two contents; gives the message of the second."""
    await ward.sends(order("W-1", "REQ-1"))
    assert await code(ward, other) == b"AR"
    (row,) = await ward.wiring.cases.unmatched()
    assert (row.kind, row.number, row.supplier) == ("conflict", "W-1", "WARD")
    return row.message


# ---- HL7: MSH-10 -------------------------------------------------------------------------------------------------------


async def test_an_hl7_message_under_a_known_number_is_taken_as_new_when_a_person_says_so(ward: ReplayHouse) -> None:
    other = order("W-1", "REQ-2", quantity="9")
    message = await twice(ward, other)
    seen = await ward.replays.accept(message, "", True)
    assert (seen.preview.outcome, seen.preview.cases, seen.state) == (NEW, (case("REQ-2"),), "refused")
    assert ("requisition REQ-2 lines.1.quantity", "", "9 BX") in [
        (one.path, one.was, one.now) for one in seen.preview.differences
    ]
    assert ward.starts.asked == [case("REQ-1")], "a preview does nothing"
    done = await ward.replays.accept(message, "its counter began anew", False)
    first = await ward.journal.read(done.first)
    assert first is not None and (first.state, first.data) == ("routed", order("W-1", "REQ-1"))
    await ward.route()
    assert ward.starts.asked == [case("REQ-1"), case("REQ-2")]
    for _ in range(2):
        assert await code(ward, other) == b"AA", "its sender hears the truth now: it is taken"
    assert await code(ward, order("W-1", "REQ-1")) == b"AA"
    kept = await ward.journal.read(message)
    assert kept is not None and (kept.state, kept.case) == ("routed", case("REQ-2"))
    told = [reason for _, reason, _ in await ward.journal.history(message)]
    assert any("accepted as a message of its own by mito (os_user), beside message" in one for one in told)
    assert [one.state for one in await ward.wiring.cases.unmatched("")] == ["set_aside"]
    (deed,) = await StoredActs(ward.wiring.database).acts(f"message/{message}")
    assert (deed.verb, deed.reason) == ("journal accept", "its counter began anew")
    with pytest.raises(Rejected, match="nothing to accept"):
        await ward.replays.accept(message, "again", False)


async def test_one_that_conflicts_with_its_case_all_the_same_is_not_accepted_but_corrected(ward: ReplayHouse) -> None:
    message = await twice(ward, order("W-1", "REQ-1", quantity="9"))
    with pytest.raises(FasciaError, match="REQ-1 is known with other content"):
        await ward.replays.accept(message, "take it", False)
    kept = await ward.journal.read(message)
    assert kept is not None and kept.state == "refused"
    new = await ward.replays.correct(message, order("W-1", "REQ-3", quantity="9"), "under a number of its own", False)
    assert (new.state, new.case) == ("routed", case("REQ-3"))
    assert await code(ward, order("W-1", "REQ-1", quantity="9")) == b"AR"
    kept = await ward.journal.read(message)
    assert kept is not None and kept.state == "corrected", "sent again it is no new conflict"


async def test_one_that_is_passed_over_stays_so_however_often_it_is_sent(ward: ReplayHouse) -> None:
    other = order("W-1", "REQ-2", quantity="9")
    message = await twice(ward, other)
    await ward.replays.skip(message, "a test of theirs", False)
    assert await code(ward, other) == b"AR"
    kept = await ward.journal.read(message)
    assert kept is not None and kept.state == "skipped"
    assert [one.state for one in await ward.wiring.cases.unmatched("")] == ["set_aside"]
    await ward.replays.accept(message, "it was none after all", False)
    await ward.route()
    assert ward.starts.asked == [case("REQ-1"), case("REQ-2")]


async def test_a_message_with_a_number_of_its_own_has_nothing_to_accept(ward: ReplayHouse) -> None:
    await ward.sends(unknown("W-1", "REQ-1"))
    with pytest.raises(Rejected, match="no other message's number"):
        await ward.replays.accept((await ward.message("W-1")).id, "x", True)
    with pytest.raises(FasciaError, match="no message m-0"):
        await ward.replays.accept("m-0", "x", True)


# ---- HL7: refused, and corrected or passed over by a person ----------------------------------------------------------------


async def test_a_refused_message_that_a_person_corrected_is_refused_byte_for_byte_when_it_comes_again(
    ward: ReplayHouse,
) -> None:
    bad = order("W-1", "REQ-1", quantity="many")
    (said,) = await ward.door.take(bad, HERE)
    assert b"MSA|AE|W-1" in said
    refused = await ward.message("W-1")
    done = await ward.replays.correct(refused.id, order("W-1", "REQ-1"), "four, they say", False)
    assert (done.state, done.case) == ("routed", case("REQ-1"))
    assert await ward.door.take(bad, HERE) == (said,), "nothing of these bytes was ever taken"
    assert (await ward.message("W-1")).state == "corrected" and ward.starts.asked == [case("REQ-1")]
    received, heard, *_ = await ward.journal.history(refused.id)
    assert (received[0], heard[0], heard[1]) == ("received", "refused", refused.reason), "its history knows that"


async def test_a_refused_message_that_is_passed_over_is_refused_again_and_a_taken_one_is_not(ward: ReplayHouse) -> None:
    bad = order("W-1", "REQ-1", quantity="many")
    (said,) = await ward.door.take(bad, HERE)
    await ward.replays.skip((await ward.message("W-1")).id, "never mind", False)
    assert await ward.door.take(bad, HERE) == (said,)
    await ward.sends(unknown("W-2", "REQ-2"))
    await ward.replays.skip((await ward.message("W-2")).id, "ordered by phone", False)
    assert await code(ward, unknown("W-2", "REQ-2")) == b"AA"


# ---- X12: ISA13 --------------------------------------------------------------------------------------------------------


async def test_an_interchange_under_a_known_number_is_accepted_and_answered_anew(supplier: House) -> None:
    await supplier.open_order()
    await supplier.left(sample(ANSWER))
    other = sample(ANSWER).replace(b"SO-88120", b"SO-99999")
    message = await supplier.left(other)
    (row,) = await supplier.wiring.cases.unmatched()
    assert (row.kind, row.message) == ("conflict", message)
    done = await supplier.accept(message, "their counter began anew")
    assert (done.state, len(supplier.engine.delivered)) == ("routed", 2)
    answers = list(supplier.mailbox.put_files.values())
    assert len(answers) == 3 and b"TA1*" in answers[1] and b"AK9*A" in answers[2], "refused, and accepted since"
    await supplier.wiring.mailbox_door.accept(ALPINE, "again.x12", other)
    assert len(supplier.engine.delivered) == 2
    assert supplier.mailbox.puts[-1] == supplier.mailbox.puts[-2] and len(supplier.mailbox.puts) == 4
    assert await supplier.wiring.cases.unmatched() == []


# ---- REST: Idempotency-Key ------------------------------------------------------------------------------------------------


async def test_a_requisition_under_a_used_idempotency_key_is_listed_and_decided_by_a_person(desk: Desk) -> None:
    assert (await desk.post(asked("R-1"), "k-1")).status_code == 202
    for _ in range(2):
        assert (await desk.post(asked("R-2"), "k-1")).json()["code"] == "idempotency-key-reused"
    (row,) = await desk.wiring.cases.unmatched()
    assert (row.kind, row.facility, row.supplier) == ("conflict", "NGH", "orplan")
    seen = await desk.replays.accept(row.message, "", True)
    assert (seen.preview.outcome, seen.preview.cases) == (NEW, ("procure_to_pay/NGH/ward-desk/R-2",))
    done = await desk.replays.accept(row.message, "their keys began anew", False)
    assert (done.state, done.case) == ("routed", "procure_to_pay/NGH/ward-desk/R-2")
    assert [one.rpartition("/")[2] for one in desk.starts.asked] == ["R-1", "R-2"]
    again = await desk.post(asked("R-2"), "k-1")
    assert (again.status_code, again.json()["message"]) == (202, row.message)
    assert (await desk.post(asked("R-1"), "k-1")).status_code == 202 and await desk.wiring.cases.unmatched() == []


async def test_what_its_key_may_not_ask_for_is_not_accepted_either(desk: Desk) -> None:
    await desk.post(asked("R-1"), "k-1")
    await desk.post(asked("R-2", facility="SGH"), "k-1")
    (row,) = await desk.wiring.cases.unmatched()
    with pytest.raises(Rejected, match="this key is for facility NGH"):
        await desk.replays.accept(row.message, "x", False)
    await desk.post(b'{"facility": 1}', "k-1")
    row = (await desk.wiring.cases.unmatched())[1]
    with pytest.raises(Malformed):
        await desk.replays.accept(row.message, "x", False)
    assert len(desk.starts.asked) == 1
