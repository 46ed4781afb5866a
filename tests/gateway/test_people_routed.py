"""From the frame to what HR said: kept once, all of a message together, nobody's name further than our store, and bad input listed."""

from __future__ import annotations

import logging

import pytest
import structlog

from canonical.replays import DONE, NEW
from canonical.senders import Mapping as Codes
from canonical.senders import Mappings, Sender
from formats import hl7
from formats.hl7 import Message
from gateway import registry
from gateway.preview import Previewer
from tests.gateway.hl7_house import House, head, text
from tests.gateway.people_house import CANARY, HASHES, HR, NATIONAL, ROLES, Inbox, hospital, pmu
from tests.gateway.test_people_files import staff_file
from tests.workers.test_replaying import Foresight, nobody


async def sent(at: House, *messages: bytes) -> None:
    for message in messages:
        assert (await at.answer(message)).accepted
    await at.router().once()


REASONS = Codes(sender="HR", table="reason", rows={"FC": "emergency-for-cause"})


async def urgent_hospital() -> tuple[House, Inbox]:
    """One whose HR system has a code for ends at once, and parks what waits behind a dead letter."""
    at, inbox = await hospital(HR.changed(on_dead="park"))
    at.register.tables = [ROLES, REASONS]
    await at.directory.refresh()
    return at, inbox


def because(message: bytes, reason: str) -> bytes:
    """The message with this reason in EVN-4."""
    return message.replace(b"|20261102081500\rSTF", f"|20261102081500||{reason}\rSTF".encode())


def master(control: str, *rows: tuple[str, str], kind: str = "STF") -> bytes:
    """An MFN^M02 of rows, each an event (MFE-1) and why somebody is inactive (STF-38)."""
    made = [head(control, "MFN^M02^MFN_M02", app="HR"), f"MFI|{kind}||UPD|20261102081500||NE"]
    for number, (event, why) in enumerate(rows):
        made.append(f"MFE|{event}|R-{number}|20261201|S-{number}|CE")
        made.append(f"STF|S-{number}||{CANARY}^TEST" + "|" * 35 + why)
    return text(*made)


class PeopleForesight(Foresight):
    """What the events in memory say."""

    def __init__(self, at: House, inbox: Inbox) -> None:
        super().__init__(at)
        self.hr_events = inbox.hr_events  # type: ignore[method-assign]


async def test_an_event_is_kept_once_however_often_it_is_sent() -> None:
    at, inbox = await hospital()
    await sent(at, pmu("B01", "M-1"), pmu("B01", "M-1"))
    (event,) = inbox.events
    assert (event.number, event.kind, event.position.role, event.source) == ("M-1", "hire", "surgeon", "workday")
    assert at.journal.kept("M-1").state == "routed"


