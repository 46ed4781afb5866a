"""Nothing that stands still in the engine stays unseen, however many cases there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from canonical.errors import Unavailable
from canonical.ports import Unmatched
from canonical.steps import OrderEnded
from store.cases import EndedChild
from store.open_cases import ClaimPlace, OpenCase
from workers.loops.engine_runs import Page
from workers.loops.engine_sweep import BATCH, OPEN_BATCHES, EngineSweep

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


class Engine:
    """The read model's open cases, and how Temporal sees them: each question counted, each within its bound."""

    def __init__(self) -> None:
        self.now = NOW
        self.book: dict[str, OpenCase] = {}
        self.silent: dict[str, OpenCase] = {}
        self.numbered: dict[str, list[str]] = {}  # orders without a claim, by their requisition
        self.listed: set[str] = set()
        self.failing_: set[str] = set()
        self.ended: dict[str, datetime] = {}
        self.runs: dict[str, str] = {}
        self.next: dict[str, str] = {}
        self.told: list[str] = []
        self.unmatched: list[Unmatched] = []
        self.children: list[EndedChild] = []
        self.marks: dict[str, datetime] = {}
        self.questions: list[int] = []  # how many cases each question to Temporal could be about
        self.restart()

    def restart(self) -> None:
        self.sweep = EngineSweep(self, self, self, clock=lambda: self.now)

    def opened(self, case: str, *, run: str = "run-1", seconds: float = 60, stopped: str = "") -> None:
        changed = self.now - timedelta(seconds=seconds)
        self.book[case] = OpenCase(case=case, process="purchase_order", run=run, stopped=stopped, changed_at=changed)

    def hospital(self, count: int) -> list[str]:
        """Many cases, all running."""
        names = [f"purchase_order/NGH/{number:06}" for number in range(count)]
        for name in names:
            self.opened(name)
        self.listed.update(names)
        return names

    def terminated(self, *cases: str) -> None:
        for case in cases:
            self.listed.discard(case)
            self.runs[case] = "terminated"
            self.ended[case] = self.now

    # The read model.

    async def open_among(self, names: Sequence[str]) -> Sequence[OpenCase]:
        return [case for name in names if (case := self.book.get(name) or self.silent.get(name))]

    async def open_page(self, after: str, limit: int) -> Sequence[OpenCase]:
        return [self.book[name] for name in sorted(self.book) if name > after][:limit]

    async def not_begun(self, cases: Sequence[str]) -> Sequence[str]:
        return [order for case in cases for order in self.numbered.get(case, ())]

    async def stopped_page(self, after: str, limit: int) -> Sequence[OpenCase]:
        return [self.book[name] for name in sorted(self.book) if name > after and self.book[name].stopped][:limit]

    async def silent_page(self, after: ClaimPlace, limit: int) -> tuple[Sequence[OpenCase], ClaimPlace | None]:
        waiting = sorted((ClaimPlace(case.changed_at, case.case), case) for case in self.silent.values())
        found = [(place, case) for place, case in waiting if place > after][:limit]
        return [case for _, case in found], found[-1][0] if len(found) == limit else None

    async def mark_stopped(self, case: str, kind: str, *, owner: str, next_action: str) -> bool:
        shown = self.book.get(case) or self.silent.pop(case)
        self.book[case] = shown.model_copy(update={"stopped": kind})
        self.next[case] = f"{owner}: {next_action}"
        return True

    async def mark_running(self, case: str) -> None:
        self.book[case] = self.book[case].model_copy(update={"stopped": ""})

    async def ended_children_not_told(self, older_than: datetime) -> Sequence[EndedChild]:
        return [child for child in self.children if child.ended.case not in self.told]

    async def nobody_to_tell(self, older_than: datetime) -> int:
        return 0

    async def put_unmatched(self, document: Unmatched) -> None:
        self.unmatched.append(document)

    async def child_told(self, case: str) -> None:
        self.told.append(case)

    async def mark(self, name: str) -> datetime | None:
        return self.marks.get(name)

    async def set_mark(self, name: str, at: datetime) -> None:
        self.marks[name] = max(at, self.marks.get(name, at))

    # Temporal.

    async def look(self, cases: Sequence[str]) -> Mapping[str, bool]:
        self.questions.append(len(cases))
        return {case: case in self.failing_ for case in cases if case in self.listed}

    async def failing(self, after: bytes, limit: int) -> Page:
        return self._page(sorted(self.failing_), after, limit)

    async def ended_otherwise(self, since: datetime, until: datetime, after: bytes, limit: int) -> Page:
        return self._page(sorted(case for case, at in self.ended.items() if since <= at <= until), after, limit)

    def _page(self, cases: list[str], after: bytes, limit: int) -> Page:
        self.questions.append(limit)
        begin = int(after or b"0")
        more = begin + limit < len(cases)
        return Page(cases[begin : begin + limit], str(begin + limit).encode() if more else b"")

    async def status(self, case: str, run: str = "") -> str:
        self.questions.append(1)
        return self.runs.get(f"{case} {run}" if run else case, "missing")

    async def tell_ended(self, parent: str, ended: OrderEnded) -> bool:
        return parent in self.listed

    async def shown(self, case: str) -> str:
        await self.round()
        return self.book[case].stopped

    async def round(self, count: int = 1) -> None:
        for _ in range(count):
            self.questions.clear()
            await self.sweep.once()
            self.now += timedelta(seconds=20)

    def stopped(self, kind: str = "stopped outside") -> list[str]:
        return sorted(case.case for case in self.book.values() if case.stopped == kind)


