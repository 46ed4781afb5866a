"""The HL7 door: what is answered when, and what is kept whatever is answered."""

from __future__ import annotations

import asyncio

import pytest

from canonical.senders import Sender
from formats import hl7
from gateway.keeping import NotKept
from gateway.mllp_peer import Peer
from tests.gateway.hl7_house import WARD, House, house, order, shown, text
from tests.gateway.hl7_house import head as msh
from tests.gateway.mllp_corridor import soon


async def test_a_message_is_kept_as_it_came_and_answered_by_its_own_number() -> None:
    at = await house()
    said = await at.answer(order("W-77"))
    assert (said.code, said.control) == ("AA", "W-77")
    kept = at.journal.kept("W-77")
    assert (kept.data, kept.sender, kept.kind, kept.state) == (order("W-77"), "WARD", "OMS^O05", "received")
    assert (kept.key, kept.stream, kept.priority) == ("hl7/WARD/W-77", "hl7/WARD/order/REQ-1", 5)
    assert kept.occurred is not None and kept.occurred.isoformat() == "2026-11-02T08:15:00+00:00"


@pytest.mark.parametrize("sent", ["00010101000000+0100", "99991231235959-0500"])
async def test_a_moment_that_no_calendar_has_in_utc_is_no_moment_and_keeps_nobody_from_being_answered(
    sent: str,
) -> None:
    at = await house()
    said = await at.answer(order().replace(b"20261102081500", sent.encode()))
    assert said.code == "AA" and at.journal.kept().occurred is None


async def test_nothing_is_answered_before_it_is_durable() -> None:
    at = await house()
    at.journal.hold = asyncio.Event()
    asked = asyncio.create_task(at.answers(order()))
    await asyncio.sleep(0.05)
    assert not asked.done() and not at.journal.messages
    at.journal.hold.set()
    assert hl7.read_acknowledgement((await asked)[0]).accepted


async def test_what_comes_while_a_commit_is_under_way_is_kept_by_the_next_one_in_order() -> None:
    at = await house()
    at.journal.hold = asyncio.Event()
    asked = [asyncio.create_task(at.answers(order(f"W-{n}"))) for n in range(20)]
    await asyncio.sleep(0.05)
    at.journal.hold.set()
    said = [hl7.read_acknowledgement((await one)[0]).control for one in asked]
    assert said == [f"W-{n}" for n in range(20)]
    assert [one.control_number for one in at.journal.messages.values()] == said
    assert at.journal.commits in ([20], [1, 19])


async def test_a_repeat_gets_the_same_answer_byte_for_byte_and_is_kept_once() -> None:
    at = await house()
    first = await at.answers(order())
    assert await at.answers(order()) == first
    assert len(at.journal.messages) == 1


async def test_a_repeat_of_what_was_refused_gets_the_same_refusal() -> None:
    at = await house()
    broken = order(quantity="many")
    first = await at.answers(broken)
    assert hl7.read_acknowledgement(first[0]).code == "AE"
    assert await at.answers(broken) == first


async def test_a_repeat_of_what_was_taken_is_not_refused_by_rules_that_came_later() -> None:
    at = await house()
    assert (await at.answer(order())).code == "AA"
    at.register.rows = [WARD.changed(kinds=("ADT^*",))]
    await at.directory.refresh()
    assert (await at.answer(order())).code == "AA"
    assert (await at.answer(order("W-2"))).code == "AR"


async def test_a_test_systems_order_is_no_real_one_unless_its_row_says_so() -> None:
    at = await house()
    trial = order().replace(b"|P|2.5.1", b"|T^A|2.5.1")
    said = await at.answers(trial)
    assert hl7.read_acknowledgement(said[0]).code == "AR" and b"MSH^1^11" in said[0] and b"|202^" in said[0]
    assert at.journal.kept().state == "refused" and "processing id" in at.journal.kept().reason
    at.register.rows = [WARD.changed(processing=("P", "T"))]
    await at.directory.refresh()
    assert (await at.answer(trial)).code == "AA"
    assert (await at.answer(order("W-2").replace(b"|P|2.5.1", b"|D|2.5.1"))).code == "AR"


async def test_what_was_refused_is_taken_when_it_comes_again_after_its_senders_row_was_mended() -> None:
    at = await house(WARD.changed(kinds=("ADT^*",)))
    assert (await at.answer(order())).code == "AR"
    at.register.rows = [WARD]
    await at.directory.refresh()
    assert (await at.answer(order())).code == "AA"
    assert at.journal.kept().state == "received" and len(at.journal.messages) == 1


async def test_the_same_number_with_other_content_is_a_conflict_for_a_person_and_replaces_nothing() -> None:
    at = await house()
    await at.answer(order(quantity="4"))
    said = await at.answer(order(quantity="5"))
    assert (said.code, said.control, said.errors[0].code) == ("AR", "W-1", "205")
    first, other = at.journal.messages.values()
    assert (first.state, other.state, first.data) == ("received", "refused", order(quantity="4"))
    assert at.listed() == ["conflict"]
    assert (await at.answer(order(quantity="5"))).code == "AR" and len(at.journal.messages) == 2


