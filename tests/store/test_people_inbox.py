"""What HR says, kept in our own store: whose it is, in which order, and from when."""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.people import HrEvent
from store.people_tables import (
    appointments,
    hr_events,
    people,
    person_numbers,
    person_tasks,
    privileges,
    revocation_blocks,
)
from store.person_trace import broken_at
from tests.store.people_house import CANARY, NOW, Hr

LATER = NOW - timedelta(days=10)


@pytest.fixture
def hr(engine: AsyncEngine) -> Hr:
    return Hr(engine)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(hour=9, tzinfo=UTC)


async def test_a_hire_is_somebody_new_who_works_from_the_first_day_and_is_looked_at(hr: Hr) -> None:
    kept = await hr.one(hr.event("1", effective=date(2026, 4, 1)))
    assert (kept.outcome, kept.state) == ("new", "applied") and len(kept.person) == 36
    first, begun = await hr.at(kept.person), await hr.at(kept.person, day("2026-04-01"))
    assert first and begun and (first.state, begun.state) == ("offered", "working")
    assert first.next_change == date(2026, 4, 1)
    (case,) = await hr.rows(appointments)
    (person,) = await hr.rows(people)
    assert case["woken_at"] == NOW and person["woken_at"] is not None
    assert person["content"]["name"]["family"] == CANARY and person["family_folded"] == CANARY.lower()


async def test_an_event_that_comes_twice_is_one(hr: Hr) -> None:
    event = hr.event("1")
    first = await hr.one(event)
    noted = await hr.trace(first.person)
    again = await hr.one(event)
    assert (first.outcome, again.outcome, again.id, again.person) == ("new", "same", first.id, first.person)
    assert len(await hr.rows(hr_events)) == 1 and await hr.trace(first.person) == noted
    both = await hr.say(hr.event("2", "update"), hr.event("2", "update"))
    assert [one.outcome for one in both] == ["new", "same"]


async def test_a_number_with_other_content_is_a_conflict_and_the_first_stands(hr: Hr) -> None:
    await hr.one(hr.event("1"))
    other = hr.event("1", position={"role": "md"})
    assert (await hr.one(other)).outcome == "conflict"
    (row,) = await hr.rows(hr_events)
    assert row["content"]["position"]["role"] == "rn"
    twice = await hr.say(hr.event("2", "update", reason="A"), hr.event("2", "update", reason="B"))
    assert [one.outcome for one in twice] == ["new", "conflict"]


async def test_a_corrected_message_takes_the_place_of_the_first_and_is_folded_anew(hr: Hr) -> None:
    first = await hr.one(hr.event("1"), message="M-first")
    mended = await hr.one(
        hr.event("1", position={"role": "rn", "cost_centre": "CC-7"}), message="M-2", corrects="M-first"
    )
    assert (mended.outcome, mended.id, mended.person) == ("new", first.id, first.person)
    found = await hr.at(first.person)
    assert found and found.position.cost_centre == "CC-7"
    assert "corrected" in [one.did for one in await hr.trace(first.person)]


async def test_whatever_order_events_come_in_they_come_to_the_same(hr: Hr) -> None:
    told = []
    for number, order in enumerate(itertools.permutations(("hire", "transfer", "end"))):
        who = f"P-{number}"
        events = {
            "hire": hr.event(f"h{number}", person=who, record={"npi": f"npi-{number}"}),
            "transfer": hr.event(
                f"t{number}",
                "update",
                who,
                position={"cost_centre": "CC-2"},
                effective=date(2026, 3, 5),
                said_at=LATER,
            ),
            "end": hr.event(
                f"e{number}",
                "terminate",
                who,
                effective=date(2026, 3, 31),
                said_at=LATER + timedelta(days=1),
            ),
        }
        kept = [await hr.one(events[kind]) for kind in order]
        person = next(row["person"] for row in await hr.rows(person_numbers, person_numbers.c.number == who))
        assert {one.outcome for one in kept} == {"new"}
        days = [await hr.at(person, day(on)) for on in ("2026-03-02", "2026-03-31", "2026-04-01")]
        told.append(tuple((one.state, one.position.cost_centre, one.ends_on) for one in days if one))
    end = date(2026, 3, 31)
    assert set(told) == {(("working", "CC-1", end), ("working", "CC-2", end), ("ended", "CC-2", end))}


