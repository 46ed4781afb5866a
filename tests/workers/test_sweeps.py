"""Nothing kept is forgotten, nothing that stands still stays unseen, and no loop dies of what it meets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from canonical.errors import Unavailable
from canonical.ports import NewMessage
from canonical.steps import OrderEnded
from gateway.intake import REQUISITION, Intake
from store.cases import EndedChild, OpenCase
from tests import build
from tests.fakes.store import FakeCases
from tests.gateway.fakes import FakeEngine, NotingJournal
from workers.loops.engine_sweep import EngineSweep
from workers.loops.pace import forever
from workers.loops.routing_sweep import GIVE_UP_AFTER, RoutingSweep

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


# ---- routing --------------------------------------------------------------------------------------------------------


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
    assert house.states()[-1] == "received"
    await house.sweep.once()
    assert house.states()[-1] == "routed"


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


# ---- the engine -----------------------------------------------------------------------------------------------------


class Engine:
    """The read model's open cases, and how Temporal sees them."""

    def __init__(self) -> None:
        self.book: dict[str, OpenCase] = {}
        self.listed: set[str] = set()
        self.failing_: set[str] = set()
        self.runs: dict[str, str] = {}
        self.next: dict[str, str] = {}
        self.told: list[str] = []
        self.children: list[EndedChild] = []
        self.sweep = EngineSweep(self, self, clock=lambda: NOW)

    def opened(self, case: str, *, run: str = "run-1", seconds: float = 60, stopped: str = "") -> None:
        changed = NOW - timedelta(seconds=seconds)
        self.book[case] = OpenCase(case=case, process="purchase_order", run=run, stopped=stopped, changed_at=changed)

    async def open_cases(self) -> Sequence[OpenCase]:
        return list(self.book.values())

    async def mark_stopped(self, case: str, kind: str, *, owner: str, next_action: str) -> bool:
        self.book[case] = self.book[case].model_copy(update={"stopped": kind})
        self.next[case] = f"{owner}: {next_action}"
        return True

    async def mark_running(self, case: str) -> None:
        self.book[case] = self.book[case].model_copy(update={"stopped": ""})

    async def ended_children_not_told(self, older_than: datetime) -> Sequence[EndedChild]:
        return [child for child in self.children if child.ended.case not in self.told]

    async def child_told(self, case: str) -> None:
        self.told.append(case)

    async def running(self) -> set[str]:
        return self.listed

    async def failing(self) -> set[str]:
        return self.failing_

    async def status(self, case: str) -> str:
        return self.runs.get(case, "missing")

    async def tell_ended(self, parent: str, ended: OrderEnded) -> bool:
        return parent in self.listed

    async def shown(self, case: str) -> str:
        await self.sweep.once()
        return self.book[case].stopped


@pytest.mark.parametrize("status", ["terminated", "failed", "timed out", "canceled", "completed", "missing"])
async def test_an_open_case_without_a_run_is_shown_as_stopped_outside_with_what_to_do(status: str) -> None:
    engine = Engine()
    engine.opened("c")
    engine.runs["c"] = status
    assert await engine.shown("c") == "stopped outside"
    assert engine.next["c"] == f"support: its run is {status}; then: fascia case resume c"


async def test_a_case_whose_process_fails_is_an_engine_fault_and_goes_on_when_it_is_healthy() -> None:
    engine = Engine()
    engine.opened("c")
    engine.listed = engine.failing_ = {"c"}
    assert await engine.shown("c") == "engine fault"
    engine.failing_ = set()
    assert await engine.shown("c") == ""


async def test_a_case_that_runs_is_left_alone() -> None:
    engine = Engine()
    engine.opened("c")
    engine.listed = {"c"}
    assert await engine.shown("c") == ""


async def test_temporals_list_being_late_alarms_nobody() -> None:
    engine = Engine()
    engine.opened("new", seconds=2)
    engine.opened("old")
    engine.runs["old"] = "running"
    await engine.sweep.once()
    assert {case.stopped for case in engine.book.values()} == {""}


async def test_a_case_that_ends_while_the_sweep_looks_alarms_nobody() -> None:
    engine = Engine()
    engine.opened("c")
    engine.runs["c"] = "completed"
    book, asked = dict(engine.book), 0

    async def closes() -> Sequence[OpenCase]:
        nonlocal asked
        asked += 1
        return list(book.values()) if asked == 1 else []

    engine.open_cases = closes  # type: ignore[method-assign]
    await engine.sweep.once()
    assert engine.next == {}


async def test_a_case_only_announced_is_given_time_to_start_but_a_killed_first_run_is_seen_at_once() -> None:
    engine = Engine()
    engine.opened("announced", run="")
    engine.opened("forgotten", run="", seconds=300)
    engine.opened("killed", run="")
    engine.runs["killed"] = "terminated"
    await engine.sweep.once()
    assert [case.stopped for case in engine.book.values()] == ["", "stopped outside", "stopped outside"]


async def test_a_stopped_case_that_runs_again_is_no_longer_shown_so() -> None:
    engine = Engine()
    engine.opened("c", stopped="stopped outside")
    engine.listed = {"c"}
    assert await engine.shown("c") == ""


async def test_a_requisition_hears_of_orders_that_ended_while_it_could_not() -> None:
    engine = Engine()
    for number, parent in (("1", "open"), ("2", "stopped")):
        ended = OrderEnded(order=number, case=f"order-{number}", business_state="closed")
        engine.children.append(EndedChild(parent=parent, ended=ended))
    engine.listed = {"open"}
    await engine.sweep.once()
    assert engine.told == ["order-1"]


# ---- how loops run --------------------------------------------------------------------------------------------------


async def rounds(*outcomes: Exception | None, mine: bool = True) -> int:
    """How many rounds a loop made over these outcomes, before it was told to stop."""
    stop, made = asyncio.Event(), 0

    async def once() -> None:
        nonlocal made
        made += 1
        if made == len(outcomes):
            stop.set()
        if outcome := outcomes[made - 1]:
            raise outcome

    @asynccontextmanager
    async def turn(_: str) -> AsyncIterator[bool]:
        if not mine:
            asyncio.get_running_loop().call_later(0.05, stop.set)
        yield mine

    await asyncio.wait_for(forever("test", 0.001, once, stop, turn), 5)
    return made


async def test_a_loop_outlives_outages_and_our_mistakes() -> None:
    assert await rounds(Unavailable("away"), KeyError("bug"), None) == 3


async def test_a_loop_waits_while_it_is_another_process_turn() -> None:
    assert await rounds(None, None, mine=False) == 0


async def test_a_loop_that_is_told_to_stop_ends_at_once() -> None:
    stop = asyncio.Event()

    async def once() -> None:
        stop.set()

    await asyncio.wait_for(forever("test", 3600, once, stop), 1)
