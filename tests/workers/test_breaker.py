"""When a target is not called: rules by the clock alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from store.standing import CLOSED, HALF_OPEN, OPEN, Standing
from workers.loops.breaker import Breaker, Rate

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BREAKER = Breaker(open_after=3, wait=30 * SECOND)
FRESH = Standing(channel="LAB")


def failed(times: int, standing: Standing = FRESH) -> Standing:
    for turn in range(times):
        standing = BREAKER.failed(standing, NOON + turn * SECOND, "does not answer")
    return standing


def test_it_opens_after_as_many_failures_in_a_row_as_the_row_says() -> None:
    assert failed(2).breaker == CLOSED and BREAKER.due(failed(2)) is None
    opened = failed(3)
    assert (opened.breaker, opened.openings, opened.error) == (OPEN, 1, "does not answer")
    assert BREAKER.due(opened) == NOON + 2 * SECOND + 30 * SECOND


def test_an_answer_between_failures_begins_the_count_anew() -> None:
    assert failed(2, BREAKER.answered(failed(2))).breaker == CLOSED


def test_an_open_one_lets_one_probe_through_and_no_other_while_that_is_on_its_way() -> None:
    opened = failed(3)
    at = NOON + 60 * SECOND
    probing = BREAKER.calling(opened, at, patience=45 * SECOND)
    assert probing.breaker == HALF_OPEN and BREAKER.due(probing) == at + 45 * SECOND


def test_a_probe_that_is_answered_closes_it() -> None:
    closed = BREAKER.answered(BREAKER.calling(failed(3), NOON + 60 * SECOND))
    assert (closed.breaker, closed.failures, BREAKER.due(closed)) == (CLOSED, 0, None)
    assert closed.openings == 1, "that it was open stays known"


def test_a_probe_that_fails_leaves_it_open_for_as_long_again() -> None:
    at = NOON + 60 * SECOND
    again = BREAKER.failed(BREAKER.calling(failed(3), at), at + SECOND, "does not answer")
    assert (again.breaker, again.openings, again.opened_at) == (OPEN, 1, NOON + 2 * SECOND)
    assert BREAKER.due(again) == at + SECOND + 30 * SECOND


def test_calls_never_pass_the_rate_in_any_second_whoever_counts_from_wherever() -> None:
    rate, standing, at, calls = Rate(3), FRESH, NOON, list[datetime]()
    while len(calls) < 100:
        at = max(at, standing.free_at or at)
        calls.append(at)
        standing = rate.calling(standing, at)
        if len(calls) == 50:
            at += 10 * SECOND  # time in which nothing was sent is not saved up
    for first in calls:
        assert sum(first <= one < first + SECOND for one in calls) <= 3
    assert calls[-1] - calls[0] < 45 * SECOND, "it is used, too"


def test_without_a_rate_nothing_waits() -> None:
    assert Rate(0).calling(FRESH, NOON).free_at is None
