"""What HR says of people on the whole stack: out of order, twice, by two doors, wrong and corrected, for days to come and gone by.

Each story has people of its own, and all go on side by side.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from demo import accounts, hr_systems
from demo.department import SITE
from demo.hl7_plain import Answer, framed
from demo.hl7_plain import frame as next_frame
from demo.stage_people import DESK, HOOK, HR, HRIS
from tests.journeys.clinicians import (
    CANARY,
    CENTRE,
    OTHER_CENTRE,
    OTHER_DEPARTMENT,
    WITHIN,
    Clinic,
    clinic_of,
    day,
    somebody,
    written,
)
from tests.journeys.conftest import Hospital
from tests.journeys.terminal import new_key
from tests.journeys.together import side_by_side, under_way
from tests.journeys.uses import until

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital

__all__ = ["under_way"]  # a fixture: it is asked for by name

BUYER = "E-6001"


# -- out of order -------------------------------------------------------------------------------------------------------


@side_by_side
async def test_an_end_that_comes_before_its_hire_waits_for_it_and_nothing_is_ever_given(hospital: Hospital) -> None:
    clinic, one = clinic_of(hospital), somebody()
    end = await clinic.tell(one.event("terminate", day(1), said_at=written(1)))
    waits = await clinic.event(end, "waiting")
    assert waits["person"] == "" and "waits for a hire" in waits["reason"]
    person = await clinic.hires(one, waits=False)
    await clinic.event(end, "applied")
    row = await clinic.is_as(person, state="ended", headline="terminated")
    assert row["ends_on"] == day(1).isoformat()
    assert clinic.held(person) == {} and not clinic.is_on(person)
    assert [call for call in accounts.calls(clinic.home, person) if call["method"] != "GET"] == []


@side_by_side
async def test_a_transfer_and_a_new_name_that_come_before_the_hire_are_in_force_with_it(hospital: Hospital) -> None:
    clinic, one = clinic_of(hospital), somebody()
    married = replace(one, family=f"{CANARY}wed{one.number.lower()}")
    move = one.event("update", day(5), said_at=written(5), position=one.position() | {"cost_centre": OTHER_CENTRE})
    name = one.event("update", day(3), said_at=written(3), record={"name": married.record()["name"]})
    move["position"] |= {"department": OTHER_DEPARTMENT}
    early = [await clinic.tell(name), await clinic.tell(move)]
    for number in early:
        await clinic.event(number, "waiting")
    person = await clinic.hires(one)
    for number in early:
        await clinic.event(number, "applied")
    row = await clinic.is_as(person, cost_centre=OTHER_CENTRE, department=OTHER_DEPARTMENT, state="working")
    assert row["starts"] == day(30).isoformat()
    assert (await clinic.account(person, "staff", on=True))["userName"].endswith(married.family.lower()[:19])

    async def charged() -> bool:
        return await asyncio.to_thread(hospital.stage.erp.cost_centre_of, person) == OTHER_CENTRE

    await until(charged, lambda: f"{person} charged to {OTHER_CENTRE}", WITHIN)
    shown = await clinic.fascia("person", "show", person, "--names", who=HR)
    assert shown["record"]["name"]["family"] == married.family
    assert "read" in {entry["did"] for entry in await clinic.trace(person)}, "who looks at a name is noted"


@side_by_side
async def test_a_changed_name_changes_the_account_and_makes_nobody_new(hospital: Hospital) -> None:
    clinic, one = clinic_of(hospital), somebody()
    person = await clinic.hires(one)
    before = clinic.held(person)
    name = {"family": f"{CANARY}wed{one.number.lower()}", "given": one.given}
    number = await clinic.tell(one.event("update", day(), record={"name": name, "former_family": one.family}))
    assert await clinic.key_of(number) == person

    async def renamed() -> bool:
        users = [one for one in accounts.users(clinic.home) if one.get("externalId") == person]
        return [user["name"]["familyName"] for user in users] == [name["family"]]

    await until(renamed, lambda: f"one account of {person} under the new name", WITHIN)
    now = clinic.held(person)
    assert (now["userName"], now["active"], now["count"]) == (before["userName"], True, 1), "a user name is given once"


# -- twice --------------------------------------------------------------------------------------------------------------


def row_of(event: dict[str, Any], one: Any, number: str) -> dict[str, str]:
    """The same event as HR's file has it."""
    row = hr_systems.hire_row(one, day(30), number) | {"said_at": event["said_at"]}
    return {name: value for name, value in row.items() if name != "starts"}


async def became(hospital: Hospital, href: str) -> dict[str, Any]:
    """What became of a file, once every row of it was looked at."""

    async def look() -> dict[str, Any]:
        view = await hospital.doors.look(DESK, href) or {}
        return {} if view.get("status") == "kept" else view

    return await until(look, lambda: f"what became of {href}", WITHIN)


