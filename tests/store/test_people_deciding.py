"""A person's word on whose an HR event is; lists without names; the trace and what changes it; and what asks for attention."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import Block
from canonical.cases import Actor
from canonical.credentials import ClinicianPolicy, ClinicianRole
from canonical.errors import FasciaError, Rejected
from canonical.parties import Employee
from cli.ours import OurHouse
from cli.people_views import HrEventFilter, PeopleFilter
from store.access import StoredAccess
from store.access_words import AccessDesk
from store.acts import StoredActs
from store.attention import StoredAttention
from store.database import transaction
from store.people_deciding import StoredPeopleDecisions
from store.people_tables import hr_events, people, person_numbers, person_trace, privileges, revocation_blocks
from tests.store import build
from tests.store.people_house import BORN, CANARY, NOW, Hr
from workers.settings import Settings
from workers.wiring import Wiring

OFFICE = Actor(id="E-900", known_by="os_user")
LATER = NOW - timedelta(days=10)


@pytest.fixture
def hr(engine: AsyncEngine) -> Hr:
    return Hr(engine)


@pytest.fixture
def decisions(hr: Hr) -> StoredPeopleDecisions:
    return StoredPeopleDecisions(hr.engine, lambda: hr.now)


async def duplicate(hr: Hr, **fields: Any) -> tuple[str, str]:
    """Somebody who works here, and a hire of another system that may be of the same person: key and event."""
    first = await hr.one(hr.event("1"))
    second = await hr.one(hr.event("900", person="R-5", source="roster", said_at=LATER, **fields))
    assert (second.state, second.person) == ("possible", "")
    return first.person, second.id


async def test_a_possible_duplicate_waits_and_what_follows_it_waits_too(hr: Hr) -> None:
    person, event = await duplicate(hr)
    after = await hr.one(
        hr.event("901", "update", "R-5", source="roster", position={"cost_centre": "CC-5"}, said_at=NOW)
    )
    assert after.state == "waiting" and await hr.everybody() == [person]
    (row,) = await hr.rows(hr_events, hr_events.c.id == event)
    assert (row["candidates"], row["reason"]) == ([person], "name-and-birth-date")


async def test_decided_the_same_its_events_are_the_persons_and_the_number_is_known(
    hr: Hr, decisions: StoredPeopleDecisions
) -> None:
    person, event = await duplicate(hr)
    await hr.one(hr.event("901", "update", "R-5", source="roster", position={"cost_centre": "CC-5"}, said_at=NOW))
    assert await decisions.match(event, OFFICE, "badge and passport seen", same=person) == person
    found = await hr.at(person)
    assert found and found.position.cost_centre == "CC-5" and await hr.everybody() == [person]
    (known,) = await hr.rows(person_numbers, person_numbers.c.source == "roster")
    assert (known["person"], known["by"]) == (person, "word:E-900")
    noted = await hr.trace(person)
    assert await decisions.match(event, OFFICE, "badge and passport seen", same=person) == person
    assert await hr.trace(person) == noted, "the same word again changes nothing"
    (act,) = await StoredActs(hr.engine).acts(f"hr_event/{event}")
    assert (act.actor.id, act.reason) == ("E-900", "badge and passport seen")


async def test_decided_somebody_new_there_are_two_and_later_events_go_to_the_right_one(
    hr: Hr, decisions: StoredPeopleDecisions
) -> None:
    person, event = await duplicate(hr)
    other = await decisions.match(event, OFFICE, "twins: seen both")
    assert other != person and len(await hr.everybody()) == 2
    assert await decisions.match(event, OFFICE, "twins: seen both") == other
    end = await hr.one(hr.event("902", "terminate", "R-5", source="roster", effective=date(2026, 3, 5), said_at=NOW))
    stays, gone = await hr.at(person), await hr.at(other)
    assert end.person == other and stays and gone and (stays.state, gone.state) == ("working", "ended")


async def test_a_wrong_word_is_taken_back_with_the_whole_number(hr: Hr, decisions: StoredPeopleDecisions) -> None:
    person, event = await duplicate(hr)
    other = await decisions.match(event, OFFICE, "two people")
    await hr.one(hr.event("901", "update", "R-5", source="roster", position={"cost_centre": "CC-5"}, said_at=NOW))
    assert await decisions.match(event, OFFICE, "one after all", same=person, whole_number=True) == person
    left, found = await hr.at(other), await hr.at(person)
    assert left and (left.state, left.ended_why) == ("withdrawn", "of-another-person")
    assert found and found.position.cost_centre == "CC-5"
    (row,) = await hr.rows(people, people.c.person == other)
    assert row["content"] == {} and row["family_folded"] == ""
    assert "moved" in [one.did for one in await hr.trace(other)]


async def test_an_emergency_of_somebody_undecided_blocks_with_the_word(
    hr: Hr, decisions: StoredPeopleDecisions
) -> None:
    person, event = await duplicate(hr)
    urgent: dict[str, Any] = {"emergency": True, "effective": date(2026, 3, 10), "said_at": NOW}
    await hr.one(hr.event("903", "terminate", "R-5", source="roster", **urgent))
    assert await hr.rows(revocation_blocks) == []
    await decisions.match(event, OFFICE, "the same", same=person)
    assert [row["person"] for row in await hr.rows(revocation_blocks)] == [person]


async def test_one_persons_word_gives_a_blocked_person_nothing_back_under_another_key(
    hr: Hr, decisions: StoredPeopleDecisions
) -> None:
    person, event = await duplicate(hr)
    other = await decisions.match(event, OFFICE, "two people")
    access = StoredAccess(hr.engine)
    await access.block(Block(person=other, since=NOW, by="E-HR", reason="left in anger", id="call-1"))
    with pytest.raises(Rejected, match=f"the access of {other} is revoked"):
        await decisions.match(event, OFFICE, "one after all", same=person)
    with pytest.raises(Rejected, match="two people lift the block"):
        await decisions.match(event, OFFICE, "one after all", same=person, whole_number=True)
    assert (await hr.rows(hr_events, hr_events.c.id == event))[0]["person"] == other
    await access.block(Block(person=person, since=NOW, by="E-HR", reason="the same", id="call-2"))
    assert await decisions.match(event, OFFICE, "one after all", same=person) == person


async def test_a_privilege_that_an_event_gave_goes_where_the_event_goes(
    hr: Hr, decisions: StoredPeopleDecisions
) -> None:
    rules = ClinicianPolicy(facility="NGH", hr_grants="granted")
    await build.put(hr.engine, "clinician_policy", "NGH", "NGH", rules)
    person, event = await duplicate(hr)
    other = await decisions.match(event, OFFICE, "two people")
    surgery = {"scope": {"service": "surgery"}, "said_at": LATER + timedelta(days=1)}
    granted = await hr.one(hr.event("904", "grant", "R-5", source="roster", **surgery))

    async def held() -> list[tuple[str, str, str]]:
        rows = await hr.rows(privileges)
        return sorted((row["person"], row["scope"]["service"], row["state"]) for row in rows)

    assert await held() == [(other, "surgery", "granted")]
    await decisions.match(granted.id, OFFICE, "it is of the other one", same=person)
    assert await held() == sorted([(other, "surgery", "ended"), (person, "surgery", "granted")])
    endoscopy = surgery | {"scope": {"service": "endoscopy"}}
    await hr.one(hr.event("904", "grant", "R-5", source="roster", **endoscopy), corrects="M-3")
    assert (person, "surgery", "ended") in await held() and (person, "endoscopy", "granted") in await held()


async def test_nobody_says_whose_an_event_is_that_is_or_may_be_their_own(
    hr: Hr, decisions: StoredPeopleDecisions
) -> None:
    person, event = await duplicate(hr)
    other = (await hr.one(hr.event("7", person="P-7", given="Bo", family="Other", record={"birth_date": None}))).person
    for one in ("P-1", "R-5"):  # somebody it may be, and whose number it is
        mine = Actor(id=one, known_by="os_user")
        for same in (person, other, ""):
            with pytest.raises(Rejected, match="nobody decides about themselves"):
                await decisions.match(event, mine, "x", same=same)
        with pytest.raises(Rejected, match="nobody decides about themselves"):
            await decisions.dismiss(event, mine, "x")
    with pytest.raises(Rejected, match="nobody decides about themselves"):  # whom it is to be
        await decisions.match(event, Actor(id="P-7", known_by="os_user"), "x", same=other)
    assert (await hr.states())["900"] == "possible"


async def test_a_key_whose_events_went_to_another_says_to_which(
    hr: Hr, decisions: StoredPeopleDecisions, tmp_path: Path
) -> None:
    person, event = await duplicate(hr)
    old = await decisions.match(event, OFFICE, "two people")
    desk, lists = AccessDesk(hr.engine, nobody), (await terminal(hr, tmp_path, "hr")).people
    assert not await desk.gone_to(old)
    await decisions.match(event, OFFICE, "one after all", same=person)
    assert list(await desk.gone_to(old)) == [person] == list((await desk.view(old, NOW)).gone_to)
    shown = await lists.show(old, False)
    assert shown and shown.gone_to == (person,) and not await desk.gone_to(person)
    await decisions.match(event, OFFICE, "two, after all", same=old)
    assert not await desk.gone_to(old)


async def nobody(_facility: str, _actor: Actor) -> None:
    return None


async def test_words_that_do_not_fit_are_refused(hr: Hr, decisions: StoredPeopleDecisions) -> None:
    _, event = await duplicate(hr)
    with pytest.raises(Rejected, match="no person"):
        await decisions.match(event, OFFICE, "x", same="0190-nobody-known")
    with pytest.raises(Rejected, match="no HR event"):
        await decisions.match("none", OFFICE, "x")
    await decisions.dismiss(event, OFFICE, "a test of theirs")
    await decisions.dismiss(event, OFFICE, "a test of theirs")
    assert (await hr.states())["900"] == "dismissed"
    with pytest.raises(Rejected, match="dismissed"):
        await decisions.match(event, OFFICE, "x")
    applied = (await hr.rows(hr_events, hr_events.c.number == "1"))[0]["id"]
    with pytest.raises(Rejected, match="takes it back"):
        await decisions.dismiss(applied, OFFICE, "x")


# ---- at the terminal ---------------------------------------------------------------------------------------------------


async def terminal(hr: Hr, home: Path, *roles: str) -> OurHouse:
    who = Employee(id="E-900", facility="NGH", name="R. Office", os_user="office", roles=roles)
    await build.put(hr.engine, "employee", "NGH", "E-900", who)
    return OurHouse(Wiring(Settings(home=home), hr.engine, cast(Any, None)))


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.ours.login", lambda: "office")


async def test_lists_and_views_have_no_name_until_one_is_asked_for_and_that_is_noted(hr: Hr, tmp_path: Path) -> None:
    person, event = await duplicate(hr)
    desk = (await terminal(hr, tmp_path, "medical_staff")).people
    rows = await desk.rows(PeopleFilter(), 10)
    waits = await desk.events(HrEventFilter(), 10)
    plain = (rows, waits, await desk.show(person, False), await desk.event(event, False), await desk.trace(person))
    assert CANARY.lower() not in str(plain).lower()
    assert [(row.person, row.role, row.cost_centre) for row in rows] == [(person, "rn", "CC-1")]
    assert [one.id for one in waits] == [event]
    compared = await desk.event(event, True)
    assert compared and compared.likeness[0].marks == {
        "family name": "same",
        "given name": "same",
        "birth date": "same",
        "npi": "unknown",
        "national number": "unknown",
    }
    view = await desk.show(person, True)
    assert view and view.record and view.record.name.family == CANARY and str(view.record.birth_date) == BORN
    read = [(one.what, one.by) for one in await hr.trace(person) if one.did == "read"]
    assert read == [(f"event:{event}", "E-900"), ("record", "E-900")]


async def test_who_has_no_say_reads_no_name_and_decides_nothing(hr: Hr, tmp_path: Path) -> None:
    person, event = await duplicate(hr)
    desk = (await terminal(hr, tmp_path, "materials")).people
    for asked in (
        desk.show(person, True),
        desk.event(event, True),
        desk.match(event, person, False, "x"),
        desk.dismiss(event, "x"),
    ):
        with pytest.raises(FasciaError, match="this is for"):
            await asked
    assert [one for one in await hr.trace(person) if one.did == "read"] == []
    assert (await hr.states())["900"] == "possible"


async def test_a_match_at_the_terminal_says_what_became_of_it(hr: Hr, tmp_path: Path) -> None:
    person, event = await duplicate(hr)
    told = await (await terminal(hr, tmp_path, "hr")).people.match(event, person, False, "the same")
    assert (told.person, told.state) == (person, "applied")


async def test_a_change_of_the_past_shows_what_it_means_for_payroll(hr: Hr, tmp_path: Path) -> None:
    first = await hr.one(hr.event("1", effective=date(2025, 1, 1)))
    hr.now = NOW + timedelta(hours=1)
    await hr.one(hr.event("2", "update", position={"cost_centre": "CC-2"}, effective=date(2026, 3, 1), said_at=LATER))
    view = await (await terminal(hr, tmp_path, "hr")).people.show(first.person, False)
    assert view and [(one.was, one.now, one.days) for pay in view.pay for one in pay.spans] == [("CC-1", "CC-2", 9)]
    assert [task.split(" ")[0] for task in view.tasks.values()] == ["pay-days"]


# ---- the trace ---------------------------------------------------------------------------------------------------------


async def test_the_trace_is_whole_until_an_entry_is_changed_taken_away_or_added(hr: Hr, tmp_path: Path) -> None:
    first = await hr.one(hr.event("1"), hr.event("2", "update", position={"cost_centre": "CC-2"}, said_at=LATER))
    desk = (await terminal(hr, tmp_path, "hr")).people
    view = await desk.trace(first.person)
    assert view and view.whole and [one.link for one in view.entries] == list(range(1, len(view.entries) + 1))
    assert [one.did for one in view.entries][:2] == ["heard", "matched"] and all(one.rules for one in view.entries)

    async def broken(statement: Any) -> int | None:
        async with transaction(hr.engine) as connection:
            await connection.execute(statement)
        found = await desk.trace(first.person)
        return found.broken_at if found else None

    mine = person_trace.c.person == first.person
    third = person_trace.c.link == 3
    (kept,) = await hr.rows(person_trace, mine, third)
    assert await broken(update(person_trace).where(mine, third).values(by="nobody")) == 3
    assert await broken(update(person_trace).where(mine, third).values(by=kept["by"])) is None
    assert await broken(update(person_trace).where(mine, third).values(content={"kind": "other"})) == 3
    assert await broken(update(person_trace).where(mine, third).values(content=kept["content"])) is None
    last = len(view.entries)
    assert await broken(delete(person_trace).where(mine, person_trace.c.link == last)) == last


# ---- what asks for attention -------------------------------------------------------------------------------------------


async def lines(hr: Hr, now: datetime = NOW) -> dict[str, Any]:
    return {one.what: one for one in await StoredAttention(hr.engine).stuck(now)}


async def test_what_waits_for_a_person_has_a_line_with_what_to_press_and_no_name(hr: Hr) -> None:
    await build.put(hr.engine, "clinician_role", "", "rn", ClinicianRole(code="rn"))
    assert await lines(hr) == {}
    _, event = await duplicate(hr)
    await hr.one(hr.event("5", person="P-5", effective=date(2062, 1, 1)))
    await hr.one(hr.event("6", "update", "P-6"))
    soon = await lines(hr)
    assert set(soon) == {"possible duplicate", "parked HR event"}
    assert f"fascia person match {event}" in soon["possible duplicate"].press
    later = await lines(hr, NOW + timedelta(days=2))
    assert set(later) == {"possible duplicate", "parked HR event", "HR event without a hire"}
    assert CANARY.lower() not in str(later).lower()
    assert {one.owner for one in later.values()} == {"medical staff office"}


async def test_an_emergency_whose_person_nobody_knows_has_a_line_at_once(hr: Hr) -> None:
    await hr.one(hr.event("6", "terminate", "P-6", emergency=True))
    (line,) = (await lines(hr)).values()
    assert line.what == "emergency: HR event without a hire" and "access is to end at once" in line.why


async def test_a_role_nobody_has_loaded_has_a_line(hr: Hr) -> None:
    await hr.one(hr.event("1"))
    line = (await lines(hr))["unknown clinician role"]
    assert "role rn" in line.why and line.count == 1
