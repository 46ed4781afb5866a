"""A played year says how many of its days were played, and what it must leave behind is what its days say."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench import report
from bench.figures import Found, Year
from bench.year import A_DAY, LATE, OPENING, SPARE, YEAR, day, reckoned
from canonical.usage import UsagePolicy

FIRST = datetime(2025, 11, 23, tzinfo=UTC)


def played(**more: Any) -> str:
    told: dict[str, Any] = {
        "days": 12,
        "states": {"posted": 23_800, "voided": 200},
        "off": {"on hand": 0, "movements": 0, "ERP": 0},
        "charges": 7_900,
        "chargeable": 7_900,
        "replayed": [0.5, 0.6, 0.55],
    }
    measured = {
        "at": "then",
        "temporals_store": "postgresql",
        "what": "2,000 events a day",
        "a_day": A_DAY,
        "rate": 500.0,
    }
    history = {"rounds": 120, "runs": 2, "longest": 800, "bytes": 200 * 1024}
    kept = {"rows": {"charges": 7_950}, "mib": {"charges": 2.0}}
    year = Year(**{**measured, **history, **kept, **told, **more})
    return "\n".join(report.lines(Found(machine={}).with_parts(year)))


def test_a_day_is_the_same_at_every_playing_and_its_uses_come_in_order() -> None:
    events = list(day(3, FIRST))
    assert events == list(day(3, FIRST)) and len({event.number for event in events}) == A_DAY
    assert sorted(event.used_at for event in events) == [event.used_at for event in events]
    assert {event.used_at.date() for event in events} == {datetime(2025, 11, 26, tzinfo=UTC).date()}


def test_what_the_days_leave_is_what_was_reckoned() -> None:
    uses = [event for number in range(3) for event in day(number, FIRST)]
    by_number = {event.number: event for event in uses}
    taken_back = [event.voids_number for event in uses if event.kind == "void"]
    stand = [event for event in uses if event.kind == "use" and event.number not in taken_back]
    used = Counter[str]()
    for event in stand:
        used[event.item] += int(event.amount)
    assert reckoned(3) == (used, sum(bool(event.chargeable) for event in stand))
    assert len(taken_back) == len(set(taken_back)) == 50
    assert {by_number[number].kind for number in taken_back} == {"use"}
    assert {number[:3] for number in taken_back} == {"000", "001", "002"}


def test_a_year_uses_less_of_each_item_than_there_is() -> None:
    used, _ = reckoned(2)
    assert max(used.values()) * 365 < OPENING


def test_no_use_of_the_year_is_too_old_when_it_is_kept_or_too_far_in_the_future() -> None:
    now = datetime(2026, 11, 22, 5, 23, tzinfo=UTC)
    first = now - timedelta(days=LATE) + SPARE
    used = [event.used_at for number in (0, YEAR - 1) for event in day(number, first)]
    assert now - min(used) < timedelta(days=LATE)
    assert max(used) - now < timedelta(minutes=UsagePolicy(facility="NGH").ahead_minutes)


def test_the_report_says_how_many_days_were_played() -> None:
    written = played()
    assert "| played | 12 of 365 days: 24,000 events, 500/s |" in written
    assert written.count(": met |") == 4 and "missed" not in written


@pytest.mark.parametrize(
    "otherwise",
    [
        {"states": {"posted": 23_790, "parked": 10, "voided": 200}},
        {"states": {"posted": 23_700, "voided": 200}},
        {"off": {"on hand": 0, "movements": 0, "ERP": 1}},
        {"charges": 7_899},
        {"replayed": [0.5, 1.1, 0.5]},
    ],
)
def test_an_event_left_a_unit_off_a_charge_too_few_or_a_slow_replay_is_missed(otherwise: dict[str, Any]) -> None:
    written = played(**otherwise)
    assert written.count("**missed**") == 1 and written.count(": met |") == 3
