"""The exhaustive loop for people: workers killed before and after every call by which somebody is given access, and loses it.

What was tried and counted is written to ``docs/proof.md``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from demo import ehr
from demo.people_made import Made
from demo.stage_parts import given_port, listener
from demo.stage_people import ACCOUNTS, EHR, HR, SCHEDULING
from tests import proof
from tests.journeys.conftest import Hospital
from tests.journeys.line import Line, free_port
from tests.journeys.people import QUICK, REVOCATIONS, People, somebody, targets_as, today
from tests.journeys.terminal import fascia
from tests.journeys.test_faults_inside import LOOPS, WORKER

pytestmark = [pytest.mark.prove, pytest.mark.timeout(3600)]

LATE = 660.0  # a check of a source whose worker dies is tried again after five minutes
ERP = "erp"
LEAST, CLINICAL = ("ehr-view", "staff"), ("ehr-clinical", "ehr-view", "staff")  # of a registered nurse


@dataclass(frozen=True)
class Point:
    """A call to a system that is told of people. ``before``: it is on the wire and never arrives; else nobody hears the answer."""

    system: str
    call: str
    before: bool = False


def calls(system: str, *names: str) -> tuple[Point, ...]:
    return tuple(Point(system, name) for name in names)


EMPLOYED = (
    *calls(ERP, "model.party.party.create", "model.company.employee.create", "model.company.employee.write"),
    *calls(ACCOUNTS, "POST /v2/Users", "PATCH /v2/Groups", "PATCH /v2/Groups", "PATCH /v2/Users"),
    *calls(EHR, "MFN^M02"),
)
PRIVILEGED = (*calls(ACCOUNTS, "PATCH /v2/Groups"), *calls(SCHEDULING, "PUT /eligibility"), *calls(EHR, "MFN^M02"))
ENDED = (
    *calls(ACCOUNTS, "PATCH /v2/Users", "PATCH /v2/Groups", "PATCH /v2/Groups", "PATCH /v2/Groups"),
    *calls(SCHEDULING, "PUT /eligibility"),
    *calls(EHR, "MFN^M02"),
    *calls(ERP, "model.company.employee.write"),
)


@dataclass
class Wires:
    """The lines between our programs and each of these systems."""

    people: People
    lines: dict[str, Line]
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def killed_at(self, points: Sequence[Point]) -> None:
        """Kill the programs at each of these points, in the order in which they come; the EHR is told by the loops."""
        stack = self.people.hospital.stage.stack
        try:
            for point in points:
                programs = (LOOPS,) if point.system == EHR else (WORKER, REVOCATIONS)
                line = self.lines[point.system]
                # Until the programs are dead: another point's kill may come first, and what is tried again then must not pass.
                held = line.hold(request=point.call) if point.before else line.hold(answer=point.call)
                await self._at_work()
                await asyncio.wait_for(held.caught.wait(), LATE)
                async with self._one_at_a_time:
                    for program in programs:
                        if stack.pid(program) is not None:
                            await stack.kill(program)
                            await stack.stop(
                                program
                            )  # so that the supervisor's pause before the next start does not grow
                    line.cut()
        finally:
            await self._at_work()

    async def killing(self, points: Sequence[Point], act: Coroutine[Any, Any, Any]) -> Any:
        """Kill at these points of what somebody does."""
        systems = {point.system for point in points}
        ways = [self.killed_at([one for one in points if one.system == system]) for system in sorted(systems)]
        killers = [asyncio.create_task(way) for way in ways]
        await asyncio.sleep(0)  # the first holds are in their places
        try:
            done = await act
            await asyncio.gather(*killers)
        finally:
            for killer in killers:
                killer.cancel()
            await asyncio.gather(*killers, return_exceptions=True)
        return done

    async def _at_work(self) -> None:
        stack = self.people.hospital.stage.stack
        async with self._one_at_a_time:
            for program in (WORKER, REVOCATIONS, LOOPS):
                if stack.pid(program) is None:
                    await stack.start(program)


@pytest.fixture(scope="module")
async def wires(hospital: Hospital) -> AsyncIterator[Wires]:
    stack = hospital.stage.stack
    ports = {name: given_port(stack, name) for name in (ACCOUNTS, SCHEDULING)} | {
        EHR: given_port(stack, listener("EHR"))
    }
    lines = {name: Line(free_port(), port) for name, port in ports.items()}
    await asyncio.gather(*(line.start() for line in lines.values()))
    over = {name: f"http://127.0.0.1:{lines[name].port}" for name in (ACCOUNTS, SCHEDULING)}
    await targets_as(
        hospital,
        accounts={**QUICK, "url": f"{over[ACCOUNTS]}/v2"},
        roster={**QUICK, "url": over[SCHEDULING]},
        ehr=QUICK,
        erp={"timeout": 4.0},
    )
    await _ehr_at(hospital, lines[EHR].port)
    hospital.scene()
    yield Wires(People(hospital), lines | {ERP: hospital.erp_line})
    await targets_as(hospital)
    await _ehr_at(hospital, ports[EHR])
    await asyncio.gather(*(line.stop() for line in lines.values()))


async def _ehr_at(hospital: Hospital, port: int) -> None:
    """Let the EHR's channel go to this port."""
    rows = json.loads((hospital.stage.home / "register" / "channels.json").read_text(encoding="utf-8"))
    folder = hospital.stage.home / "journeys_ehr"
    folder.mkdir(exist_ok=True)
    (mine,) = [row for row in rows if row["code"] == "EHR"]
    (folder / "channels.json").write_text(json.dumps([mine | {"port": port}]), encoding="utf-8")
    loaded = await fascia(hospital, "register", "load", str(folder), "--json")
    assert loaded.code == 0, loaded.out + loaded.err


