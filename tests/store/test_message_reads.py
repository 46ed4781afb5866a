"""Whoever opens a message about staff is in the trace of everybody it concerns, also of those it was matched to later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.errors import Unavailable
from canonical.messages import Kept, NewMessage
from canonical.parties import Employee
from canonical.people import HrEvent
from cli.house import MessageFilter
from cli.ours import OurHouse
from cli.views import MessageView
from gateway.hl7_door import Hl7Door
from gateway.mllp_peer import Peer
from store.acts import StoredActs
from store.message_reads import OPENED, StoredMessageReads
from store.people_deciding import StoredPeopleDecisions
from store.people_listing import StoredPeopleLists
from store.person_trace import TraceRow
from store.unmatched import StoredUnmatched
from tests.gateway.people_house import CANARY, HR, pmu
from tests.store import build
from tests.store.people_house import Hr
from workers.loops.router import Router
from workers.settings import Settings
from workers.wiring import Wiring

OFFICE = Actor(id="E-900", known_by="os_user")
ON_CALL = Actor(id="E-911", known_by="api_key")


class Office:
    """An HR system that sends messages by our doors, and somebody at our terminal who opens them."""

    def __init__(self, engine: AsyncEngine, home: Path) -> None:
        settings = Settings(home=home)
        settings.secret_path("seal_key").parent.mkdir(parents=True, exist_ok=True)
        settings.secret_path("seal_key").write_text("a seal key of these tests\n")
        self.wiring = Wiring(settings, engine, cast(Any, None))
        self.hr, self.reads, self.people = Hr(engine), StoredMessageReads(engine), StoredPeopleLists(engine)
        self.door = Hl7Door(self.wiring.journal, self.wiring.directory, StoredUnmatched(engine), secret=b"secret")

    async def employs(self, *roles: str) -> None:
        who = Employee(id="E-900", facility="NGH", name="R. Office", os_user="office", roles=roles)
        await build.put(self.wiring.database, "employee", "NGH", "E-900", who)

    async def sends(self, message: bytes, answer: bytes = b"MSA|AA") -> str:
        """A message comes by the door of HL7; its name in our journal."""
        before = await self._kept()
        (said,) = await self.door.take(message, Peer("10.2.0.7", 4000))
        assert answer in said, said
        (name,) = await self._kept() - before
        await self.route()
        return name

    async def _kept(self) -> set[str]:
        async with self.wiring.database.begin() as connection:
            return set(await connection.scalars(text("SELECT id FROM messages WHERE direction = 'in'")))

    async def route(self) -> None:
        await Router(self.wiring.journal, self.wiring.routing(), 0, 1).once()

    async def kept(self, new: NewMessage) -> Kept:
        return (await self.wiring.journal.keep(new)).message

    async def shows(self, message: str) -> MessageView:
        found = await OurHouse(self.wiring).message(message)
        assert found is not None
        return found

    async def reads_of(self, person: str) -> list[TraceRow]:
        """Who read of somebody, by a trace in which every entry is as it was written."""
        found = await self.people.trace(person)
        assert found is not None
        rows, _, broken = found
        assert broken is None, f"entry {broken}"
        return [row for row in rows if row.did == "read"]

    async def deeds(self, about: str) -> Sequence[tuple[str, str]]:
        return [(one.verb, one.actor.id) for one in await StoredActs(self.wiring.database).acts(about)]


@pytest.fixture
async def office(engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("cli.ours.login", lambda: "office")
    await build.put(engine, "sender", "", "HR", HR.changed(kinds=("PMU^*", "MFN^M02", "hr_event")))
    made = Office(engine, tmp_path)
    await made.wiring.directory.refresh()
    return made


@pytest.fixture
def hr(office: Office) -> Office:
    """The same, where only what our store does is looked at."""
    return office


def message_of(name: str, **about: Any) -> Kept:
    fields = {"direction": "in", "door": "rest", "kind": "hr_event", "sender": "HR", "at": build.NOW, "data": b"{}"}
    return Kept.model_validate({"id": name, **fields, **about})


def what(rows: Sequence[TraceRow]) -> list[tuple[str, str]]:
    return [(row.what, row.by) for row in rows]


# ---- by a door, at the terminal ------------------------------------------------------------------------------------------


async def test_who_opens_what_hl7_said_of_somebody_is_in_that_persons_trace_by_name_moment_and_message(
    office: Office,
) -> None:
    await office.employs("hr")
    message = await office.sends(pmu("B01", "P-1"))
    (person,) = await office.hr.everybody()
    assert await office.reads_of(person) == []
    shown = await office.shows(message)
    assert CANARY in shown.data and not shown.withheld
    (entry,) = await office.reads_of(person)
    assert (entry.what, entry.by, entry.facility) == (f"message:{message}", "E-900", "NGH")
    assert (entry.content["kind"], entry.content["known_by"]) == ("PMU^B01", "os_user")
    assert entry.at is not None and entry.rules and CANARY not in str(entry)
    assert await office.deeds(f"message/{message}") == [(OPENED, "E-900")]
    await office.shows(message)
    assert len(await office.reads_of(person)) == 2, "each time it is opened is told"


async def test_a_list_of_messages_says_nothing_of_anybody_and_leaves_no_entry(office: Office) -> None:
    await office.employs("hr")
    await office.sends(pmu("B01", "P-1"))
    listed = await OurHouse(office.wiring).messages(MessageFilter(), 50)
    assert listed and CANARY not in str(listed)
    (person,) = await office.hr.everybody()
    assert await office.reads_of(person) == []


@pytest.mark.parametrize("roles", [("support", "buyer", "finance"), ("requester",)])
async def test_the_content_is_not_shown_to_whom_no_name_is_shown_and_leaves_no_entry(
    office: Office, roles: tuple[str, ...]
) -> None:
    await office.employs(*roles)
    message = await office.sends(pmu("B01", "P-1"))
    shown = await office.shows(message)
    assert (shown.data, shown.kind, shown.state) == ("", "PMU^B01", "routed")
    assert "hr, medical_staff" in shown.withheld and CANARY not in shown.model_dump_json()
    (person,) = await office.hr.everybody()
    assert await office.reads_of(person) == [] and await office.deeds(f"message/{message}") == []


@pytest.mark.parametrize("table", ["person_trace", "acts"])
async def test_what_cannot_be_noted_is_not_shown(office: Office, table: str) -> None:
    await office.employs("hr")
    message = await office.sends(pmu("B01", "P-1"))
    (person,) = await office.hr.everybody()
    async with office.wiring.database.begin() as connection:
        await connection.execute(text(f'ALTER TABLE "{table}" ADD CONSTRAINT full_now CHECK (false) NOT VALID'))
    try:
        with pytest.raises(Exception, match="full_now"):
            await office.shows(message)
    finally:
        async with office.wiring.database.begin() as connection:
            await connection.execute(text(f'ALTER TABLE "{table}" DROP CONSTRAINT full_now'))
    assert await office.reads_of(person) == [] and await office.deeds(f"message/{message}") == []
    assert CANARY in (await office.shows(message)).data


async def test_a_message_about_supplies_is_shown_as_before_and_noted_nowhere(office: Office) -> None:
    kept = await office.kept(NewMessage(door="rest", data=b'{"number": "R-1"}', kind="requisition", key="R-1"))
    assert (await office.shows(kept.id)).data == '{"number": "R-1"}'
    assert await office.deeds(f"message/{kept.id}") == []


# ---- who is matched later ------------------------------------------------------------------------------------------------


async def test_who_read_it_before_it_was_known_whose_it_is_is_in_the_trace_with_the_match(office: Office) -> None:
    await office.employs("medical_staff")
    message = await office.sends(pmu("B02", "P-1"))  # nobody is known by its number: it waits for a hire
    assert list((await office.hr.states()).values()) == ["waiting"]
    await office.shows(message)
    (seen,) = await StoredActs(office.wiring.database).acts(f"message/{message}")
    await office.sends(pmu("B01", "P-2"))
    (person,) = await office.hr.everybody()
    (entry,) = await office.reads_of(person)
    assert (entry.what, entry.by) == (f"message:{message}", "E-900")
    assert seen.at is not None and entry.content["at"] == seen.at.isoformat() and entry.at > seen.at


async def test_a_persons_word_on_whose_an_event_is_brings_those_who_read_its_names_and_its_message(hr: Office) -> None:
    await hr.hr.say(hr.hr.event("1"))
    await hr.hr.say(hr.hr.event("2", person="P-9", given="Ann"), message="M-2")
    (event,) = [row for row in await hr.people.events() if row["number"] == "2"]
    (person,) = await hr.hr.everybody()
    assert event["state"] == "possible" and event["candidates"] == [person]
    await hr.reads.opened(message_of("M-2"), OFFICE)
    await hr.people.event(event["id"], ON_CALL)
    assert what(await hr.reads_of(person)) == [(f"event:{event['id']}", "E-911")], "it may be about them"
    await StoredPeopleDecisions(hr.wiring.database).match(event["id"], OFFICE, "seen the file", same=person)
    told = [(f"event:{event['id']}", "E-911"), ("message:M-2", "E-900")]
    assert what(await hr.reads_of(person)) == told, "what stood in it already is not said twice"
    key = await StoredPeopleDecisions(hr.wiring.database).match(event["id"], OFFICE, "another after all")
    assert sorted(what(await hr.reads_of(key))) == sorted(told), "whoever it is now is told too"
    assert what(await hr.reads_of(person)) == told


async def test_who_read_a_dead_letter_is_in_the_trace_of_whom_its_correction_is_about(hr: Office) -> None:
    bad = await hr.kept(NewMessage(door="mllp", sender="HR", data=b"bad", kind="PMU^B01", key="1", refused="no name"))
    await hr.reads.opened(bad, OFFICE)
    one = await hr.kept(NewMessage(door="mllp", sender="HR", data=b"1", kind="PMU^B01", key="2", version_of=bad.id))
    two = await hr.kept(NewMessage(door="mllp", sender="HR", data=b"2", kind="PMU^B01", key="3", version_of=one.id))
    await hr.hr.say(hr.hr.event("1"), message=two.id, corrects=one.id)
    (person,) = await hr.hr.everybody()
    assert what(await hr.reads_of(person)) == [(f"message:{bad.id}", "E-900")]
    assert await hr.reads.opened(one, ON_CALL) == [person]
    assert what(await hr.reads_of(person))[1:] == [(f"message:{one.id}", "E-911")]


async def test_a_message_that_said_it_again_is_about_the_same_person_also_where_that_is_known_later(hr: Office) -> None:
    said = hr.hr.event("1", "update", position={"title": "x"})
    await hr.hr.say(said, message="R-1")
    assert await hr.reads.opened(message_of("R-2"), OFFICE, [said]) == []
    await hr.hr.say(hr.hr.event("0"))
    (person,) = await hr.hr.everybody()
    assert what(await hr.reads_of(person)) == [("message:R-2", "E-900")]
    other: Sequence[HrEvent] = [hr.hr.event("99", "update")]
    assert await hr.reads.opened(message_of("R-3"), OFFICE, other) == [person], "it says a number of theirs"


async def test_what_a_directory_was_told_of_somebody_is_theirs(hr: Office) -> None:
    await hr.hr.say(hr.hr.event("1"))
    (person,) = await hr.hr.everybody()
    told = message_of("M-7", direction="out", kind="MFN^M02", key=f"people/EHR/{person}/3/1")
    assert await hr.reads.opened(told, OFFICE) == [person]
    assert what(await hr.reads_of(person)) == [("message:M-7", "E-900")]


async def test_who_opens_a_message_while_it_is_matched_is_in_the_trace_once(hr: Office) -> None:
    for number in range(12):
        event = hr.hr.event(f"N-{number}", person=f"P-{number}", family=f"Zz{number}", record={"birth_date": None})
        message = message_of(f"R-{number}")
        (kept,), _ = await asyncio.gather(
            hr.hr.say(event, message=message.id), hr.reads.opened(message, OFFICE, [event] if number % 2 else [])
        )
        assert what(await hr.reads_of(kept.person)) == [(f"message:R-{number}", "E-900")], number


async def test_the_entry_is_part_of_the_chain(hr: Office) -> None:
    await hr.hr.say(hr.hr.event("1"), message="M-1")
    (person,) = await hr.hr.everybody()
    await hr.reads.opened(message_of("M-1"), OFFICE)
    link = (await hr.reads_of(person))[0].link
    async with hr.wiring.database.begin() as connection:
        await connection.execute(text("UPDATE person_trace SET by = 'E-1' WHERE did = 'read'"))
    found = await hr.people.trace(person)
    assert found is not None and found[2] == link


async def test_our_database_away_is_said_as_such(hr: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise Unavailable("our own database does not answer", system="store")

    monkeypatch.setattr("store.message_reads.transaction", away)
    with pytest.raises(Unavailable):
        await hr.reads.opened(message_of("M-1"), OFFICE)