@side_by_side
async def test_one_event_by_two_doors_is_one_and_its_number_with_other_content_is_a_listed_conflict(
    hospital: Hospital,
) -> None:
    clinic, one = clinic_of(hospital), somebody()
    event, number = one.event("hire", day(30), said_at=written(30)), f"N-{one.number}"
    await asyncio.gather(*(clinic.tell(event, number=number) for _ in range(3)))
    person = await clinic.key_of(number)
    row = row_of(event, one, number)
    same, other = await clinic.file(row), await clinic.file(row | {"cost_centre": OTHER_CENTRE})

    async def listed() -> list[dict[str, Any]]:
        rows = (await clinic.looked("unmatched", "list", "--limit", "1000"))["items"]
        return [row for row in rows if number in json.dumps(row)]

    conflict = (await until(listed, lambda: f"the conflict of {number}", WITHIN))[0]
    assert "other content" in conflict["reason"] and CANARY not in json.dumps(conflict)
    told = [await became(hospital, href) for href in (same, other)]
    assert [(one.get("taken", 0), one.get("refused", 0)) for one in told] == [(1, 0), (0, 1)]
    assert "other content" in told[1]["faults"][0]["reason"] and CANARY not in json.dumps(told)
    reused = await clinic.ask(DESK, "/v1/hr-events", event | {"effective": f"{day(29)}"}, number)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency-key-reused")
    assert [row["number"] for row in await clinic.events() if row["person"] == person] == [number]
    assert (await clinic.is_as(person, state="working"))["cost_centre"] == CENTRE, "the first stands"
    assert (await clinic.account(person, "staff", on=True))["count"] == 1


@side_by_side
async def test_three_systems_that_tell_of_one_hire_make_one_person_one_account_and_one_employee(
    hospital: Hospital,
) -> None:
    clinic, one = clinic_of(hospital), somebody("registered_nurse")
    number = f"N-{one.number}"
    hook = one.event("hire", day(30), said_at=written(30))
    await asyncio.gather(
        clinic.tell(one.event("hire", day(30), said_at=written(30)), number=number),
        hr_systems.signed(hospital.stage, number, hook),
        hr_systems.by_mllp(hospital.stage, hr_systems.hire_message(number, one, day(30))),
    )

    async def all_known() -> list[dict[str, Any]] | None:
        rows = [row for row in await clinic.events() if row["number"] == number]
        return rows if len(rows) == 3 and all(row["person"] for row in rows) else None

    rows = await until(all_known, lambda: f"three events {number} of somebody", WITHIN)
    assert {row["source"] for row in rows} == {DESK, HOOK, HRIS.lower()}
    (person,) = {str(row["person"]) for row in rows}
    await clinic.account(person, "ehr-view", "staff", on=True)
    employed = await asyncio.to_thread(hospital.stage.erp.employed)  # raises where somebody is an employee twice
    assert employed.get(person, True) and clinic.held(person)["count"] == 1
    people = (await clinic.looked("person", "list", "--all", "--limit", "1000"))["items"]
    assert len([row for row in people if row["person"] == person]) == 1


# -- hired again, and at two facilities -----------------------------------------------------------------------------------


@side_by_side
async def test_who_left_and_is_hired_again_keeps_the_key_and_the_account_and_has_access_again(
    hospital: Hospital,
) -> None:
    clinic, one = clinic_of(hospital), somebody()
    person = await clinic.hires(one)
    user = clinic.held(person)["userName"]
    await clinic.tell(one.event("terminate", day(1)))
    await clinic.off(person)
    await clinic.is_as(person, state="ended", headline="terminated")
    again = replace(one, number=f"{one.number}-2")  # HR counts anew; the NPI says who it is
    number = await clinic.tell(again.event("hire", day()))
    assert await clinic.key_of(number) == person
    held = await clinic.account(person, "staff", on=True)
    assert (held["userName"], held["count"]) == (user, 1)
    row = await clinic.is_as(person, headline="active")
    assert (row["state"], row["starts"], row["ends_on"]) == ("working", day().isoformat(), None)
    assert clinic.is_on(person)
    assert len((await clinic.fascia("person", "show", person))["numbers"]) == 2


@side_by_side
async def test_who_leaves_one_of_two_facilities_keeps_what_the_other_gives(hospital: Hospital) -> None:
    clinic, one = clinic_of(hospital), somebody("registered_nurse")
    elsewhere = await second_facility(hospital)
    person = await clinic.hires(one)
    await clinic.account(person, "ehr-view", "staff", on=True)
    desk = replace(one, role="scheduler", number=f"S{one.number}")
    number = await clinic.tell(desk.event("hire", day(20), said_at=written(20)), who=elsewhere)
    assert await clinic.key_of(number) == person
    await clinic.is_as(person, "SGH", headline="active")
    await clinic.tell(one.event("terminate", day(1)))
    await clinic.account(person, "staff", on=True)
    await clinic.is_as(person, state="ended")
    assert (await clinic.row(person, "SGH"))["state"] == "working" and clinic.is_on(person)
    await clinic.tell(desk.event("terminate", day(1)), who=elsewhere)
    await clinic.off(person)
    await clinic.is_as(person, "SGH", state="ended")
    assert clinic.held(person)["count"] == 1


