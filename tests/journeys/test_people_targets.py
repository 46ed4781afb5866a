"""Systems that are told of people at their worst, while clinicians are hired and while they leave.

Each fault is limited to one person where it can be, so all of them are played at once. In the end everybody stands once everywhere,
or is off everywhere, counted in those systems' own books; what was stuck meanwhile was there to be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from demo import ehr
from demo.people_made import Made
from demo.stage_people import ACCOUNTS, EHR, HR, SCHEDULING
from demo.trouble import behave, met
from tests.journeys.conftest import Hospital
from tests.journeys.line import Hold
from tests.journeys.people import QUICK, REVOCATIONS, People, access_case, somebody, targets_as, today
from tests.journeys.uses import until

pytestmark = pytest.mark.timeout(1800)  # the first of them starts the hospital

WORKER = "worker"
GROUPS = ("staff",)  # of a scheduler
SILENT = "target does not answer"
LATE = 660.0  # what is to be given is tried again within ten minutes, if the machine is so slow that it failed often
OVER_TIME = 4  # seconds, beyond the time-out of a quick target; the EHR's channel waits 5 for an answer
Faults = Mapping[str, Sequence[str]]  # of each system; the first or the first two writes of a person meet one
EVERY: Faults = {
    ACCOUNTS: ("down", "slow 1", "slow 4", "late 4", "lost", "twice", "busy 3", "conflict 2", "stale 2"),
    SCHEDULING: ("down", "slow 1", "slow 4", "late 4", "lost", "twice", "busy 3"),
    EHR: ("down", "slow 1", "late 6", "lost", "twice", "error", "refuse"),
}
SOME: Faults = {
    ACCOUNTS: ("down", "slow 4", "late 4", "conflict 2", "stale 2"),
    SCHEDULING: ("lost", "busy 3"),
    EHR: ("late 6", "twice", "refuse"),
}
COUNTED = ("conflict", "stale")  # have their number already
STAY = 4  # who does not leave with the others
HELD = {"timeout": 10.0, "settles_within": 20.0}  # of targets in whose steps a worker is killed
ERP_QUICK = {"timeout": 4.0}
CREATE, WRITE, PARTY = "model.company.employee.create", "model.company.employee.write", "model.party.party.create"


@pytest.fixture(scope="module")
async def people(hospital: Hospital) -> AsyncIterator[People]:
    await targets_as(hospital, accounts=QUICK, roster=QUICK, ehr=QUICK, erp=ERP_QUICK)
    hospital.scene()  # what a test before it held on a line is let go
    yield People(hospital)
    await targets_as(hospital)


@pytest.fixture(autouse=True)
async def mended(hospital: Hospital) -> AsyncIterator[None]:
    """Whatever a test that failed left broken: the next ones are of something else."""
    yield
    hospital.erp_line.twice = False
    hospital.erp_line.let_go()
    await hospital.erp_line.start()
    if hospital.stage.stack.pid(ACCOUNTS) is None:
        await hospital.stage.stack.start(ACCOUNTS)
    as_they_should(hospital.stage.home)


def as_they_should(home: Path) -> None:
    for peer in (ACCOUNTS, SCHEDULING, EHR):
        behave(home, peer)


def each(faults: Faults, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Who meets which fault of which system, by our key."""
    pairs = [(peer, line) for peer, lines in faults.items() for line in lines]
    return dict(zip(keys, pairs, strict=False))


def play(home: Path, parts: Mapping[str, tuple[str, str]], *peers: str, times: int = 1) -> None:
    """Let these systems treat everybody so, and anybody else as they should."""
    for peer in peers:
        lines = {person: line for person, (of, line) in parts.items() if of == peer}
        ends = {person: "" if line.startswith(COUNTED) else f" times {times}" for person, line in lines.items()}
        behave(home, peer, *(f"{line} {person}{ends[person]}" for person, line in lines.items()))


