"""What the HL7 door says and notes is what a person at night needs: who it was, what is broken, where, and how it was answered."""

from __future__ import annotations

from formats import hl7
from formats.mllp import Broken, Fault
from gateway.registry import HL7_FEEDS
from tests.gateway.hl7_house import HERE, WARD, House, house, order, text
from tests.gateway.hl7_house import head as msh

BATCH = text("FHS|^~\\&|WARDSYS|NGH", "BHS|^~\\&|WARDSYS|NGH") + order("B-1")


def reason(at: House) -> str:
    (kept,) = at.journal.messages.values()
    return kept.reason


async def test_what_cannot_be_named_in_an_answer_is_noted_as_it_was_answered() -> None:
    at = await house()
    (said,) = await at.answers(order(""))
    assert b"\rMSA|AR|\r" in said
    assert reason(at).startswith("AR: ")


async def test_a_place_is_said_once() -> None:
    at = await house()
    await at.answer(text(msh(kind="ADT^A01^ADT_A01"), "EVN||2026-11-02", "PID|1||900001||DOE^JANE", "PV1|1|I"))
    assert reason(at).startswith("AE: EVN-2.1 is not a date")


async def test_a_stranger_is_noted_by_what_it_calls_itself_and_a_flood_of_names_is_one_entry() -> None:
    at = await house()
    for name in ("NEWLAB", "X" * 500, "Bad\x7fname"):
        await at.answer(order(app=name))
    assert [kept.reason.rpartition("(")[2] for kept in at.journal.messages.values()] == [
        f"from {HERE.host} as NEWLAB^NGH)",
        f"from {HERE.host} as {'X' * 40}^NGH)",
        f"from {HERE.host} as Bad?name^NGH)",
    ]
    (row,) = at.cases.unmatched.values()
    assert "NEWLAB^NGH" in row.reason


async def test_a_batch_that_is_cut_and_a_broken_frame_are_listed_with_their_sender_and_owner() -> None:
    at = await house(WARD.changed(owner="Ward integration"))
    await at.answers(BATCH)
    await at.door.broken(Broken(Fault.TRUNCATED, order("W-9")[:70]), HERE)
    assert [kept.sender for kept in at.journal.messages.values()] == ["WARD", "WARD"]
    rows = list(at.cases.unmatched.values())
    assert [(row.kind, row.supplier, row.facility) for row in rows] == [
        ("unreadable", "WARD", "NGH"),
        ("broken_frame", "WARD", "NGH"),
    ]
    assert all("[owner: Ward integration]" in row.reason for row in rows)
    assert "the connection ended inside it" in rows[1].reason


async def test_an_application_error_says_the_place_of_what_could_not_be_read() -> None:
    at = await house(
        WARD.changed(check="warn", department="surgery", cost_centre="CC-4100", requester="E-1001", deliver_to="NGH-W3")
    )
    at.feeds = {kind: feed for (_, kind), feed in HL7_FEEDS.items()}
    bad = order("W-1").replace(b"|BX^Box^L", b"|WAGON").replace(b"|P|2.5.1", b"|P|2.5.1|||NE|AL", 1)
    (said,) = await at.answers(bad)
    answer = hl7.read(said)
    assert (answer.value("MSA-1"), answer.value("ERR-2.1"), answer.value("ERR-2.3")) == ("AE", "RQD", "6")