async def second_facility(hospital: Hospital) -> str:
    """Southfield, and the key by which its HR system tells of people."""
    folder = hospital.stage.home / "southfield"
    folder.mkdir(exist_ok=True)
    (folder / "facilities.csv").write_text("code,name\nSGH,Southfield General Hospital\n", encoding="utf-8")
    sender = {"code": "sgh-hr", "facility": "SGH", "name": "HR of Southfield", "dialect": "rest", "source": "sgh-hr"}
    about = {"kinds": ["hr_event"], "owner": "HR integration"}
    (folder / "senders.json").write_text(json.dumps([sender | about]), encoding="utf-8")
    await Clinic(hospital).fascia("register", "load", str(folder))
    return await new_key(hospital, "sgh-hr", "--scope", "people", "--per-minute", "6000", facility="SGH")


# -- whose it is ----------------------------------------------------------------------------------------------------------


@side_by_side
async def test_a_possible_duplicate_gives_nothing_until_somebody_who_may_says_whose_it_is(hospital: Hospital) -> None:
    clinic, one = clinic_of(hospital), somebody()
    person = await clinic.hires(one)
    marks = {"name": one.record()["name"], "birth_date": f"{one.born}"}

    def alike(number: str) -> dict[str, Any]:
        return replace(one, number=number).event("hire", day(10), said_at=written(10)) | {"record": marks}

    same, new = [await clinic.tell(alike(f"{one.number}-{letter}")) for letter in "AB"]
    asked = [await clinic.event(number, "possible") for number in (same, new)]
    assert [event["candidates"] for event in asked] == [[person], [person]]
    lines = await clinic.lines("possible duplicate")
    assert lines and CANARY not in json.dumps(lines)
    like = (await clinic.fascia("person", "event", asked[0]["id"]))["likeness"]
    assert [row["person"] for row in like] == [person] and "same" in like[0]["marks"].values()
    words = ("person", "match", asked[0]["id"], "--same", person, "--reason", "passport seen")
    refused = await clinic.gives(*words, who=BUYER)
    assert refused.code != 0 and (await clinic.event(same))["state"] == "possible"

    assert (await clinic.fascia(*words, who=HR))["person"] == person
    told = await clinic.fascia("person", "match", asked[1]["id"], "--new", "--reason", "twins", who=HR)
    assert told["person"] != person
    twin = await clinic.account(told["person"], "staff", on=True)
    assert twin["userName"] != clinic.held(person)["userName"]
    assert len((await clinic.fascia("person", "show", person))["numbers"]) == 2
    assert clinic.held(person)["count"] == twin["count"] == 1


# -- refused, corrected, replayed ---------------------------------------------------------------------------------------


async def sent(hospital: Hospital, text: str) -> str:
    """A message over MLLP; MSA-1 of its answer."""
    reader, writer = await asyncio.open_connection(*hospital.stage.gateway)
    try:
        writer.write(framed(text))
        await writer.drain()
        return Answer.read(await next_frame(reader)).code
    finally:
        writer.close()


async def kept(clinic: Clinic, number: str, kind: str, *states: str) -> dict[str, Any]:
    """A message in the journal, by its number."""

    async def look() -> dict[str, Any] | None:
        rows = (await clinic.looked("journal", "list", "--kind", kind, "--limit", "1000"))["items"]
        return next((row for row in rows if row["control_number"] == number and row["state"] in states), None)

    return await until(look, lambda: f"message {number} {states}", WITHIN)


@side_by_side
async def test_a_refused_message_of_hr_is_corrected_and_hires_once(hospital: Hospital) -> None:
    clinic, one = clinic_of(hospital), somebody("registered_nurse")
    number, right = hr_systems.hire_message(f"W{one.number}", one, day(10))
    wrong = right.replace(f"|{one.role}|", "||", 1)
    assert wrong != right and await sent(hospital, wrong) == "AA", "it is kept whole, and read afterwards"
    message = await kept(clinic, number, "PMU^B01", "dead")
    assert "STF-19" in message["reason"]
    assert CANARY not in json.dumps(message)
    file = hospital.stage.home / f"{number}.hl7"
    file.write_bytes(right.encode())
    words = ("journal", "correct", message["id"], "--file", str(file), "--reason", "HR told us the role")
    await clinic.fascia(*words, who=HR)
    file.unlink()  # it names somebody
    person = await clinic.key_of(number)
    await clinic.account(person, "ehr-view", "staff", on=True)
    assert await sent(hospital, wrong) == "AA", "its sender is answered as before"
    assert len([row for row in await clinic.events() if row["number"] == number]) == 1