async def test_a_name_and_a_national_number_are_in_no_log_failure_list_or_stream(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    at, inbox = await hospital()
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logs:
        await sent(at, pmu("B01", "M-1"), pmu("B01", "M-2").replace(b"SURGEON", b""))
        await sent(at, staff_file().replace(b"SURGEON", b""))
    assert at.journal.kept("M-2").state == "dead" and len(inbox.events) == 2
    told = [str(logs), caplog.text, "".join(capsys.readouterr()), *(repr(one) for one in inbox.events)]
    told += [row.model_dump_json() for row in at.cases.unmatched.values()]
    told += [f"{one.reason} {one.key} {one.stream} {one.note}" for one in at.journal.messages.values()]
    assert not [one for one in told if CANARY in one or NATIONAL in one]
    assert CANARY.encode() in at.journal.kept("M-1").data, "the journal has it, as it came"


async def test_what_cannot_be_read_is_a_dead_letter_with_its_place_and_holds_up_nobody_else() -> None:
    at, inbox = await hospital(HR.changed(on_dead="park"))
    await sent(at, pmu("B01", "M-1").replace(b"SURGEON", b""), pmu("B06", "M-2"))
    dead = at.journal.kept("M-1")
    assert dead.state == "dead" and "STF-19" in dead.reason
    assert [event.kind for event in inbox.events] == ["terminate"], "who leaves does not wait behind what is parked"
    (row,) = at.cases.unmatched.values()
    assert (row.kind, row.message) == ("unreadable", dead.id) and "HR integration" in row.reason


async def test_an_end_at_another_hospital_ends_nobody_here_and_is_found_by_a_person() -> None:
    at, inbox = await hospital()
    gone = pmu("B06", "M-1").replace(b"|A" + b"|" * 12 + b"SURGEON", b"|I||||||20261122^OTHER")
    await sent(at, gone)
    dead = at.journal.kept("M-1")
    assert inbox.events == [] and dead.state == "dead" and "STF-13.2" in dead.reason
    (row,) = at.cases.unmatched.values()
    assert (row.kind, row.message) == ("unreadable", dead.id) and "HR integration" in row.reason
    first, *others = gone.decode().split("\r")
    enhanced = "|".join([*first.replace("|M-1|", "|M-2|").split("|"), "", "", "AL", "AL"])
    answers = await at.answers("\r".join([enhanced, *others]).encode())
    kept, read = (hl7.read_acknowledgement(one) for one in answers)
    assert (kept.code, read.code, read.errors[0].place) == ("CA", "AE", "STF-13.2"), "who asks for it hears it"


async def test_rows_of_a_staff_file_that_cannot_be_read_are_listed_each_and_the_others_are_kept() -> None:
    at, inbox = await hospital()
    await sent(at, staff_file().replace(b"SURGEON", b""))
    assert [event.number for event in inbox.events] == ["F-1/R-2"] and at.journal.kept("F-1").state == "routed"
    (row,) = at.cases.unmatched.values()
    assert (row.kind, row.number) == ("hr_row", "R-1") and "STF-19" in row.reason
    await at.router().once()
    assert len(at.cases.unmatched) == 1


async def test_what_the_tables_of_its_version_refuse_its_sender_hears_at_once_with_the_place() -> None:
    at, inbox = await hospital()
    answer = await at.answer(pmu("B01", "M-1").replace(b"19840307", b"19841307"))
    assert (answer.code, answer.errors[0].place) == ("AE", "STF-6.1")
    assert at.journal.kept("M-1").state == "refused" and inbox.events == []


async def test_a_number_with_other_content_is_refused_and_listed_and_changes_nothing() -> None:
    at, inbox = await hospital()
    await sent(at, pmu("B01", "M-1"))
    at.journal.messages.clear()  # long ago: the door has forgotten its number
    await sent(at, pmu("B01", "M-1", key="S-99"))
    kept = at.journal.kept("M-1")
    assert kept.state == "refused" and kept.reason == "HR event M-1 of workday is known with other content"
    assert [event.person for event in inbox.events] == ["S-77"]
    (row,) = at.cases.unmatched.values()
    assert (row.kind, row.number) == ("hr_event", "M-1")


async def test_while_our_store_is_away_an_event_waits_and_is_kept_once_it_is_back() -> None:
    at, inbox = await hospital()
    inbox.away = True
    await sent(at, pmu("B01", "M-1"))
    assert at.journal.kept("M-1").state == "received"
    inbox.away = False
    at.now += 300
    await at.router().once()
    assert at.journal.kept("M-1").state == "routed" and len(inbox.events) == 1


async def test_a_preview_says_what_would_come_of_an_event_and_shows_nobody() -> None:
    at, inbox = await hospital()
    for message in (pmu("B01", "M-1"), pmu("B06", "M-2")):
        assert (await at.answer(message)).accepted
    for name, kept in list(at.journal.messages.items()):
        at.journal.messages[name] = kept.model_copy(update={"state": "dead"})
    previewer = Previewer(
        at.routing().reader, PeopleForesight(at, inbox), at.cases, nobody, at.intake.routes, hashes=HASHES
    )
    new, leaver = await previewer.preview([at.journal.kept("M-1"), at.journal.kept("M-2")])
    assert (new.outcome, leaver.outcome) == (NEW, NEW)
    assert "hire of one person from 2026-11-02" in new.detail
    text = new.model_dump_json() + leaver.model_dump_json()
    assert CANARY not in text and NATIONAL not in text and "1984" not in text and "(not shown)" in text
    for control in ("M-1", "M-2"):
        await at.routing().route(at.journal.kept(control))
    again = Previewer(
        at.routing().reader, PeopleForesight(at, inbox), at.cases, nobody, at.intake.routes, hashes=HASHES
    )
    (done,) = await again.preview([at.journal.kept("M-1")])
    assert done.outcome == DONE and "is kept (applied)" in done.detail


@pytest.mark.parametrize(
    ("message", "priority"),
    [
        (because(pmu("B06", "M-1"), "FC"), 0),
        (because(pmu("B05", "M-1"), "emergency-threat"), 0),
        (because(pmu("B06", "M-1"), "RET"), 2),
        (because(pmu("B02", "M-1"), "FC"), 8),
        (master("M-1", ("MUP", ""), ("MDC", "FC")), 0),
        (master("M-1", ("MUP", "FC"), ("MDC", "RET")), 9),
        (master("M-1", ("MDC", "FC"), kind="PRA"), 0),
    ],
)
async def test_an_end_at_once_is_of_the_first_priority_by_hl7_too_and_nothing_else_is(
    message: bytes, priority: int
) -> None:
    at, inbox = await urgent_hospital()
    await sent(at, message)
    assert at.journal.kept("M-1").priority == priority
    assert any(event.emergency for event in inbox.events) == (priority == 0), "the door and the feed say the same"


async def test_who_must_go_at_once_by_hl7_overtakes_all_who_come() -> None:
    at, inbox = await urgent_hospital()
    comes = [pmu("B06", f"M-{number}", key=f"S-{number}") for number in range(20)]
    await sent(at, *comes, because(pmu("B06", "M-99", key="S-99"), "FC"))
    assert [event.number for event in inbox.events][:2] == ["M-99", "M-0"]


async def test_of_a_batch_the_one_that_ends_access_goes_first() -> None:
    at, inbox = await urgent_hospital()
    gone = because(pmu("B06", "M-2", key="S-2"), "FC")
    await at.answers(b"BHS|^~\\&|HR|NGH|FASCIA|NGH|20261102081500\r" + pmu("B06", "M-1") + gone + b"BTS|2\r")
    await at.router().once()
    assert [event.number for event in inbox.events] == ["M-2", "M-1"]


async def test_a_staff_file_that_cannot_be_read_holds_up_no_end_in_the_next_one() -> None:
    at, inbox = await urgent_hospital()
    await sent(at, master("F-1", ("XXX", "")), master("F-2", ("MDC", "FC")))
    assert at.journal.kept("F-1").state in ("dead", "refused") and at.journal.kept("F-2").state == "routed"
    assert [event.number for event in inbox.events] == ["F-2/R-0"]


async def test_only_messages_that_may_end_access_are_looked_into_before_they_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    def note(message: Message, sender: Sender, mappings: Mappings) -> bool:
        looked.append(message.header.control)
        return False

    monkeypatch.setattr(registry, "HL7_ENDINGS", dict.fromkeys(registry.HL7_ENDINGS, note))
    at, _ = await urgent_hospital()
    await sent(at, pmu("B01", "M-1"), pmu("B02", "M-2"), pmu("B05", "M-3"), pmu("B06", "M-4"))
    assert looked == ["M-3", "M-4"]
