"""What was kept and not routed is routed later: nothing lost, nothing in anybody's way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import structlog

from canonical.errors import Unavailable
from canonical.messages import Kept, NewMessage
from gateway.intake import REQUISITION, Intake
from tests import build
from tests.fakes.store import FakeCases
from tests.gateway.fakes import FakeEngine, NotingJournal
from workers.loops.routing_sweep import GIVE_UP_AFTER, RoutingSweep

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


class Routing:
    """A journal with requisitions that were kept and not routed."""

    def __init__(self) -> None:
        self.journal = NotingJournal()
        self.engine = FakeEngine()
        self.cases = FakeCases(self.journal)
        self.intake = Intake(self.journal, self.cases, self.engine)
        self.now = NOW
        self.sweep = RoutingSweep(self.journal, self.intake, clock=lambda: self.now)

    async def kept(self, count: int, *, age: float = 60, kind: str = REQUISITION) -> None:
        for _ in range(count):
            data = build.requisition().model_dump_json().encode()
            at = self.now - timedelta(seconds=age)
            await self.journal.keep(NewMessage(door="rest", data=data, kind=kind, key=build.unique("k"), at=at))

    def states(self) -> list[str]:
        return [message.state for message in self.journal.messages.values()]


async def test_what_was_kept_and_not_routed_is_routed() -> None:
    house = Routing()
    await house.kept(3)
    await house.sweep.once()
    assert house.states() == ["routed"] * 3
    assert len(house.engine.started) == 3


async def test_what_its_own_door_is_busy_with_is_left_alone() -> None:
    house = Routing()
    await house.kept(1, age=2)
    await house.sweep.once()
    assert house.states() == ["received"]


async def test_while_temporal_is_away_the_sweep_stops_trying_and_forgets_nothing() -> None:
    house = Routing()
    await house.kept(20)
    house.engine.away = True
    await house.sweep.once()
    assert house.states().count("validated") == GIVE_UP_AFTER
    house.engine.away = False
    house.now += timedelta(minutes=10)
    await house.sweep.once()
    assert house.states() == ["routed"] * 20


async def test_a_message_that_cannot_go_on_never_stands_in_the_way_of_others() -> None:
    house = Routing()

    async def never(message: object) -> None:
        raise Unavailable("its partner has no row")

    house.intake.add_route("stuck", never)
    await house.kept(GIVE_UP_AFTER, kind="stuck")
    await house.kept(1, age=30)
    await house.sweep.once()
    assert house.states()[-1] == "routed"


async def stuck(house: Routing, count: int, *, age: float = 7200) -> None:
    """As many messages that cannot go on."""

    async def never(message: object) -> None:
        raise Unavailable("its partner has no row")

    house.intake.add_route("stuck", never)
    await house.kept(count, kind="stuck", age=age)


async def test_however_many_cannot_go_on_what_comes_after_them_is_routed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.loops.routing_sweep.PAGE", 5)
    house = Routing()
    await stuck(house, 23)
    await house.kept(1)
    for _ in range(5):  # pages
        await house.sweep.once()
        house.now += timedelta(seconds=5)
    assert house.states()[-1] == "routed"


async def test_what_was_passed_over_is_tried_again_and_goes_on_when_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.loops.routing_sweep.PAGE", 5)
    house = Routing()
    await stuck(house, 23)
    for _ in range(20):
        await house.sweep.once()
        house.now += timedelta(seconds=5)

    async def goes_on(message: Kept) -> None:
        await house.journal.mark(message.id, "routed")

    house.intake.add_route("stuck", goes_on)
    for _ in range(6):  # pages, and one that was begun
        house.now += timedelta(minutes=5)
        await house.sweep.once()
    assert house.states() == ["routed"] * 23


async def test_a_message_that_waits_for_hours_is_told_once() -> None:
    house = Routing()
    await stuck(house, 1, age=3000)
    with structlog.testing.capture_logs() as told:
        for _ in range(120):
            await house.sweep.once()
            house.now += timedelta(minutes=1)
    (alert,) = [one for one in told if one.get("alert")]
    assert (alert["event"], alert["kind"]) == ("message waits long", "stuck")


async def test_a_kind_nobody_reads_becomes_a_dead_letter_for_a_person() -> None:
    house = Routing()
    await house.kept(1, kind="fax")
    await house.sweep.once()
    assert house.states() == ["dead"]
    assert len(house.cases.unmatched) == 1


async def test_what_reads_wrongly_is_refused_with_the_reason() -> None:
    house = Routing()
    await house.journal.keep(
        NewMessage(door="rest", data=b"{}", kind=REQUISITION, key="k", at=NOW - timedelta(hours=1))
    )
    await house.sweep.once()
    (message,) = house.journal.messages.values()
    assert message.state == "refused"
    assert "facility" in message.reason
