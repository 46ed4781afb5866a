"""An HR system that tells nobody: what its clerk enters in its own database is found by asking, also once it was away for a while."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from demo.people_made import Made, register
from demo.stage_people import ASKED_SOURCE
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
)
from tests.journeys.conftest import Hospital
from tests.journeys.together import side_by_side, under_way
from tests.journeys.uses import until

pytestmark = pytest.mark.timeout(1800)  # the first of them starts the hospital

__all__ = ["under_way"]  # a fixture: it is asked for by name

GROUPS = ("staff",)  # of a scheduler


async def employed(clinic: Clinic, one: Made) -> None:
    """HR's clerk employs them, since a month ago."""
    register(clinic.home, one)
    await asyncio.to_thread(clinic.hospital.stage.hr_clerk.employ, one, day(30))


async def told(clinic: Clinic) -> list[dict[str, Any]]:
    """The events that were found by asking."""
    return [row for row in await clinic.events() if row["source"] == ASKED_SOURCE]


async def key_of(clinic: Clinic, one: Made) -> str:
    """Our key of them, once we heard of them: the events are named by HR's database itself."""
    others: set[str] = {""}

    async def look() -> str:
        for person in {str(row["person"]) for row in await told(clinic)} - others:
            numbers = (await clinic.fascia("person", "show", person))["numbers"]
            if (ASKED_SOURCE, one.number) in {(row["source"], row["number"]) for row in numbers}:
                return person
            others.add(person)
        return ""

    return await until(look, lambda: f"whom HR's database calls {one.number}", WITHIN)


async def kinds(clinic: Clinic, person: str) -> list[str]:
    """What was said of somebody, in order."""
    rows = (await clinic.fascia("person", "events", "--person", person))["items"]
    return [row["kind"] for row in sorted(rows, key=lambda row: str(row["said_at"]))]


async def asking(clinic: Clinic) -> dict[str, Any]:
    """How the doctor finds the HR system that is asked."""
    checks: list[dict[str, Any]] = (await clinic.gives("doctor")).json["checks"]
    return next(row for row in checks if row["part"] == "hr")


async def away(clinic: Clinic) -> list[dict[str, Any]]:
    """The lines of the attention list about HR systems that cannot be read."""
    rows: list[dict[str, Any]] = (await clinic.fascia("attention", "list", "--limit", "1000"))["items"]
    return [row for row in rows if row["what"] == "HR system away"]


async def is_well(clinic: Clinic) -> None:
    """The doctor finds it well: it asks for three seconds at a time, in which a busy machine may not answer."""

    async def well() -> bool:
        return bool((await asking(clinic))["state"] == "ok")

    await until(well, lambda: "the HR system well", WITHIN)


async def is_read(clinic: Clinic) -> None:
    """The attention list names none: a restart of its server may have held up the question for a minute."""

    async def nothing() -> bool:
        return not await away(clinic)

    await until(nothing, lambda: "no line about it in the attention list", WITHIN)


def waits(hospital: Hospital) -> int:
    """How often the loops have said that they wait for the HR system."""
    rows = hospital.stage.stack.home.log("loops").read_text(encoding="utf-8", errors="replace").splitlines()
    return sum("loop waits" in row and "HR system" in row for row in rows)


@side_by_side
async def test_who_is_employed_in_hrs_database_is_on_everywhere_is_moved_there_and_off_once_it_ends_there(
    hospital: Hospital,
) -> None:
    clinic, one, clerk = clinic_of(hospital), somebody(), hospital.stage.hr_clerk
    await employed(clinic, one)
    person = await key_of(clinic, one)
    await clinic.everywhere(person, groups=GROUPS)
    row = await clinic.is_as(person, headline="active", state="working")
    assert (row["role"], row["department"], row["cost_centre"]) == ("scheduler", "surgery", CENTRE)
    assert row["starts"] == day(30).isoformat()

    await asyncio.to_thread(clerk.move, one.number, OTHER_DEPARTMENT, OTHER_CENTRE)
    await clinic.is_as(person, department=OTHER_DEPARTMENT, cost_centre=OTHER_CENTRE)

    async def charged() -> bool:
        return await asyncio.to_thread(hospital.stage.erp.cost_centre_of, person) == OTHER_CENTRE

    await until(charged, lambda: f"{person} charged to {OTHER_CENTRE}", WITHIN)
    married = f"{CANARY}wed{one.number.lower()}"
    await asyncio.to_thread(clerk.rename, one.number, married, one.given)
    user = await clinic.account(person, *GROUPS, on=True)

    await asyncio.to_thread(clerk.end, one.number, day(1))
    await clinic.nowhere(person)
    row = await clinic.is_as(person, state="ended", headline="terminated")
    assert row["ends_on"] == day(1).isoformat()
    assert clinic.held(person)["userName"] == user["userName"] and clinic.held(person)["count"] == 1
    said = await kinds(clinic, person)
    assert (said[0], said[-1]) == ("hire", "terminate") and set(said[1:-1]) == {"update"}
    assert CANARY not in json.dumps(await told(clinic)), "events hold keys, and no names"


@side_by_side
async def test_an_hr_system_that_is_away_is_shown_and_nothing_it_says_is_lost_or_doubled(hospital: Hospital) -> None:
    clinic, before, meanwhile = clinic_of(hospital), somebody(), somebody()
    clerk, line = hospital.stage.hr_clerk, hospital.hr_line
    await employed(clinic, before)
    known = await key_of(clinic, before)
    await clinic.everywhere(known, groups=GROUPS)
    await is_well(clinic)
    await is_read(clinic)

    noted = waits(hospital)
    await line.stop()  # our way there; its clerk works on
    try:
        await employed(clinic, meanwhile)
        await asyncio.to_thread(clerk.end, before.number, day(1))
        shown = await asking(clinic)
        assert shown["state"] == "fail" and "does not answer" in shown["text"] and shown["fix"]

        async def noticed() -> bool:
            return waits(hospital) > noted

        await until(noticed, lambda: "the loop saying that it waits for the HR system", WITHIN)
        (told_of,) = await until(lambda: away(clinic), lambda: "a line about it in the attention list", WITHIN)
        assert "does not answer" in told_of["why"] and told_of["since"] and "fascia doctor" in told_of["press"]
        assert not any(said in json.dumps(told_of) for said in (CANARY, "http"))
        assert (await clinic.row(known))["state"] == "working" and clinic.is_on(known)
    finally:
        await line.start()
    new = await key_of(clinic, meanwhile)
    await asyncio.gather(clinic.everywhere(new, groups=GROUPS), clinic.nowhere(known))
    await is_well(clinic)
    await is_read(clinic)
    assert (await kinds(clinic, known), await kinds(clinic, new)) == (["hire", "terminate"], ["hire"])
    rows = await told(clinic)
    assert len({row["number"] for row in rows}) == len(rows)
    assert new != known and clinic.held(new)["count"] == clinic.held(known)["count"] == 1