@pytest.mark.parametrize("own", ["terminated", "missing"])
async def test_what_became_of_the_cases_own_run_is_said_though_a_repeat_ended_under_its_name(own: str) -> None:
    engine = Engine()
    engine.opened("c")
    engine.runs |= {"c": "completed", "c run-1": own}
    assert await engine.shown("c") == "stopped outside"
    assert engine.next["c"] == f"support: its run is {own}; then: fascia case resume c"


async def test_a_run_that_fails_under_a_cases_name_and_is_no_case_is_listed_once_for_a_person() -> None:
    engine = Engine()
    engine.opened("purchase_order/NGH/PO1")
    engine.failing_ = engine.listed = {"purchase_order/NGH/PO1", "purchase_order/NGH/PO2", "somebody-elses-work"}
    await engine.round(2)
    assert [(one.kind, one.case) for one in engine.unmatched] == [("run", "purchase_order/NGH/PO2")]
    assert engine.stopped("engine fault") == ["purchase_order/NGH/PO1"]


async def test_a_run_of_nobody_we_know_that_holds_an_orders_name_is_listed_once_for_a_person() -> None:
    engine = Engine()
    for case, seconds in (("procure_to_pay/NGH/desk/R-1", 700), ("procure_to_pay/NGH/desk/R-2", 60)):
        engine.opened(case, seconds=seconds)
        engine.listed.add(case)
    engine.numbered = {
        "procure_to_pay/NGH/desk/R-1": ["purchase_order/NGH/PO1", "purchase_order/NGH/PO2"],
        "procure_to_pay/NGH/desk/R-2": ["purchase_order/NGH/PO3"],
    }
    engine.runs = {"purchase_order/NGH/PO1": "running", "purchase_order/NGH/PO3": "running"}
    await engine.round(2)
    assert [(one.kind, one.case) for one in engine.unmatched] == [("run", "purchase_order/NGH/PO1")]
    assert "the order cannot begin" in engine.unmatched[0].reason
    assert engine.stopped() == []


@pytest.mark.parametrize("status", ["terminated", "failed", "timed out", "canceled", "completed", "missing"])
async def test_an_open_case_without_a_run_is_shown_as_stopped_outside_with_what_to_do(status: str) -> None:
    engine = Engine()
    engine.opened("c")
    engine.runs["c"] = engine.runs["c run-1"] = status
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
    page, engine.book["c"] = [engine.book["c"]], engine.book.pop("c")

    async def closes(after: str, limit: int) -> Sequence[OpenCase]:
        engine.book.clear()
        engine.runs["c"] = "completed"
        return page

    engine.open_page = closes  # type: ignore[method-assign]
    await engine.round()
    assert engine.next == {}


