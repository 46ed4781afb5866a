"""The loops that wake people's cases: in order, revocations behind nobody, and nothing is lost while Temporal is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from canonical.errors import Rejected, Unavailable
from canonical.people_ports import WakeOfPerson
from workers.loops.people_wakes import PeopleWakes
from workers.people_engine import _start

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REVOKED = WakeOfPerson(process="clinician_revocation", person="person-0001")
ACCESS = WakeOfPerson(process="clinician_access", person="person-0002")
CASE = WakeOfPerson(process="clinician_onboarding", person="person-0002", facility="NGH")


class Waiting:
    """People to wake, until each has looked."""

    def __init__(self, *wakes: WakeOfPerson) -> None:
        self.wakes = [one for one in wakes if one.process != "clinician_revocation"]
        self.revoked = [one for one in wakes if one.process == "clinician_revocation"]
        self.before: list[datetime] = []
        self.begun: list[tuple[str, datetime]] = []

    async def due(self, repeat_before: datetime) -> Sequence[WakeOfPerson]:
        self.before.append(repeat_before)
        return list(self.wakes)

    async def revocations(self, repeat_before: datetime) -> Sequence[WakeOfPerson]:
        self.before.append(repeat_before)
        return list(self.revoked)

    async def revocation_woken(self, person: str, at: datetime) -> None:
        self.begun.append((person, at))


class Runs:
    def __init__(self) -> None:
        self.away, self.woken = False, []  # type: tuple[bool, list[WakeOfPerson]]
        self.slow: dict[str, asyncio.Event] = {}  # until when Temporal takes its time with a process
        self.full: dict[str, str] = {}  # whose case takes in no more, of which process
        self.looked, self.asked = set[str](), 0

    async def wake(self, wake: WakeOfPerson, *, look: bool = False) -> None:
        self.asked += 1
        if (slow := self.slow.get(wake.process)) is not None:
            await slow.wait()
        if self.away:
            raise Unavailable("Temporal does not answer", system="temporal")
        if self.full.get(wake.person) == wake.process:
            raise Rejected("Temporal does not do it (invalid_argument)", code="not-taken", system="temporal")
        if look:
            self.looked.add(wake.person)
        self.woken.append(wake)


async def test_everybody_who_is_to_look_is_woken_in_order_and_a_begun_revocation_is_marked() -> None:
    waiting, runs = Waiting(REVOKED, ACCESS, CASE), Runs()
    loop = PeopleWakes(waiting, runs, lambda: NOON)
    await loop.once()
    assert runs.woken == [ACCESS, CASE] and waiting.begun == []
    await loop.revoke()
    assert runs.woken == [ACCESS, CASE, REVOKED]
    assert waiting.begun == [("person-0001", NOON)]
    assert waiting.before == [NOON - timedelta(minutes=1)] * 2


async def test_a_revocation_is_begun_while_a_round_of_others_is_under_way() -> None:
    waiting, runs = Waiting(REVOKED, ACCESS, CASE), Runs()
    runs.slow["clinician_access"] = asyncio.Event()
    loop = PeopleWakes(waiting, runs, lambda: NOON)
    others = asyncio.create_task(loop.once())
    async with asyncio.timeout(60):
        await loop.revoke()
    assert runs.woken == [REVOKED] and not others.done()
    runs.slow["clinician_access"].set()
    await others
    assert runs.woken == [REVOKED, ACCESS, CASE]


async def test_many_revocations_are_all_begun_and_one_that_cannot_be_holds_up_no_other() -> None:
    many = [REVOKED.model_copy(update={"person": f"person-{number:04d}"}) for number in range(25)]
    waiting, runs = Waiting(*many), Runs()
    runs.full = {"person-0003": "clinician_revocation"}
    await PeopleWakes(waiting, runs, lambda: NOON).revoke()
    begun = sorted(one.person for one in many if one.person != "person-0003")
    assert sorted(one.person for one in runs.woken) == begun
    assert sorted(person for person, _ in waiting.begun) == begun


async def test_while_temporal_is_away_they_wait_and_no_revocation_is_marked_as_begun() -> None:
    waiting, runs = Waiting(REVOKED, ACCESS), Runs()
    runs.away = True
    clock = [NOON]
    loop = PeopleWakes(waiting, runs, lambda: clock[0])
    await loop.revoke()
    await loop.once()
    assert runs.woken == [] and waiting.begun == []
    runs.away = False
    clock[0] += timedelta(seconds=4)
    await loop.revoke()
    await loop.once()
    assert runs.woken == [REVOKED, ACCESS]


async def test_one_case_that_cannot_be_told_holds_up_nobody_else() -> None:
    """Its history has taken in all the signals it can, say: whoever comes after it is woken all the same."""
    waiting, runs = Waiting(ACCESS, CASE), Runs()
    runs.full = {ACCESS.person: "clinician_access"}
    await PeopleWakes(waiting, runs, lambda: NOON).once()
    assert runs.woken == [CASE]


async def test_where_temporal_is_away_not_everybody_is_tried() -> None:
    waiting, runs = Waiting(*(ACCESS.changed(person=f"person-{n:04}") for n in range(50))), Runs()
    runs.away = True
    await PeopleWakes(waiting, runs, lambda: NOON).once()
    assert runs.asked == 3


async def test_who_never_looks_gets_ever_fewer_signals_and_is_looked_at() -> None:
    clock, waiting, runs = [NOON], Waiting(ACCESS.changed(since=NOON)), Runs()
    wakes = PeopleWakes(waiting, runs, lambda: clock[0])
    for _ in range(12 * 3600 // 2):  # half a day of rounds
        await wakes.once()
        clock[0] += timedelta(seconds=2)
    assert 60 < len(runs.woken) < 90
    assert runs.looked == {ACCESS.person}


async def test_what_is_asked_for_anew_is_woken_at_once_however_often_it_was_before() -> None:
    clock, waiting, runs = [NOON], Waiting(ACCESS.changed(since=NOON)), Runs()
    wakes = PeopleWakes(waiting, runs, lambda: clock[0])
    for _ in range(300):
        await wakes.once()
        clock[0] += timedelta(seconds=2)
    before, waiting.wakes = len(runs.woken), [ACCESS.changed(since=clock[0])]
    await wakes.once()
    assert len(runs.woken) == before + 1


async def test_behind_two_hundred_that_do_not_look_the_others_have_their_turn() -> None:
    stuck = [ACCESS.changed(person=f"stuck-{n:04}", since=NOON) for n in range(250)]
    clock, waiting, runs = [NOON], Waiting(*stuck, ACCESS.changed(since=NOON)), Runs()
    wakes = PeopleWakes(waiting, runs, lambda: clock[0])
    for _ in range(3):
        await wakes.once()
        clock[0] += timedelta(seconds=2)
    assert ACCESS.person in {wake.person for wake in runs.woken}


def test_each_process_is_begun_under_its_one_name() -> None:
    names = [_start(wake).case_id for wake in (REVOKED, ACCESS, CASE)]
    assert names == [
        "clinician_revocation/person-0001",
        "clinician_access/person-0002",
        "clinician_onboarding/NGH/person-0002",
    ]
    with pytest.raises(Rejected):
        _start(WakeOfPerson(process="payroll", person="person-0001"))
