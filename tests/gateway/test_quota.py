"""A quota holds over all doors that serve a sender, without a question for each message."""

from __future__ import annotations

import asyncio

import pytest

from canonical.errors import Unavailable
from canonical.messages import NewMessage
from formats import fhir
from gateway.directory import Directory
from gateway.fhir_door import FhirDoor, Wish
from gateway.gates import forget_idle
from gateway.keeping import Line, NotKept, Place
from gateway.quota import Gate
from tests.fakes.store import FakeCases
from tests.gateway.fhir_house import REQUEST, WARD
from tests.gateway.hl7_house import Journal, Senders


class Budget:
    """What a sender may send, in all; ``asked`` is how often somebody did."""

    def __init__(self, left: int, wait: float = 0.05) -> None:
        self.left = left
        self.wait = wait
        self.asked = 0
        self.away = False

    async def take(self, key: str, per_minute: int, most: int) -> tuple[int, float]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        granted = min(most, self.left)
        self.left -= granted
        return granted, self.wait


def line_up(line: Line, count: int, sender: str = "WARD") -> list[Place]:
    return [
        line.join([NewMessage(door="mllp", data=b"%d" % n, sender=sender)], sender=sender, per_minute=6000)
        for n in range(count)
    ]


async def test_two_doors_let_through_together_what_one_may_and_ask_once_for_many() -> None:
    budget = Budget(300, wait=0.5)
    doors = [Line(Journal(), patience=3.0, allowance=budget) for _ in range(2)]
    places = [(door, place) for door in doors for place in line_up(door, 200)]
    told = await asyncio.gather(*(door.kept(place) for door, place in places), return_exceptions=True)
    kept = [one for one in told if not isinstance(one, BaseException)]
    late = [one for one in told if isinstance(one, NotKept)]
    assert (len(kept), len(late)) == (300, 100)
    assert {one.code for one in late} == {"over-quota"}
    assert budget.asked < 40
    for door in doors:
        await door.close()


async def test_what_waits_at_its_gate_goes_on_in_order_when_there_is_something_again() -> None:
    budget, journal = Budget(0), Journal()
    line = Line(journal, patience=5, allowance=budget)
    places = line_up(line, 250)
    await asyncio.sleep(0.01)
    assert not journal.messages
    budget.left = 1000
    await asyncio.gather(*(line.kept(place) for place in places))
    assert [one.data for one in journal.messages.values()] == [b"%d" % n for n in range(250)]
    await line.close()


async def test_who_waited_for_a_quota_that_is_taken_away_goes_before_what_comes_then() -> None:
    journal = Journal()
    line = Line(journal, patience=5, allowance=Budget(0))
    places = line_up(line, 3)
    await asyncio.sleep(0.01)
    places.append(line.join([NewMessage(door="mllp", data=b"3", sender="WARD")], sender="WARD"))
    await asyncio.gather(*(line.kept(place) for place in places))
    assert [one.data for one in journal.messages.values()] == [b"0", b"1", b"2", b"3"]
    await line.close()


async def test_while_our_database_is_away_nobody_is_told_that_it_sent_too_much() -> None:
    budget = Budget(100)
    budget.away = True
    line = Line(Journal(), patience=0.1, allowance=budget)
    with pytest.raises(NotKept) as told:
        await line.kept(line_up(line, 1)[0])
    assert told.value.code == "not-kept" and "database" in told.value.message
    await line.close()


async def test_a_frame_of_many_goes_through_whole_and_is_paid_for_by_those_behind_it() -> None:
    budget = Budget(101)
    line = Line(Journal(), patience=2.0, allowance=budget)
    many = [NewMessage(door="mllp", data=b"%d" % n) for n in range(150)]
    whole = line.join(many, sender="WARD", per_minute=6000)
    behind = line_up(line, 1)[0]
    assert len(await line.kept(whole)) == 150
    with pytest.raises(NotKept):
        await line.kept(behind)
    await line.close()


async def test_strangers_are_counted_here_and_take_no_row_of_our_database() -> None:
    budget = Budget(0)
    line = Line(Journal(), allowance=budget)
    (place,) = line_up(line, 1, "?10.9.9.9")
    await line.kept(place)
    assert budget.asked == 0
    await line.close()


async def test_a_strangers_large_messages_count_for_several_and_a_senders_do_not() -> None:
    journal = Journal()
    line = Line(journal, patience=0.2)
    data = b"x" * 5_000_000
    strangers = [line.join([NewMessage(door="mllp", data=data)], sender="?10.9.9.9", per_minute=600) for _ in range(4)]
    wards = [line.join([NewMessage(door="mllp", data=data)], sender="WARD", per_minute=600) for _ in range(4)]
    told = [await asyncio.gather(*map(line.kept, some), return_exceptions=True) for some in (strangers, wards)]
    assert [sum(isinstance(one, NotKept) for one in some) for some in told] == [2, 0]
    await line.close()


async def test_the_doors_of_fhir_take_from_the_same_budget() -> None:
    budget = Budget(1)
    ward = WARD.changed(per_minute=60)
    doors = []
    for _ in range(2):
        journal = Journal()
        doors.append(FhirDoor(journal, Directory(Senders(ward)), FakeCases(journal), patience=2.0, allowance=budget))
    assert (await doors[0].create(ward, fhir.R5, "SupplyRequest", REQUEST, Wish())).created
    with pytest.raises(NotKept) as told:
        await doors[1].create(ward, fhir.R5, "SupplyRequest", REQUEST, Wish())
    assert told.value.code == "over-quota"
    for door in doors:
        await door.close()


async def test_gates_of_strangers_who_came_and_went_are_forgotten_and_who_waits_is_not() -> None:
    gates: dict[str, Gate[Place]] = {}
    gone: list[Place] = []
    for number in range(20):
        forget_idle(gates, most=10)
        gates[f"?10.0.0.{number}"] = Gate(f"?10.0.0.{number}", 600, gone.append)
        if number == 3:
            for _ in range(60):  # more than comes through at once
                gates["?10.0.0.3"].enter(Place([NewMessage(door="mllp", data=b"a")], ""))
    assert len(gates) <= 11 and "?10.0.0.3" in gates and len(gone) == 50
    left = list(gates)
    gates["?10.0.0.3"].close()
    forget_idle(gates, most=len(left) + 1)
    assert list(gates) == left, "below the bound nothing is looked at"