async def test_a_number_is_its_senders_own() -> None:
    other = WARD.changed(code="OTHER", applications=("OTHERSYS",))
    at = await house(WARD, other)
    assert (await at.answer(order())).code == "AA"
    assert (await at.answer(order(app="OTHERSYS", quantity="5"))).code == "AA"


async def test_a_message_waits_for_our_database_and_is_then_kept_and_answered() -> None:
    at = await house()
    at.journal.away = True
    asked = asyncio.create_task(at.answer(order()))
    await asyncio.sleep(0.1)
    at.journal.away = False
    assert (await asked).code == "AA"


async def test_a_message_that_cannot_be_kept_in_time_is_answered_so_and_taken_when_it_comes_again() -> None:
    at = await house(patience=0.1)
    at.journal.away = True
    said = await at.answer(order())
    assert (said.code, said.control, said.errors[0].code) == ("AE", "W-1", "207")
    assert "send it again" in said.errors[0].text
    assert not at.journal.messages
    at.journal.away = False
    assert await sent_again(at) == "AA"


async def sent_again(at: House) -> str:
    """As a sender does who is told to: on a busy machine it may be told so once more. What it hears in the end."""
    async with asyncio.timeout(60):
        while (code := (await at.answer(order())).code) == "AE":
            await asyncio.sleep(0.01)
    return code


async def test_who_was_told_to_send_again_while_the_commit_was_on_its_way_is_a_duplicate_then() -> None:
    at = await house(patience=0.1)
    at.journal.hold = asyncio.Event()
    assert (await at.answer(order())).code == "AE"
    at.journal.hold.set()
    await soon(lambda: at.journal.messages)
    assert await sent_again(at) == "AA" and len(at.journal.messages) == 1


async def test_who_wants_no_answer_at_all_hears_by_a_closed_connection_that_nothing_was_kept() -> None:
    at = await house(patience=0.1)
    at.journal.away = True
    with pytest.raises(NotKept):
        await at.answers(order(rest="|||NE|NE"))


async def test_a_message_of_nobody_we_know_is_kept_rejected_and_listed() -> None:
    at = await house()
    said = await at.answer(order(app="STRANGER"))
    assert (said.code, said.control) == ("AR", "W-1")
    (kept,) = at.journal.messages.values()
    assert (kept.state, kept.sender, kept.data) == ("refused", "", order(app="STRANGER"))
    assert at.listed() == ["unknown_sender"]


async def test_a_flood_of_a_strangers_messages_is_one_entry_in_the_list() -> None:
    at = await house()
    for number in range(5):
        await at.answer(order(f"S-{number}", app="STRANGER"))
    assert len(at.journal.messages) == 5 and at.listed() == ["unknown_sender"]


async def test_a_sender_is_known_by_its_address_and_the_names_in_its_header() -> None:
    at = await house()
    assert (await at.answer(order())).accepted
    elsewhere = Peer("192.168.1.1", 4000)
    assert not (await at.answer(order("W-2"), elsewhere)).accepted


async def test_a_sender_with_a_certificate_is_known_by_it_from_anywhere_and_by_no_other() -> None:
    row = Sender(code="WARD", facility="NGH", certificates=("AB" * 32,), kinds=("*",))
    at = await house(row)
    assert (await at.answer(order(), shown("ab" * 32))).accepted
    assert not (await at.answer(order("W-2"), shown("cd" * 32))).accepted
    assert not (await at.answer(order("W-3"))).accepted


async def test_the_row_that_names_most_is_the_senders_and_two_that_name_as_much_are_nobodys() -> None:
    general = WARD.changed(code="ANY", applications=())
    at = await house(general, WARD)
    await at.answer(order())
    assert at.journal.kept().sender == "WARD"
    twin = await house(WARD, WARD.changed(code="TWIN"))
    said = await twin.answer(order())
    assert said.code == "AR" and "TWIN or WARD" in said.errors[0].text


async def test_a_sender_that_is_no_longer_active_is_nobody() -> None:
    at = await house(WARD.changed(active=False))
    assert (await at.answer(order())).code == "AR"


async def test_a_quota_holds_a_sender_back_in_order_and_nobody_else() -> None:
    slow = WARD.changed(code="SLOW", applications=("SLOWSYS",), per_minute=60)  # one a second, five at once
    at = await house(WARD, slow)
    asked = [asyncio.create_task(at.answer(order(f"S-{n}", app="SLOWSYS"))) for n in range(7)]
    async with asyncio.timeout(60):
        while sum(one.done() for one in asked) < 5:
            await asyncio.sleep(0)
    assert (await at.answer(order())).code == "AA"
    assert 5 <= sum(one.done() for one in asked) < 7, "the others wait for their second"
    said = [(await one).control for one in asked]
    kept = [one.control_number for one in at.journal.messages.values() if one.sender == "SLOW"]
    assert said == kept == [f"S-{n}" for n in range(7)]


