"""Clinicians as HR, the medical staff office and an auditor outside know them: told of by HR's desk, decided on by commands, and
counted in the books of accounts, schedule, EHR and ERP.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from demo.people_made import Made, made, register
from demo.people_office import BY_PEOPLE, Found, found
from demo.stage_people import COMMITTEE, DESK, STAFF_OFFICE
from tests.journeys.conftest import Hospital
from tests.journeys.terminal import Said, fascia
from tests.journeys.uses import until

WITHIN = 660.0
REVOCATIONS = "revocations"  # the program that takes access away
QUICK: Mapping[str, Any] = {"timeout": 2.0, "settles_within": 5.0}
"""Of targets, where a test waits for time-outs."""
NEVER = Found(None, None, None, None)
_numbers = itertools.count(int(time.time()) % 90_000 * 1000)  # of nobody an earlier test of this home hired
_messages = itertools.count(1)


def somebody(role: str = "scheduler", department: str = "surgery", cost_centre: str = "CC-4100") -> Made:
    """A clinician nobody has heard of. A scheduler needs no committee."""
    return made(next(_numbers), role, department, cost_centre)


def today(days: int = 0) -> date:
    """The day it is (UTC), or so many days from it."""
    return datetime.now(UTC).date() + timedelta(days=days)


def access_case(person: str) -> str:
    """The case that writes a person's access."""
    return f"clinician_access/{person}"