async def test_a_case_only_announced_is_given_time_to_start_but_a_killed_first_run_is_seen_at_once() -> None:
    engine = Engine()
    engine.opened("announced", run="")
    engine.opened("forgotten", run="", seconds=300)
    engine.opened("killed", run="")
    engine.runs["killed"] = "terminated"
    await engine.round()
    assert engine.stopped() == ["forgotten", "killed"]


async def test_a_claim_that_never_became_a_case_anyone_sees_is_found_when_its_run_is_gone() -> None:
    engine = Engine()
    for number in range(2500):
        engine.opened(f"silent-{number:04}", seconds=10_000 - number)
    engine.silent, engine.book = engine.book, {}
    engine.listed = set(engine.silent) - {"silent-2400"}
    await engine.round(3)
    assert engine.stopped() == ["silent-2400"]


async def test_with_a_hundred_thousand_open_cases_a_round_asks_for_few_of_them_and_finds_each_stopped_one_in_the_next() -> (
    None
):
    engine = Engine()
    names = engine.hospital(100_000)
    await engine.round()
    engine.terminated(names[77_777])
    engine.failing_.add(names[99_999])
    await engine.round()
    assert engine.stopped() == [names[77_777]]
    assert engine.stopped("engine fault") == [names[99_999]]
    assert sum(size for size in engine.questions if size <= BATCH) <= (OPEN_BATCHES + 1) * BATCH
    assert len(engine.questions) < OPEN_BATCHES + 7, "questions to Temporal"


@pytest.mark.parametrize(("cases", "rounds"), [(5_000, 1), (15_000, 3)])
async def test_what_no_list_tells_is_found_within_a_minute_among_fifteen_thousand_open_cases(
    cases: int, rounds: int
) -> None:
    engine = Engine()
    names = engine.hospital(cases)
    for lost in (names[5], names[-5]):  # deleted in Temporal
        engine.listed.discard(lost)
    await engine.round()
    assert names[5] in engine.stopped()
    await engine.round(rounds - 1)
    assert engine.stopped() == [names[5], names[-5]]
    engine.listed.discard(names[-4])
    await engine.round(rounds + 1)
    assert engine.stopped() == [names[5], names[-5], names[-4]], "the pass never ends"


async def test_what_was_stopped_while_no_loop_ran_is_found_first() -> None:
    engine = Engine()
    names = engine.hospital(20_000)
    await engine.round()
    engine.now += timedelta(hours=7)
    engine.terminated(names[19_000])
    engine.now += timedelta(hours=7)
    engine.restart()
    await engine.round()
    assert engine.stopped() == [names[19_000]]


async def test_a_run_that_temporals_list_shows_late_is_still_found() -> None:
    engine = Engine()
    names = engine.hospital(20_000)
    await engine.round()
    late = engine.now
    await engine.round(3)
    engine.terminated(names[19_000])
    engine.ended[names[19_000]] = late  # ended then, listed only now
    await engine.round()
    assert engine.stopped() == [names[19_000]]


async def test_thousands_stopped_at_once_are_all_shown_round_by_round() -> None:
    engine = Engine()
    names = engine.hospital(5_000)
    await engine.round()
    engine.terminated(*names)
    await engine.round()
    assert 2_000 <= len(engine.stopped()) <= 3_000
    await engine.round(2)
    assert engine.stopped() == names


async def test_when_the_server_forgets_a_place_in_its_list_the_sweep_begins_it_anew() -> None:
    engine = Engine()
    names = engine.hospital(5_000)
    engine.failing_.update(names)
    await engine.round()
    plain = engine.failing

    async def forgot(after: bytes, limit: int) -> Page:
        if after == b"2000":  # where the first round left off
            raise Unavailable("no such page")
        return await plain(after, limit)

    engine.failing = forgot  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await engine.round()
    engine.failing = plain  # type: ignore[method-assign]
    await engine.round(3)
    assert engine.stopped("engine fault") == names


async def test_thousands_that_fail_and_are_mended_are_shown_and_no_longer_shown() -> None:
    engine = Engine()
    names = engine.hospital(3_000)
    engine.failing_.update(names)
    await engine.round(2)
    assert engine.stopped("engine fault") == names
    engine.failing_.clear()
    await engine.round(4)
    assert engine.stopped("engine fault") == []


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