@side_by_side
async def test_a_file_whose_department_nobody_knew_is_replayed_once_the_table_has_it(hospital: Hospital) -> None:
    clinic, one, other = clinic_of(hospital), somebody(), somebody()
    secret = await old_system(hospital)
    rows = [hr_systems.hire_row(who, day(10), f"R-{who.number}") for who in (one, other)]
    await clinic.file(rows[0] | {"department": "Op Theatre 3"}, rows[1], who=secret)
    assert await clinic.key_of(f"R-{other.number}"), "the others of the file are taken"

    async def apart() -> list[dict[str, Any]]:
        asked = ("journal", "list", "--sender", "hr-old", "--limit", "1000")
        return [row for row in (await clinic.looked(*asked))["items"] if row["state"] in ("dead", "refused")]

    found = await until(apart, lambda: "the row that could not be read", WITHIN)
    assert len(found) == 1 and "department" in found[0]["reason"] and CANARY not in json.dumps(found)
    table = hospital.stage.home / "mappings.csv"
    text = io.StringIO()
    csv.writer(text).writerows(
        [
            ("sender", "table", "valid_from", "from", "to"),
            *(("hr-old", "department", "2026-01-01", name, "surgery") for name in ("Op Theatre 3", "surgery")),
        ]
    )
    table.write_text(text.getvalue(), encoding="utf-8")
    await clinic.fascia("register", "load", str(table))
    await clinic.fascia("journal", "replay", found[0]["id"], "--reason", "the table has it now", who=HR)
    person = await clinic.key_of(f"R-{one.number}")
    await clinic.account(person, "staff", on=True)
    assert (await clinic.row(person))["department"] == "surgery"


async def old_system(hospital: Hospital) -> str:
    """An HR system that names departments in its own way; its key."""
    file = hospital.stage.home / "senders.json"
    sender = {"code": "hr-old", "facility": SITE, "dialect": "rest", "kinds": ["csv_people"], "source": "hr-old"}
    file.write_text(json.dumps([sender | {"owner": "HR integration"}]), encoding="utf-8")
    await Clinic(hospital).fascia("register", "load", str(file))
    return await new_key(hospital, "hr-old", "--scope", "files", "--scope", "people", "--per-minute", "6000")


# -- days to come and gone by ---------------------------------------------------------------------------------------------


@side_by_side
async def test_a_transfer_of_a_day_to_come_is_planned_and_one_of_days_gone_by_is_paid_anew(hospital: Hospital) -> None:
    clinic, one, other = clinic_of(hospital), somebody(), somebody()
    planned, late = await asyncio.gather(clinic.hires(one), clinic.hires(other))

    def moved(who: Any, when: int) -> dict[str, Any]:
        about = who.position() | {"cost_centre": OTHER_CENTRE, "department": OTHER_DEPARTMENT}
        return dict(who.event("update", day(when), position=about))

    to_come, gone = await asyncio.gather(clinic.tell(moved(one, -12)), clinic.tell(moved(other, 12)))
    await asyncio.gather(clinic.event(to_come, "matched"), clinic.event(gone, "applied"))
    await clinic.is_as(late, cost_centre=OTHER_CENTRE)
    row = await clinic.is_as(planned, next_change=day(-12).isoformat())
    assert (row["cost_centre"], row["department"]) == (CENTRE, "surgery")

    async def charged(person: str, centre: str) -> bool:
        return await asyncio.to_thread(hospital.stage.erp.cost_centre_of, person) == centre

    await until(lambda: charged(late, OTHER_CENTRE), lambda: f"{late} charged to {OTHER_CENTRE}", WITHIN)
    await until(lambda: charged(planned, CENTRE), lambda: f"{planned} charged to {CENTRE}", WITHIN)
    shown = await clinic.fascia("person", "show", late)
    tasks = shown["tasks"].values()
    assert f"pay-days {day(12)}..{day(1)} (payroll)" in tasks
    spans = moves(shown)
    assert spans == [
        {"field": "cost_centre", "was": CENTRE, "now": OTHER_CENTRE, "first": f"{day(12)}", "last": f"{day(1)}"}
    ]
    assert moves(await clinic.fascia("person", "show", planned)) == [], "a day to come touches no pay"


def moves(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """The days of pay that a change of the cost centre touches."""
    spans = [span for pay in shown["pay"] for span in pay["spans"] if span["field"] == "cost_centre"]
    return [span for span in spans if span["was"]]