async def test_what_comes_before_its_hire_waits_and_gives_nothing(hr: Hr) -> None:
    end = hr.event("2", "terminate", effective=date(2026, 3, 5), said_at=LATER)
    move = hr.event("3", "update", position={"cost_centre": "CC-9"}, effective=date(2026, 3, 2), said_at=LATER)
    kept = [await hr.one(event) for event in (end, move)]
    assert [(one.state, one.person) for one in kept] == [("waiting", ""), ("waiting", "")]
    assert await hr.everybody() == [] and await hr.rows(appointments) == []
    hired = await hr.one(hr.event("1"))
    found = await hr.at(hired.person)
    assert found and (found.state, found.position.cost_centre) == ("ended", "CC-9")
    assert (await hr.states())["2"] == "applied"


async def test_who_is_hired_again_keeps_the_key(hr: Hr) -> None:
    first = await hr.one(hr.event("1"), hr.event("2", "terminate", effective=date(2026, 3, 5), said_at=LATER))
    again = await hr.one(hr.event("3", effective=date(2026, 5, 1), said_at=LATER + timedelta(days=2)))
    assert again.person == first.person
    found = await hr.at(first.person, day("2026-05-01"))
    assert found and (found.state, found.starts) == ("working", date(2026, 5, 1))
    assert (await hr.states())["1"] == "superseded"


async def test_who_is_hired_again_under_another_number_is_known_by_the_npi(hr: Hr) -> None:
    npi = {"npi": "1234567893"}
    first = await hr.one(hr.event("1", record=npi))
    again = await hr.one(hr.event("2", person="P-77", family="Newname", record=npi))
    assert (again.state, again.person) == ("applied", first.person) and len(await hr.everybody()) == 1


async def test_a_changed_name_is_the_same_person_from_its_day_and_both_names_are_known(hr: Hr) -> None:
    first = await hr.one(hr.event("1"))
    new: dict[str, Any] = {
        "record": {"name": {"family": "Brandt", "given": "Anna"}},
        "effective": date(2026, 4, 1),
        "said_at": LATER,
    }
    assert (await hr.one(hr.event("2", "update", **new))).person == first.person
    (before,) = await hr.rows(people)
    await hr.at(first.person, day("2026-04-01"))
    (after,) = await hr.rows(people)
    names = [row["content"]["name"]["family"] for row in (before, after)]
    assert names == [CANARY, "Brandt"] and after["content"]["former_family"] == CANARY
    other = await hr.one(hr.event("3", person="R-5", source="roster", family="Brandt", given="Anna"))
    assert other.state == "possible"


async def test_two_feeds_of_one_person_make_one_appointment(hr: Hr) -> None:
    npi = {"npi": "1234567893"}
    first = await hr.one(hr.event("1", record=npi))
    second = await hr.one(hr.event("900", person="R-5", source="roster", record=npi, said_at=LATER))
    assert second.person == first.person and len(await hr.rows(appointments)) == 1
    moved = hr.event("901", "update", "R-5", source="roster", position={"cost_centre": "CC-4"}, said_at=NOW)
    assert (await hr.one(moved)).person == first.person
    found = await hr.at(first.person)
    assert found and found.position.cost_centre == "CC-4"


async def test_two_feeds_that_tell_of_one_person_at_one_moment_make_one_person(hr: Hr) -> None:
    npi = {"npi": "1234567893"}
    events = [hr.event(f"{n}", person=f"R-{n}", source=f"feed-{n}", record=npi) for n in range(8)]
    kept = await asyncio.gather(*(hr.say(event) for event in events))
    assert len({one.person for some in kept for one in some}) == 1 and len(await hr.everybody()) == 1


async def test_two_rows_of_one_file_about_one_person_make_one_person(hr: Hr) -> None:
    npi = {"npi": "1234567893"}
    first, second, alike = await hr.say(
        hr.event("1", record=npi),
        hr.event("2", facility="LAKE", person="L-1", record=npi),
        hr.event("3", person="P-3"),
    )
    assert first.person == second.person != "" and await hr.everybody() == [first.person]
    assert (alike.state, alike.person) == ("possible", "")
    (row,) = await hr.rows(hr_events, hr_events.c.number == "3")
    assert row["candidates"] == [first.person]