def counted(home: Path, parts: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """How often everybody has met the fault that is meant for them."""
    return {person: met(home, peer, person, line.split()[0]) for person, (peer, line) in parts.items()}


async def all_met(home: Path, parts: Mapping[str, tuple[str, str]], before: Mapping[str, int]) -> None:
    """Wait until everybody has met it once more."""

    def left() -> list[str]:
        return [f"{parts[person]}" for person, times in counted(home, parts).items() if times <= before[person]]

    async def none_left() -> bool:
        return not left()

    await until(none_left, lambda: f"these met by their people: {left()}", within=LATE)


async def caught(*holds: Hold) -> None:
    """Wait until all of them hold something."""
    await asyncio.wait_for(asyncio.gather(*(one.caught.wait() for one in holds)), LATE)


async def each_meets_its_own(
    people: People, parts: Mapping[str, tuple[str, str]], *, answer: str, request: str
) -> None:
    """What was stopped comes back, and everybody meets the fault that is theirs; of the ERP one answer and one request are held, and
    then it answers twice. Then all is well.
    """
    home, stack, line = people.home, people.hospital.stage.stack, people.hospital.erp_line
    before = counted(home, parts)
    unheard, late = line.hold(answer=answer, times=1), line.hold(request=request, times=1)
    play(home, parts, ACCOUNTS, SCHEDULING, EHR)
    await asyncio.gather(stack.start(ACCOUNTS), line.start())
    await caught(unheard, late)
    await asyncio.sleep(OVER_TIME + 0.5)
    line.twice = True
    line.let_go()
    await all_met(home, parts, before)
    line.twice = False
    as_they_should(home)


async def listed(people: People, person: str, *targets: str) -> None:
    """Wait until what needs people names these targets as silent; ``person``: one of those who wait for them."""
    seen: dict[str, object] = {}

    async def so() -> bool:
        seen.clear()
        seen.update({f"{what} {name}": row["why"] for (what, name), row in (await people.attention()).items()})
        if {f"{SILENT} {target}" for target in targets} <= seen.keys():
            return True
        held = (await people.access(person)).items()
        seen.update({target: f"{row['state']} {row['reason']}" for target, row in held})
        return False

    await until(so, lambda: f"{targets} on the attention list: {seen}", within=LATE, every=1.0)


async def nothing_listed(people: People) -> None:
    """Wait until no target is silent any more."""
    seen: list[str] = []

    async def so() -> bool:
        seen[:] = [name for what, name in await people.attention() if what == SILENT]
        return not seen

    await until(so, lambda: f"the attention list without {seen}", within=LATE)


@pytest.fixture(
    scope="module", params=[pytest.param(SOME, id="some"), pytest.param(EVERY, id="every", marks=pytest.mark.prove)]
)
def faults(request: pytest.FixtureRequest) -> Faults:
    """What is played; every fault of every system by ``make prove``."""
    played: Faults = request.param
    return played


@pytest.fixture(scope="module")
def crowd(faults: Faults) -> list[Made]:
    """One for each fault, some for the ERP's and for none, and those who stay."""
    return [somebody() for _ in range(sum(map(len, faults.values())) + 4 + STAY)]


@pytest.fixture(scope="module")
async def hired(people: People, crowd: list[Made], faults: Faults) -> list[str]:
    """They are hired while accounts are stopped and the ERP is out of reach, and then each of them meets a fault of their own."""
    stack, line = people.hospital.stage.stack, people.hospital.erp_line
    await asyncio.gather(stack.stop(ACCOUNTS), line.stop())
    keys = await people.hired(*crowd, starts=today(-20))
    await listed(people, keys[0], "accounts", "erp")
    shown: dict[str, Any] = {}

    async def waited_for() -> bool:
        shown.update(await people.access(keys[0]))
        waiting = {shown.get(target, {}).get("state") for target in ("roster", "ehr")} == {"waiting"}
        return waiting and all(shown[target]["reason"].startswith("unavailable") for target in ("accounts", "erp"))

    await until(
        waited_for, lambda: f"roster and EHR wait for accounts, which like the ERP is away: {shown}", within=LATE
    )

    await each_meets_its_own(people, each(faults, keys), answer=CREATE, request=PARTY)
    return keys


async def test_whoever_is_hired_while_systems_are_down_slow_late_or_doubled_stands_once_everywhere(
    people: People, hired: list[str]
) -> None:
    await people.everywhere(*hired, groups=GROUPS)
    await people.become("active", *hired)
    known = ehr.practitioners(people.home)
    assert {known[one]["acts"].count("MAD") for one in hired} == {1}
    await nothing_listed(people)


@pytest.fixture(scope="module")
async def gone(people: People, crowd: list[Made], hired: list[str], faults: Faults) -> list[str]:
    """All but a few of them leave while every system is away, and then each of them meets another fault."""
    home, stack, line = people.home, people.hospital.stage.stack, people.hospital.erp_line
    await people.everywhere(*hired, groups=GROUPS)
    left = hired[:-STAY]
    await asyncio.gather(stack.stop(ACCOUNTS), line.stop())
    behave(home, SCHEDULING, "down")
    behave(home, EHR, "down")
    await people.left(*crowd[:-STAY])
    await listed(people, left[-1], "accounts", "roster", "erp")
    shown: dict[str, Any] = {}

    async def tried() -> bool:
        shown.update(await people.access(left[-1]))
        return all(shown[target]["reason"].startswith("unavailable") for target in ("accounts", "roster", "erp"))

    await until(tried, lambda: f"what keeps their access on: {shown}", within=LATE)
    assert shown["ehr"]["state"] != "off", "what has not arrived there is not off"

    # The faults go round: nobody meets the one they were hired with.
    await each_meets_its_own(people, each(faults, [*left[9:], *left[:9]]), answer=WRITE, request=WRITE)
    return left


async def test_whoever_leaves_while_systems_are_down_slow_late_or_doubled_is_off_everywhere(
    people: People, gone: list[str]
) -> None:
    await people.nowhere(*gone)
    await people.become("terminated", *gone)
    await nothing_listed(people)


@pytest.mark.prove
async def test_a_worker_killed_in_the_steps_of_hires_and_of_revocations_leaves_everybody_as_they_should_be(
    people: People, crowd: list[Made], hired: list[str], gone: list[str]
) -> None:
    """Killed while writes are not carried out yet (late), and while they are and nobody has heard (slow), in each system at once."""
    home, stack, line = people.home, people.hospital.stage.stack, people.hospital.erp_line
    back, revoked = gone[:STAY], hired[-STAY:]  # who left is hired again
    await people.nowhere(*back)
    await people.everywhere(*revoked, groups=GROUPS)
    await targets_as(people.hospital, accounts=HELD, roster=HELD, ehr=QUICK, erp=HELD)
    ways = [(ACCOUNTS, "slow 20"), (ACCOUNTS, "late 20"), (SCHEDULING, "slow 20"), (SCHEDULING, "late 20")]
    parts = dict(zip((*back, *revoked), (*ways, *ways), strict=True))
    before, after = line.hold(request=PARTY, times=1), line.hold(answer=CREATE, times=1)
    play(home, parts, ACCOUNTS, SCHEDULING, times=2)
    so_far, new = counted(home, parts), [somebody() for _ in range(2)]
    revoke = ("--reason", "lost a badge", "--yes")
    hiring = people.hired(*crowd[:STAY], *new, starts=today())
    revoking = (people.fascia("person", "revoke", one, *revoke, who=HR) for one in revoked)
    keys, *_ = await asyncio.gather(hiring, *revoking)
    await all_met(home, parts, so_far)
    await caught(before, after)
    await asyncio.gather(stack.kill(WORKER), stack.kill(REVOCATIONS))
    line.cut()
    assert ("revocation not confirmed", revoked[0]) in await people.attention()
    assert (await people.gives("person", "access", revoked[0])).code == 1
    as_they_should(home)
    await targets_as(people.hospital, accounts=QUICK, roster=QUICK, ehr=QUICK, erp=ERP_QUICK)
    await asyncio.gather(stack.ready(WORKER), stack.ready(REVOCATIONS))

    assert keys[:STAY] == back, "who is hired again is who they were"
    await people.everywhere(*keys, groups=GROUPS)
    await people.become("active", *keys)
    await people.confirmed_off(*revoked)
    await people.nowhere(*revoked)
    begun = [await people.attempts(access_case(one), "write_target") for one in keys]
    ended = [await people.attempts(f"clinician_revocation/{one}", "off_target") for one in revoked]
    died_in = any(times > 1 for times in begun), any(times > 1 for times in ended)
    assert died_in == (True, True), f"somebody died in a step of each: {begun}, {ended}"
