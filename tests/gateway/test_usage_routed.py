"""From the frame to what was used: kept once, all of a message together, and whoever it was used on stays behind."""

from __future__ import annotations

import logging

import pytest
import structlog

from canonical.errors import Unavailable
from canonical.messages import Kept
from canonical.usage import UsageEvent
from gateway.usage import LENGTH, Procedures, UsageTaker
from tests.gateway.hl7_house import House
from tests.gateway.usage_house import CANARY, PROCEDURES, THEATRE, Inbox, charged, ft1, theatre


async def sent(at: House, *messages: bytes) -> None:
    for message in messages:
        assert (await at.answer(message)).accepted
    await at.router().once()


async def test_all_uses_of_a_message_are_kept_by_one_call_and_sent_again_they_are_the_same() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1"), ft1("T-2"), ft1("T-0", kind="CD")))
    assert inbox.calls == [["T-1", "T-2", "T-0^CD"]]
    kept = at.journal.kept("U-1")
    assert (kept.state, kept.reason, kept.case) == ("routed", "", "")
    await sent(at, charged("U-2", ft1("T-1"), ft1("T-2")))
    assert len(inbox.kept) == 3 and at.journal.kept("U-2").state == "routed"


async def test_a_name_in_the_message_is_in_no_use_log_failure_or_list(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    at, inbox = await theatre(THEATRE.changed(on_dead="go on"))
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logs:
        await sent(at, charged("U-1", ft1("T-1")), charged("U-2", ft1("T-1", amount="5")))
        await sent(at, charged("U-3", ft1("T-3", amount="")))
    (event,) = inbox.events
    assert at.journal.kept("U-2").state == "refused" and at.journal.kept("U-3").state == "dead"
    told = [event.model_dump_json(), repr(event), str(logs), caplog.text, "".join(capsys.readouterr())]
    told += [row.model_dump_json() for row in at.cases.unmatched.values()]
    told += [f"{one.reason} {one.key} {one.stream} {one.note}" for one in at.journal.messages.values()]
    assert not [text for text in told if CANARY in text or "900001" in text or "V-1" in text]
    assert CANARY.encode() in at.journal.kept("U-1").data, "the journal has it, as it came"


async def test_an_encounter_is_kept_as_a_hash_that_is_the_same_for_all_its_uses() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1")), charged("U-2", ft1("T-2")), charged("U-3", ft1("T-3"), visit="V-2"))
    first, second, other = (event.procedure for event in inbox.events)
    assert first == second == PROCEDURES.of("visit|NGH|V-1") != other
    assert len(first) == LENGTH and Procedures(b"another").of("visit|NGH|V-1") != first


async def test_without_a_key_no_encounter_is_kept_and_what_has_none_still_is() -> None:
    at, inbox = await theatre()
    bare = UsageTaker(inbox, at.intake, Procedures(b""))
    at.takers_of_all = {UsageEvent: bare.take}
    await sent(at, charged("U-1", ft1("T-1")))
    assert inbox.kept == {} and at.journal.kept("U-1").state == "received", "it waits for the key"
    event = UsageEvent(facility="NGH", source="x", number="1", item="A", used_at=at.journal.kept("U-1").at)
    assert await bare.keep(at.journal.kept("U-1"), THEATRE, [event])


async def test_a_number_with_other_content_is_refused_listed_once_and_the_others_of_its_message_are_kept() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1")))
    await sent(at, charged("U-2", ft1("T-1", amount="5"), ft1("T-2")))
    kept = at.journal.kept("U-2")
    assert kept.state == "refused" and kept.reason == "use T-1/1 of surgery-desk is known with other content"
    assert {event.number: event.amount for event in inbox.events}.keys() == {"T-1", "T-2"}
    (row,) = at.cases.unmatched.values()
    assert (row.kind, row.number, row.facility, row.message) == ("usage", "T-1", "NGH", kept.id)
    assert "OR integration" in row.reason


async def test_while_our_store_is_away_uses_wait_and_are_kept_once_it_is_back() -> None:
    at, inbox = await theatre()
    inbox.away = True
    await sent(at, charged("U-1", ft1("T-1")))
    assert at.journal.kept("U-1").state == "received" and inbox.kept == {}
    inbox.away = False
    at.now += 300
    await at.router().once()
    assert at.journal.kept("U-1").state == "routed" and len(inbox.kept) == 1


async def test_a_charge_that_cannot_be_read_is_a_dead_letter_with_its_place_and_keeps_nothing_of_its_message() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1"), ft1("T-2", amount="")))
    kept = at.journal.kept("U-1")
    assert kept.state == "dead" and "FT1(2)-10" in kept.reason and inbox.kept == {}


async def test_charges_that_are_no_supplies_are_routed_to_nobody() -> None:
    at, inbox = await theatre(THEATRE.changed(charges="mixed"))
    await sent(at, charged("U-1", ft1("T-1", item="99213")))
    kept = at.journal.kept("U-1")
    assert (kept.state, kept.reason) == ("routed", "read: nothing in it is for us") and inbox.calls == []


async def test_one_call_takes_what_belongs_together_and_a_failure_of_it_names_all_of_it() -> None:
    at, _ = await theatre()
    seen: list[int] = []

    async def refuses(message: Kept, sender: object, nouns: object) -> str:
        seen.append(len(nouns))  # type: ignore[arg-type]
        raise Unavailable("away")

    at.takers_of_all = {UsageEvent: refuses}
    await sent(at, charged("U-1", ft1("T-1"), ft1("T-2")))
    assert seen == [2] and at.journal.kept("U-1").state == "received"


def test_the_fake_inbox_takes_no_encounter() -> None:
    assert (
        "encounter"
        not in UsageEvent.model_validate(
            {
                "facility": "N",
                "source": "s",
                "number": "1",
                "item": "A",
                "encounter": "x",
                "used_at": "2026-11-02T10:00Z",
            }
        ).model_dump()
    )
    assert Inbox().events == []
