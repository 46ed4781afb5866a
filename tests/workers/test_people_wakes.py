"""The loop that wakes people's cases: revocations first, in order, and nothing is lost while Temporal is away."""

from __future__ import annotations

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
        self.wakes, self.before = list(wakes), []  # type: tuple[list[WakeOfPerson], list[datetime]]
        self.begun: list[tuple[str, datetime]] = []

    async def due(self, repeat_before: datetime) -> Sequence[WakeOfPerson]:
        self.before.append(repeat_before)
        return list(self.wakes)

    async def revocation_woken(self, person: str, at: datetime) -> None:
        self.begun.append((person, at))


class Runs:
    def __init__(self) -> None:
        self.away, self.woken = False, []  # type: tuple[bool, list[WakeOfPerson]]

    async def wake(self, wake: WakeOfPerson) -> None:
        if self.away:
            raise Unavailable("Temporal does not answer", system="temporal")
        self.woken.append(wake)


async def test_everybody_who_is_to_look_is_woken_in_order_and_a_begun_revocation_is_marked() -> None:
    waiting, runs = Waiting(REVOKED, ACCESS, CASE), Runs()
    await PeopleWakes(waiting, runs, lambda: NOON).once()
    assert runs.woken == [REVOKED, ACCESS, CASE]
    assert waiting.begun == [("person-0001", NOON)]
    assert waiting.before == [NOON - timedelta(minutes=1)]


async def test_while_temporal_is_away_they_wait_and_no_revocation_is_marked_as_begun() -> None:
    waiting, runs = Waiting(REVOKED, ACCESS), Runs()
    runs.away = True
    await PeopleWakes(waiting, runs, lambda: NOON).once()
    assert runs.woken == [] and waiting.begun == []
    runs.away = False
    await PeopleWakes(waiting, runs, lambda: NOON).once()
    assert runs.woken == [REVOKED, ACCESS]


def test_each_process_is_begun_under_its_one_name() -> None:
    names = [_start(wake).case_id for wake in (REVOKED, ACCESS, CASE)]
    assert names == [
        "clinician_revocation/person-0001",
        "clinician_access/person-0002",
        "clinician_onboarding/NGH/person-0002",
    ]
    with pytest.raises(Rejected):
        _start(WakeOfPerson(process="payroll", person="person-0001"))