async def test_a_system_that_sends_no_hires_is_understood_once_somebody_shares_its_number(hr: Hr) -> None:
    record = {"npi": "1234567893", "email": "a@example.org"}
    early = hr.event("c1", "update", "C-1", source="credentials", record=record, said_at=LATER)
    assert (await hr.one(early)).state == "waiting"
    hired = await hr.one(hr.event("1", record={"npi": "1234567893"}))
    assert (await hr.states())["c1"] == "applied"
    (person,) = await hr.rows(people)
    assert (person["person"], person["content"]["email"]) == (hired.person, "a@example.org")


async def test_a_person_at_two_facilities_is_one_person_with_two_appointments(hr: Hr) -> None:
    npi = {"npi": "1234567893"}
    first = await hr.one(hr.event("1", record=npi))
    second = await hr.one(hr.event("2", facility="LAKE", person="P-1", record=npi))
    assert second.person == first.person
    await hr.one(hr.event("3", "terminate", facility="LAKE", effective=date(2026, 3, 5), said_at=LATER))
    here, there = await hr.at(first.person), await hr.at(first.person, facility="LAKE")
    assert here and there and (here.state, there.state) == ("working", "ended")


async def test_a_change_of_a_future_day_waits_for_it(hr: Hr) -> None:
    first = await hr.one(hr.event("1"))
    move = hr.event("2", "update", position={"cost_centre": "CC-2"}, effective=date(2026, 6, 1), said_at=LATER)
    assert (await hr.one(move)).state == "matched"
    now, then = await hr.at(first.person), await hr.at(first.person, day("2026-06-01"))
    assert now and then and (now.position.cost_centre, then.position.cost_centre) == ("CC-1", "CC-2")
    assert now.next_change == date(2026, 6, 1) and (await hr.states())["2"] == "applied"


async def test_a_change_of_the_past_opens_a_task_of_payroll_once_with_the_days_it_touches(hr: Hr) -> None:
    first = await hr.one(hr.event("1", effective=date(2026, 2, 10)))
    await hr.rows(person_tasks)
    hr.now = NOW + timedelta(hours=1)
    await hr.one(hr.event("2", "update", position={"cost_centre": "CC-2"}, effective=date(2026, 3, 1), said_at=LATER))
    for _ in range(2):
        await hr.at(first.person)
    hired, task = sorted(await hr.rows(person_tasks), key=lambda row: row["subject"])
    assert (hired["kind"], hired["owner"], task["subject"]) == ("pay-days", "payroll", "2026-03-01..2026-03-09")
    noted = [one for one in await hr.trace(first.person) if one.did == "back-dated"]
    assert [one.content["spans"] for one in noted][1] == [
        {"field": "cost_centre", "was": "CC-1", "now": "CC-2", "first": "2026-03-01", "last": "2026-03-09", "days": 9}
    ]


async def test_a_first_load_with_its_history_opens_no_task_of_payroll(hr: Hr) -> None:
    first = await hr.one(
        hr.event("1", effective=date(1998, 5, 1), record={"birth_date": "1970-01-01"}),
        hr.event("2", "update", position={"cost_centre": "CC-2"}, effective=date(2011, 1, 1), said_at=LATER),
    )
    found = await hr.at(first.person)
    assert found and (found.state, found.starts, found.position.cost_centre) == ("working", date(1998, 5, 1), "CC-2")
    assert await hr.rows(person_tasks) == []


async def test_those_who_keep_and_those_who_look_at_once_do_not_stand_in_each_others_way(hr: Hr) -> None:
    npi = {"npi": "1234567893"}
    first = await hr.one(hr.event("1", record=npi))
    await hr.one(hr.event("2", facility="LAKE", record=npi, said_at=LATER))
    where = ("NGH", "LAKE")
    moves = [
        hr.event(f"m{n}", "update", facility=where[n % 2], position={"cost_centre": f"CC-{n}"}, said_at=LATER)
        for n in range(10)
    ]
    looks = [hr.at(first.person, facility=where[n % 2]) for n in range(10)]
    await asyncio.gather(*(hr.say(move) for move in moves), *looks)
    assert set((await hr.states()).values()) <= {"applied", "superseded"}
    rows = await hr.trace(first.person)
    assert [row.link for row in rows] == list(range(1, len(rows) + 1))
    (person,) = await hr.rows(people)
    assert broken_at(first.person, rows, person["links"], person["link"]) is None