@dataclass
class People:
    """Who works with people at the hospital's doors."""

    hospital: Hospital

    @property
    def home(self) -> Path:
        return self.hospital.stage.home

    # -- HR --------------------------------------------------------------------------------------------------------

    async def said(self, *events: Mapping[str, Any]) -> list[str]:
        """HR's desk says these, in one message; the names of the events, in this order."""
        number = f"J{os.getpid()}-{next(_messages):04d}"
        answer = await self.hospital.doors.ask(
            DESK, "POST", "/v1/hr-events", {"events": list(events)}, key=number, within=WITHIN
        )
        assert answer.status_code == 202, answer.text
        return [f"{number}/{place}" for place in range(1, len(events) + 1)]

    async def hired(self, *people: Made, starts: date | None = None) -> list[str]:
        """HR hires them, to begin today unless it says otherwise; our keys of them, in this order. The sources know them."""
        register(self.home, *people)
        events = await self.said(*(one.event("hire", starts or today()) for one in people))
        return await self.keys(events)

    async def left(self, *people: Made, last_day: date | None = None, **more: Any) -> list[str]:
        """HR ends their employment: over since yesterday unless it says otherwise; the names of the events."""
        return await self.said(*(one.event("terminate", last_day or today(-1), **more) for one in people))

    async def keys(self, events: Sequence[str], source: str = DESK) -> list[str]:
        """Whom events were about, by our key, once that is known."""

        async def known() -> list[str] | None:
            listed = await self.fascia("person", "events", "--source", source, "--all", "--limit", "1000")
            held = {row["number"]: row["person"] for row in listed["items"] if row["person"]}
            return [held[event] for event in events] if held.keys() >= set(events) else None

        return await until(known, lambda: f"whom {events} are about", within=WITHIN)

    # -- commands ----------------------------------------------------------------------------------------------------

    async def fascia(self, *words: str, who: str = "", code: int = 0) -> Any:
        """A command by somebody of the hospital, its JSON; it must end so."""
        said = await self.gives(*words, who=who)
        assert said.code == code, said.out + said.err
        return said.json

    async def gives(self, *words: str, who: str = "") -> Said:
        """A command by somebody of the hospital."""
        return await fascia(self.hospital, *words, "--json", key=self.hospital.stage.keys[who] if who else "")

    async def show(self, person: str, facility: str = "") -> dict[str, Any]:
        """A case as the platform shows it."""
        at = ("--facility", facility) if facility else ()
        shown: dict[str, Any] = await self.fascia("clinician", "show", person, *at)
        return shown

    async def headlines(self, *people: str) -> dict[str, str]:
        """How their cases stand."""
        listed = await self.fascia("clinician", "list", "--all", "--limit", "1000")
        return {row["person"]: row["headline"] for row in listed["items"] if row["person"] in people}

    async def become(self, headline: str, *people: str, within: float = WITHIN) -> None:
        """Wait until the cases of all of them stand so."""
        seen: dict[str, str] = {}

        async def so() -> bool:
            seen.update(await self.headlines(*people))
            return len(seen) == len(people) and set(seen.values()) == {headline}

        def told() -> str:
            return f"{headline}: {[f'{one} {stands}' for one, stands in seen.items() if stands != headline]}"

        await until(so, told, within=within, every=1.0)

    async def words(self, who: str, *rows: Mapping[str, Any]) -> None:
        """Many words of somebody to cases in one command; each must be taken."""
        name = f"W{os.getpid()}-{next(_messages):04d}"
        path = self.home / "journeys_words" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows), encoding="utf-8")
        told = await self.fascia("clinician", "say", "--from", str(path), "--id", name, who=who)
        assert all(row["taken"] for row in told["items"]), told

    async def privileged(self, *people: str, role: str, service: str = "surgery") -> None:
        """Evidence by people, a request for each, and two of the committee say yes."""
        evidence = [
            {"person": person, "verb": "verify", "check": check, "outcome": "confirmed", "reference": reference}
            for check, reference in BY_PEOPLE.get(role, ())
            for person in people
        ]
        if evidence:
            await self.words(STAFF_OFFICE, *evidence)
        await self.become("committee pending", *people)
        asked = {"verb": "request", "scope": {"service": service}, "reason": "a new colleague"}
        await self.words(STAFF_OFFICE, *({"person": person, **asked} for person in people))
        for who in COMMITTEE[:2]:
            await self.words(who, *({"person": person, "verb": "approve", "reason": "complete"} for person in people))

    # -- access ------------------------------------------------------------------------------------------------------

    async def access(self, person: str) -> dict[str, dict[str, Any]]:
        """How each target stands with somebody, as ``fascia person access`` shows it."""
        said = await self.gives("person", "access", person)
        assert said.code in (0, 1), said.out + said.err
        return {row["target"]: row for row in said.json["targets"]}

    async def stand(self, state: str, *people: str, targets: Iterable[str], within: float = WITHIN) -> None:
        """Wait until these targets of all of them stand so."""
        left = list(people)

        async def so() -> bool:
            while left:
                shown = await self.access(left[0])
                if {shown.get(target, {}).get("state") for target in targets} != {state}:
                    return False
                left.pop(0)
            return True

        await until(so, lambda: f"{state} in {targets}: {left}", within=within, every=1.0)

    async def confirmed_off(self, *people: str, within: float = WITHIN) -> None:
        """Wait until a revocation of each of them is confirmed, all but what people bring back."""

        async def so() -> bool:
            return all([(await self.gives("person", "access", person)).code == 0 for person in people])

        await until(so, lambda: f"the revocations of {people} confirmed", within=within, every=1.0)

    async def attention(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What needs people, by what it is and its name."""
        listed = await self.fascia("attention", "list")
        return {(row["what"], row["name"]): row for row in listed["items"]}

    # -- outside -----------------------------------------------------------------------------------------------------

    async def outside(self, *people: str) -> dict[str, Found]:
        """Where they are found, each system asked itself; nobody has two accounts, and the ERP nobody twice."""
        held = await found(self.hospital.stage)
        shown = {person: held.get(person, NEVER) for person in people}
        assert [person for person, where in shown.items() if where.accounts > 1] == []
        return shown

    async def everywhere(self, *people: str, groups: Iterable[str], within: float = WITHIN) -> None:
        """Each of them is on in every system once, with these groups and no other."""
        await self._found(Found(True, True, True, True, tuple(sorted(groups)), 1), people, within)

    async def nowhere(self, *people: str, within: float = WITHIN) -> None:
        """Each of them, who was everywhere, is off in every system, and in no group."""
        await self._found(Found(False, False, False, False, (), 1), people, within)

    async def _found(self, wanted: Found, people: Sequence[str], within: float) -> None:
        others: dict[str, str] = {}

        async def so() -> bool:
            others.clear()
            held = await self.outside(*people)
            others.update({one: f"{is_.text()}, {is_.groups}" for one, is_ in held.items() if is_ != wanted})
            return not others

        await until(so, lambda: f"{wanted.text()} of {len(people)} people: {others}", within=within, every=1.0)

    async def attempts(self, case: str, step: str) -> int:
        """How often a step of a case was begun at the most: 2 is one that somebody died in."""
        handle, begun, most = self.hospital.doors.temporal.get_workflow_handle(case), {}, 0
        async for event in handle.fetch_history_events():
            if event.HasField("activity_task_scheduled_event_attributes"):
                begun[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
            elif event.HasField("activity_task_started_event_attributes"):
                started = event.activity_task_started_event_attributes
                if begun.get(started.scheduled_event_id) == step:
                    most = max(most, started.attempt)
        return most


async def targets_as(hospital: Hospital, **changes: Mapping[str, Any]) -> None:
    """Load the stage's targets with changes, by code; running workers know them within seconds."""
    rows = json.loads((hospital.stage.home / "register" / "access_targets.json").read_text(encoding="utf-8"))
    folder = hospital.stage.home / "journeys_people"
    folder.mkdir(exist_ok=True)
    changed = [row | changes.get(row["code"], {}) for row in rows]
    (folder / "access_targets.json").write_text(json.dumps(changed), encoding="utf-8")
    loaded = await fascia(hospital, "register", "load", str(folder), "--json")
    assert loaded.code == 0, loaded.out + loaded.err