def as_is(points: Sequence[Point], *, before: bool) -> tuple[Point, ...]:
    return tuple(replace(point, before=before) for point in points)


def told(points: Sequence[Point]) -> str:
    where = "before" if points[0].before else "after"
    return f"{len(points)} points, {where}: {', '.join(f'{point.system} {point.call}' for point in points)}"


async def employed(people: People, one: Made) -> str:
    """Hired, verified and given least access."""
    (person,) = await people.hired(one, starts=today(-20))
    await people.become("committee pending", person, within=LATE)
    await people.stand("confirmed", person, targets=("accounts", "ehr", "erp"), within=LATE)
    return person


async def privileged(people: People, person: str) -> None:
    """The committee grants, and clinical access is given."""
    await people.privileged(person, role="registered_nurse")
    await people.everywhere(person, groups=CLINICAL, within=LATE)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("way", ["leaving", "revoked"])
async def test_killed_at_every_call_by_which_somebody_comes_and_goes_they_stand_once_and_then_nowhere(
    wires: Wires, way: str, before: bool
) -> None:
    people, began, one = wires.people, datetime.now(UTC), somebody("registered_nurse")
    given, granted, ended = (as_is(points, before=before) for points in (EMPLOYED, PRIVILEGED, ENDED))
    person = await wires.killing(given, employed(people, one))
    assert (await people.outside(person))[person].groups == LEAST
    await wires.killing(granted, privileged(people, person))
    assert ehr.practitioners(people.home)[person]["acts"].count("MAD") == 1

    async def goes() -> None:
        if way == "leaving":
            await people.left(one)
        else:
            await people.fascia("person", "revoke", person, "--reason", "for cause", "--yes", who=HR)
            await people.confirmed_off(person, within=LATE)
        await people.nowhere(person, within=LATE)

    await wires.killing(ended, goes())
    counted = "one account, schedule record, EHR practitioner and employee, all of them off"
    proof.note(f"a nurse hired, privileged, then {way}", told((*given, *granted, *ended)), counted, began)