async def test_a_privilege_granted_by_hr_is_asked_of_the_committee_and_ends_when_it_is_revoked(hr: Hr) -> None:
    first = await hr.one(hr.event("1"))
    scope = {"service": "cardiac", "procedures": "pci"}
    await hr.one(hr.event("2", "grant", scope=scope, said_at=LATER))
    await hr.at(first.person)
    (asked,) = await hr.rows(privileges)
    assert (asked["state"], asked["requested_by"], asked["scope"]["procedures"]) == ("requested", "hr:hr", "pci")
    gone: dict[str, Any] = {
        "scope": {"service": "cardiac"},
        "said_at": NOW,
        "effective": date(2026, 3, 20),
        "reason": "LAPSED",
    }
    await hr.one(hr.event("3", "revoke", **gone))
    assert (await hr.rows(privileges))[0]["state"] == "requested"
    await hr.at(first.person, day("2026-03-20"))
    assert [(row["state"], row["ended_why"]) for row in await hr.rows(privileges)] == [("ended", "LAPSED")]


async def test_a_certificate_of_hr_is_of_the_record_and_asks_for_no_privileges(hr: Hr) -> None:
    first = await hr.one(hr.event("1"))
    board = {"certificates": [{"board": "ABIM", "specialty": "cardiology"}]}
    await hr.one(hr.event("2", "grant", scope={}, record=board, said_at=LATER))
    assert await hr.rows(privileges) == []
    (person,) = await hr.rows(people, people.c.person == first.person)
    assert person["content"]["certificates"][0]["board"] == "ABIM"


async def test_a_date_nobody_can_mean_parks_its_event_and_gives_nothing(hr: Hr) -> None:
    kept = await hr.one(hr.event("1", effective=date(2062, 3, 1)))
    assert (kept.state, kept.person) == ("parked", "") and await hr.everybody() == []
    (row,) = await hr.rows(hr_events)
    assert "five years" in row["reason"] and row["owner"] == "medical staff office"


async def test_a_message_is_kept_whole_or_not_at_all(hr: Hr, monkeypatch: pytest.MonkeyPatch) -> None:
    import store.people_hearing as hearing

    async def fails(*_: object) -> None:
        raise RuntimeError("the server goes down")

    monkeypatch.setattr(hearing, "apply_in", fails)
    with pytest.raises(RuntimeError):
        await hr.say(hr.event("1"), hr.event("2", person="P-2", record={"npi": "2"}))
    assert await hr.rows(hr_events) == [] and await hr.everybody() == []


async def test_a_name_is_in_no_log_no_trace_and_no_id(hr: Hr, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="store")
    record = {"npi": "1234567893", "national_id": "ab" * 32, "email": f"{CANARY}@example.org"}
    await hr.one(
        hr.event("1", record=record),
        hr.event("2", "update", position={"title": "Dr"}, said_at=LATER),
        hr.event("3", person="P-9", source="roster", said_at=LATER),
        hr.event("4", "terminate", emergency=True, said_at=NOW),
    )
    tables = (appointments, person_numbers, person_tasks, privileges, revocation_blocks)
    elsewhere = [str(row) for table in tables for row in await hr.rows(table)]
    open_ends = [{name: row[name] for name in row if name != "content"} for row in await hr.rows(hr_events)]
    for text in (caplog.text, await hr.told(), str(elsewhere), str(open_ends)):
        assert CANARY.lower() not in text.lower() and record["national_id"] not in text
    assert CANARY in str(await hr.rows(people))


async def test_words_postgresql_does_not_take_are_marked(hr: Hr) -> None:
    event = hr.event("1").model_copy(update={"reason": "a\x00b"})
    assert isinstance(event, HrEvent) and (await hr.one(event)).state == "applied"
