"""Very many events of one person, or people of one message: what they cost grows with them, and not with their square."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical import person_records
from canonical.people import HrEvent
from canonical.people_matching import Candidate, match
from store import people_applying, people_matching
from store.database import transaction
from store.people_matching import lock_in
from store.people_payroll import EACH
from store.people_tables import appointments, people, person_tasks, person_trace
from tests.store.people_house import NOW, Hr

MANY = 10  # events of a person that are not yet very many, here


@pytest.fixture
def hr(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> Hr:
    monkeypatch.setattr(people_applying, "VERY_MANY", MANY)
    return Hr(engine)


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[None]:
    """Grows with each call of what a module does."""
    calls: list[None] = []
    does: Callable[..., Any] = getattr(module, name)

    def call(*given: Any) -> Any:
        calls.append(None)
        return does(*given)

    monkeypatch.setattr(module, name, call)
    return calls


def transfers(hr: Hr, many: int, effective: date = NOW.date(), first: int = 0) -> list[HrEvent]:
    """One after another, each to another cost centre."""
    return [
        hr.event(
            f"T-{number}",
            "update",
            effective=effective,
            said_at=NOW - timedelta(hours=2) + timedelta(seconds=number),
            position={"cost_centre": f"CC-{number}"},
        )
        for number in range(first, first + many)
    ]


async def hired(hr: Hr) -> str:
    kept = await hr.one(hr.event("H", effective=date(2026, 1, 1), said_at=NOW - timedelta(days=70)))
    return kept.person


async def test_a_person_told_of_by_very_many_messages_is_folded_by_their_cases_next_look_once_for_all(
    hr: Hr, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await hired(hr)
    folds = counted(monkeypatch, people_applying, "fold")
    await hr.one(*transfers(hr, 5 * MANY))
    assert MANY - 2 <= len(folds) <= MANY
    (case,) = await hr.rows(appointments)
    assert case["woken_at"] == NOW
    found = await hr.at(person)  # as the case's look does
    assert found and found.position.cost_centre == f"CC-{5 * MANY - 1}"
    assert len(folds) <= MANY + 1
    states = await hr.states()
    assert [state for _, state in sorted(states.items())].count("superseded") == 5 * MANY - 1
    heard = [row for row in await hr.rows(person_trace) if row["did"] == "heard"]
    assert len(heard) == 5 * MANY + 1  # each is in the trace at once


async def test_what_takes_away_and_who_is_called_otherwise_wait_for_no_look_however_many_came_before(hr: Hr) -> None:
    person = await hired(hr)
    await hr.one(*transfers(hr, 3 * MANY))
    named = {"name": {"family": "Other", "given": "Anna"}}
    await hr.one(hr.event("N", "update", effective=NOW.date(), said_at=NOW, record=named))
    met = await hr.one(hr.event("S", "hire", "P-2", family="Other", said_at=NOW))
    assert met.state == "possible"  # by the name said a moment ago
    await hr.one(hr.event("E", "terminate", effective=NOW.date() - timedelta(days=1), said_at=NOW))
    (case,) = await hr.rows(appointments, appointments.c.person == person)
    assert case["state"] == "ended"


@pytest.mark.parametrize(
    ("position", "stands"),
    [({"role": "clerk"}, ("working", "clerk")), ({"ends": NOW.date() - timedelta(days=1)}, ("ended", "rn"))],
    ids=["another role", "a contract that is over"],
)
async def test_an_update_that_takes_access_away_waits_for_no_look_however_many_came_before(
    hr: Hr, position: dict[str, Any], stands: tuple[str, str]
) -> None:
    await hired(hr)
    await hr.one(*transfers(hr, 3 * MANY))
    await hr.one(hr.event("U", "update", effective=NOW.date() - timedelta(days=1), said_at=NOW, position=position))
    (case,) = await hr.rows(appointments)
    assert (case["state"], case["position"]["role"]) == stands


async def test_who_writes_access_looks_too_where_the_facilitys_own_case_is_left_to_fold(hr: Hr) -> None:
    await hired(hr)
    await hr.one(*transfers(hr, 3 * MANY))
    async with transaction(hr.engine) as connection:
        await connection.execute(people.update().values(woken_at=None))
    await hr.one(*transfers(hr, 1, first=3 * MANY))
    (person,) = await hr.rows(people)
    assert person["woken_at"] == NOW


async def test_very_many_changes_of_the_past_at_once_are_some_tasks_of_payroll_and_not_as_many(
    hr: Hr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its own up to twenty; what the others come to is one."""
    person = await hired(hr)
    folds = counted(monkeypatch, person_records, "standing")
    back = [one for n in range(3 * EACH) for one in transfers(hr, 1, date(2026, 2, 1) + timedelta(days=n % 30), n)]
    await hr.say(*back)
    await hr.at(person)
    assert len(folds) == 2 * (EACH + 1) <= 42
    tasks = await hr.rows(person_tasks, person_tasks.c.kind == "pay-days")
    assert len(tasks) == 1 + EACH + 1  # of the hire, of each, of the others
    told = [row["content"] for row in await hr.rows(person_trace) if row["did"] == "back-dated"]
    (together,) = [one for one in told if "events" in one]
    assert together["events"] == 2 * EACH
    last = max(together["spans"], key=lambda span: str(span["last"]))
    assert last["now"] == f"CC-{3 * EACH - 1}"
    assert last["last"] == (NOW.date() - timedelta(days=1)).isoformat()


async def test_of_a_message_about_very_many_people_each_is_held_against_those_alike_alone(
    hr: Hr, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def seen(said: Any, by_number: str, known: Iterable[Candidate], **how: Any) -> Any:
        alike = list(known)
        compared.append(len(alike))
        return match(said, by_number, alike, **how)

    monkeypatch.setattr(people_matching, "match", seen)
    born = date(1950, 1, 1)
    hires = [
        hr.event(
            f"H-{n}", "hire", f"P-{n}", family=f"Family{n}x", given=f"G{n}x", record={"birth_date": born + timedelta(n)}
        )
        for n in range(60)
    ]
    again = hr.event(
        "H-60", "hire", "P-60", family="Family7x", given="Other", record={"birth_date": born + timedelta(7)}
    )
    kept = await hr.say(*hires, again)
    assert [one.state for one in kept].count("applied") == 60 and kept[-1].state == "possible"
    assert sum(compared) == 1


async def test_whoever_waits_for_one_persons_turn_keeps_nobody_elses_event_waiting(hr: Hr) -> None:
    """A router's sixteen workers all hold messages of one person, and one of another."""
    await hired(hr)
    events = transfers(hr, 16)
    async with transaction(hr.engine) as connection:
        await lock_in(connection, events)
        waiting = [asyncio.create_task(hr.say(event)) for event in events]
        other = hr.event("O", person="P-2", family="Other", given="Bo", record={"birth_date": "1970-03-04"})
        (kept,) = await asyncio.wait_for(hr.say(other), 60)
        assert kept.state == "applied"
        assert not [task for task in waiting if task.done()]
    found = [one for told in await asyncio.gather(*waiting) for one in told]
    assert [one.outcome for one in found] == ["new"] * len(events)
