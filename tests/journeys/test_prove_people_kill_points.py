"""The exhaustive loop for people: workers killed before and after every call by which somebody is given access, and loses it.

What was tried and counted is written to ``docs/proof.md``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from demo import ehr
from demo.people_made import Made
from demo.stage_parts import given_port, listener
from demo.stage_people import ACCOUNTS, EHR, HR, SCHEDULING
from tests import proof
from tests.journeys.conftest import Hospital
from tests.journeys.line import Hold, Line, free_port
from tests.journeys.people import QUICK, REVOCATIONS, People, somebody, targets_as, today
from tests.journeys.terminal import fascia
from tests.journeys.test_faults_inside import LOOPS, WORKER

pytestmark = [pytest.mark.prove, pytest.mark.timeout(3600)]

LATE = 660.0  # a check of a source whose worker dies is tried again after five minutes
ERP = "erp"
PATIENT = {
    "timeout": 8.0,
    "settles_within": 10.0,
}  # longer than programs take to start: what is held meanwhile is not tried again
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


def programs_at(system: str) -> tuple[str, ...]:
    """Who calls it: the EHR is told by the loops."""
    return (LOOPS,) if system == EHR else (WORKER, REVOCATIONS)


@dataclass
class Wires:
    """The lines between our programs and each of these systems."""

    people: People
    lines: dict[str, Line]

    async def killing(self, points: Sequence[Point], act: Coroutine[Any, Any, Any]) -> Any:
        """Kill at these points of what somebody does."""
        killer = asyncio.create_task(self._killed_at(points))
        await asyncio.sleep(0)  # the first holds are in their places
        try:
            done = await act
            await killer
        finally:
            killer.cancel()
            await asyncio.gather(killer, return_exceptions=True)
        return done

    async def _killed_at(self, points: Sequence[Point]) -> None:
        """Kill the programs at each point, of each system in the order in which they come.

        While they are dead each system's next point is put in its place, so that no call passes before it is held.
        """
        left = {system: deque(one for one in points if one.system == system) for system in self.lines}
        held: dict[str, Hold] = {}
        try:
            while any(left.values()):
                for system, more in left.items():
                    if more and system not in held:
                        held[system] = self._hold(more[0])
                await self._at_work()
                for system in await self._dead_at(held):
                    self.lines[system].cut()
                    left[system].popleft()
                    del held[system]
        finally:
            for line in self.lines.values():
                line.let_go()
            await self._at_work()

    def _hold(self, point: Point) -> Hold:
        line = self.lines[point.system]
        return line.hold(request=point.call) if point.before else line.hold(answer=point.call)

    async def _dead_at(self, held: Mapping[str, Hold]) -> list[str]:
        """The systems whose point has come, once whoever called them is dead."""
        waits = [asyncio.create_task(one.caught.wait()) for one in held.values()]
        done, still = await asyncio.wait(waits, timeout=LATE, return_when=asyncio.FIRST_COMPLETED)
        for one in still:
            one.cancel()
        assert done, f"none of these came: {[one.names for one in held.values()]}"
        while True:
            caught = [system for system, one in held.items() if one.caught.is_set()]
            await self._kill({program for system in caught for program in programs_at(system)})
            # What they had asked when they died is answered to nobody: that is the point of it.
            give_up = time.monotonic() + LATE
            while any(self.lines[system].awaits(one) for system, one in held.items()):
                assert time.monotonic() < give_up, "what was asked is not answered"
                await asyncio.sleep(0.05)
            if caught == [system for system, one in held.items() if one.caught.is_set()]:
                return caught

    async def _kill(self, programs: Iterable[str]) -> None:
        """All of them before one is waited for: what one has begun another may go on with."""
        stack = self.people.hospital.stage.stack
        alive = [program for program in programs if stack.pid(program) is not None]
        await asyncio.gather(*(stack.kill(program) for program in alive))
        # so that the supervisor starts none of them yet, and its pause before the next start does not grow
        await asyncio.gather(*(stack.stop(program) for program in alive))

    async def _at_work(self) -> None:
        stack = self.people.hospital.stage.stack
        dead = [program for program in (WORKER, REVOCATIONS, LOOPS) if stack.pid(program) is None]
        await asyncio.gather(*(stack.start(program) for program in dead))


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
        accounts={**PATIENT, "url": f"{over[ACCOUNTS]}/v2"},
        roster={**PATIENT, "url": over[SCHEDULING]},
        ehr=QUICK,
        erp=PATIENT,
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