async def test_who_is_over_its_quota_for_too_long_is_told_to_send_again() -> None:
    slow = WARD.changed(per_minute=1)
    at = await house(slow, patience=0.1)
    assert (await at.answer(order())).code == "AA"
    said = await at.answer(order("W-2"))
    assert said.code == "AE" and "agreed" in said.errors[0].text and len(at.journal.messages) == 1


async def test_a_kind_out_of_a_senders_scope_is_rejected_with_its_place() -> None:
    at = await house()
    said = await at.answer(text(msh(kind="ORU^R01^ORU_R01"), "PID|1"))
    assert (said.code, said.errors[0].code, said.errors[0].place) == ("AR", "201", "MSH-9")
    assert at.journal.kept().state == "refused"


@pytest.mark.parametrize(("policy", "code", "state"), [("AA", "AA", "received"), ("AR", "AR", "refused")])
async def test_a_kind_nothing_reads_is_answered_as_its_senders_row_says(policy: str, code: str, state: str) -> None:
    at = await house(WARD.changed(unrouted=policy))
    admit = text(msh(kind="ADT^A08"), "EVN||20261102", "PID|1||900001^^^NGH^MR||TEST^A", "PV1|1|I")
    assert (await at.answer(admit)).code == code
    assert at.journal.kept().state == state


@pytest.mark.parametrize(("check", "code"), [("refuse", "AE"), ("warn", "AA"), ("off", "AA")])
async def test_what_is_wrong_with_a_structure_refuses_a_message_where_its_senders_row_says_so(
    check: str, code: str
) -> None:
    at = await house(WARD.changed(check=check))
    said = await at.answer(order(quantity="many"))
    assert said.code == code
    assert [error.place for error in said.errors] == (["RQD-5"] if code == "AE" else [])


@pytest.mark.parametrize(("policy", "code"), [("AA", "AA"), ("AR", "AR")])
async def test_a_structure_its_version_has_no_table_of_is_answered_by_policy(policy: str, code: str) -> None:
    at = await house(WARD.changed(unrouted=policy))
    assert (await at.answer(order(kind="OMS^O05^OMS_X99"))).code == code


async def test_bytes_that_do_not_fit_their_character_set_are_refused_and_fit_by_the_senders_row() -> None:
    latin = order().replace(b"Glove", "Größe".encode("latin-1"))
    at = await house()
    assert (await at.answer(latin)).code == "AE"
    read = await house(WARD.changed(character_set="8859/1"))
    assert (await read.answer(latin)).code == "AA"


async def test_a_message_without_a_number_is_kept_once_and_rejected_without_one() -> None:
    at = await house()
    for _ in range(2):
        (said,) = await at.answers(order(""))
        assert b"\rMSA|AR|\r" in said
    assert [one.state for one in at.journal.messages.values()] == ["refused"]


@pytest.mark.parametrize("data", [b"", b"hello", b"PID|1||900001\r", b"MSH", b"MSH|^~\\&|", bytes(range(256))])
async def test_what_has_no_header_is_kept_as_it_came_rejected_and_listed(data: bytes) -> None:
    at = await house()
    (said,) = await at.answers(data)
    assert b"MSA|AR|" in said
    (kept,) = at.journal.messages.values()
    assert (kept.state, kept.data) == ("refused", data) and len(at.listed()) == 1


async def test_no_patients_identity_is_in_a_key_a_stream_or_a_reason() -> None:
    at = await house()
    admit = text(msh(kind="ADT^A08"), "EVN||20261102", "PID|1||900001^^^NGH^MR||TEST^PATIENT", "PV1|1|I")
    await at.answer(admit)
    await at.answer(order("W-2").replace(b"PID|1|", b"PID|X|"))
    for kept in at.journal.messages.values():
        told = f"{kept.key} {kept.stream} {kept.reason} {kept.kind}"
        assert "900001" not in told and "PATIENT" not in told
    assert at.journal.kept().stream.startswith("hl7/WARD/patient/")


async def test_messages_about_one_thing_are_one_stream_and_of_nothing_each_its_own() -> None:
    at = await house(WARD.changed(check="off"))
    for control, segments in {
        "A": ("PID|1||7^^^NGH^MR",), "B": ("PID|1||7^^^NGH^MR",), "C": ("PID|1||8^^^NGH^MR",),
        "D": ("MFI|LOC^Location",), "E": ("EVN|",), "F": ("EVN|",),
    }.items():  # fmt: skip
        await at.answer(text(msh(control, kind="ADT^A08"), *segments))
    streams = [at.journal.kept(control).stream for control in "ABCDEF"]
    assert streams[0] == streams[1] != streams[2] and streams[3] == "hl7/WARD/master/LOC"
    assert len(set(streams)) == 5 and all(streams)


async def test_a_stranger_that_changes_its_address_within_its_network_is_one_stranger() -> None:
    at = await house()
    for last in range(1, 4):
        assert (await at.answer(order(f"W-{last}"), Peer(f"2001:db8:1:2::{last}", 4000))).code == "AR"
    assert len(at.listed()) == 1 and len(at.journal.messages) == 3
