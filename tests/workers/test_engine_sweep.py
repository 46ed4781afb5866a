"""Nothing that stands still in the engine stays unseen, however many cases there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from canonical.errors import Unavailable
from canonical.steps import OrderEnded
from store.cases import EndedChild
from store.open_cases import OpenCase
from tests.workers.sweep_hospital import Engine
from workers.loops.engine_runs import Page
from workers.loops.engine_sweep import BATCH, OPEN_BATCHES


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
    engine.runs = dict.fromkeys(engine.failing_, "running")
    await engine.round(30)
    assert engine.unmatched == [], "ten minutes have not passed"
    await engine.round(3)
    assert [(one.kind, one.case) for one in engine.unmatched] == [("run", "purchase_order/NGH/PO2")]
    assert engine.stopped("engine fault") == ["purchase_order/NGH/PO1"]


async def test_a_case_of_ours_that_fails_before_its_first_word_is_committed_is_never_called_a_strangers() -> None:
    engine, case = Engine(), "clinician_onboarding/NGH/person-1"
    engine.failing_, engine.runs = {case}, {case: "running"}  # its first task timed out, twice, on a busy worker
    await engine.round(30)
    engine.opened(case, seconds=0)
    engine.listed.add(case)
    await engine.round(3)
    assert engine.unmatched == [] and engine.stopped("engine fault") == [case]


async def test_a_case_that_says_its_first_word_while_it_is_looked_at_again_is_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, case = Engine(), "clinician_access/person-1"
    engine.failing_, engine.runs = {case}, {case: "running"}
    await engine.round(30)
    asked = engine.status

    async def status(name: str, run: str = "") -> str:
        engine.opened(case, seconds=0)  # committed between our question and Temporal's answer
        return await asked(name, run)

    monkeypatch.setattr(engine, "status", status)
    await engine.round(3)
    assert engine.unmatched == [] and case in engine.book


async def test_a_case_that_ended_while_temporals_list_still_says_that_it_fails_is_no_strangers() -> None:
    engine, closed, ended = Engine(), "clinician_access/person-1", "clinician_access/person-2"
    engine.closed, engine.failing_ = {closed}, {closed, ended}
    engine.runs = dict.fromkeys((closed, ended), "completed")
    await engine.round(40)
    assert engine.unmatched == []


async def test_a_case_that_ended_and_whose_new_run_never_gets_to_a_word_is_told_to_a_person() -> None:
    """Whoever left is looked at by short runs; of one that fails our own store has nothing but the end of the one before."""
    engine, again, late = Engine(), "clinician_access/person-1", "clinician_access/person-2"
    engine.closed, engine.failing_ = {again, late}, {again, late}
    engine.runs = dict.fromkeys((again, late), "running")
    await engine.round(30)
    assert engine.unmatched == []
    engine.closed.remove(late)
    engine.opened(late, seconds=0)
    engine.listed.add(late)
    await engine.round(3)
    assert [(one.case, "has ended" in one.reason) for one in engine.unmatched] == [(again, True)]


async def test_a_run_that_failed_hours_apart_is_looked_at_anew_each_time() -> None:
    engine, case = Engine(), "clinician_access/person-1"
    engine.runs = {case: "running"}
    for _ in range(2):
        engine.failing_ = {case}
        await engine.round(3)
        engine.failing_ = set()
        engine.now += timedelta(hours=2)
        await engine.round()
    assert engine.unmatched == []


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
    await engine.round(30)
    assert engine.unmatched == [], "its number may be older than its run, and its run than its first word"
    engine.numbered.pop("procure_to_pay/NGH/desk/R-2")
    await engine.round(3)
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
