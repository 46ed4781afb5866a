"""What is measured of clinicians' cases is shown with its floor and judged, and kept beside the other parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.figures import Clinicians, Deeds, Found, Revoked
from bench.people_report import percentile

WHEN: dict[str, Any] = {"at": "2026-01-01T00:00+00:00", "temporals_store": "postgresql"}


def revoked(*confirmed: float, **more: Any) -> Revoked:
    told: dict[str, Any] = {"what": "calls at once", "open": 1000, "apart": 20, "beside": 0}
    told |= {"blocked": [0.1 for _ in confirmed], "off": [0.5 for _ in confirmed], "confirmed": list(confirmed)}
    return Revoked(**WHEN, **told | more)


def clinicians(**more: Any) -> Clinicians:
    told: dict[str, Any] = {"people": 1000, "opened": 1000, "rate": 2.5, "cached": 1000}
    told |= {"cpu": {"worker": 500.0, "temporal": 200.0, "stub_targets": 9.0, "driver": 20.0}}
    told |= {"before": {"worker": 100.0, "temporal": 200.0}, "after": {"worker": 300.0, "temporal": 400.0}}
    told |= {"disk": {"fascia": 100.0}, "idle": {"worker": 0.01}, "idle_seconds": 30}
    return Clinicians(**WHEN, **told | {"again": 50.0, "restarted": 100.0} | more)


def deeds(**more: Any) -> Deeds:
    told: dict[str, Any] = {"what": "a physician", "days": 365, "seconds": 300, "steps": {"look_target": 1095}}
    told |= {"events": {"access": 9000}, "runs": {"access": 3}, "longest": {"access": 4100}, "bytes": {"access": 2**20}}
    told |= {"replayed": {"access": [0.5, 0.6]}, "deeds": {"on leave": {"access": 30}}, "quiet": {"access": 24.0}}
    return Deeds(**WHEN, **told | more)


def text(*parts: Any) -> str:
    return "\n".join(report.lines(Found(machine={}).with_parts(*parts)))


def test_a_percentile_of_few_is_the_most_of_them() -> None:
    hundred = [float(value) for value in range(100, 0, -1)]
    assert (percentile(hundred, 0.5), percentile(hundred, 0.99)) == (50.0, 99.0)
    assert percentile([3.0, 9.0, 1.0], 0.99) == 9.0
    assert percentile([7.0], 0.5) == 7.0


def test_a_revocation_is_met_where_all_were_confirmed_in_time_and_shows_the_floor_in_it() -> None:
    shown = text(revoked(20.5, 22.0, 59.9))
    assert "| 3 | 1,000 | 0.10, 0.10, 0.10 | 0.50, 0.50, 0.50 | 22.00, 59.90, 59.90 | 20 | all under 60: met |" in shown


@pytest.mark.parametrize("confirmed", [(20.5, 60.1), ()])
def test_one_that_was_not_confirmed_in_time_is_a_miss(confirmed: tuple[float, ...]) -> None:
    assert text(revoked(*confirmed)).count("**missed**") == 1


def test_the_rows_of_revocations_stand_beside_each_other_and_the_same_is_measured_anew() -> None:
    found = Found(machine={}).with_parts(revoked(20.0), revoked(21.0, what="a call, one by one"))
    assert [one.what for one in found.revoked] == ["a call, one by one", "calls at once"]
    assert found.with_parts(revoked(30.0)).revoked[1].confirmed == [30.0]


def test_memory_is_of_what_was_opened_in_this_run_and_of_the_worker_of_what_it_keeps() -> None:
    shown = text(clinicians())
    assert "| worker | 500 | 100 | 300 | 205 | 0.010 |" in shown  # 200 MiB for the thousand that it keeps
    assert "| temporal | 200 | 200 | 400 | 102 |  |" in shown  # for all two thousand
    assert "| 1,000, 2,000 | 1,000 | 2.50 | 700 | 50.0 | 100.0 | 2.00 |" in shown
    assert "stub_targets" not in shown


def test_cases_that_were_open_before_cost_nothing_in_this_run() -> None:
    shown = text(clinicians(opened=0, rate=0.0, cpu={}))
    assert "| worker |  | 100 | 300 |  | 0.010 |" in shown


def test_a_played_life_says_how_much_of_a_year_it_was_and_what_each_deed_brought() -> None:
    shown = text(deeds(days=200))
    assert "| a physician, 200 of 365 days | access | aim |" in shown
    assert "| events of: on leave | 30 |  |" in shown and "| events of a quiet day | 24.0 |" in shown
    assert "under 1: met" in shown and "1,095 look_target" in shown
    assert "all of its history" not in shown and "| all of its history | 2,048 KiB |" in text(
        deeds(held={"access": 2**21})
    )
    assert "under 1: **missed**" in text(deeds(replayed={"access": [0.5, 1.2]}))


def test_all_of_it_is_kept_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    report.keep(Found(machine={}).with_parts(revoked(20.0), clinicians(), deeds()), file)
    last = report.last(file)
    assert last is not None
    assert (last.revoked, last.clinicians, last.deeds) == ([revoked(20.0)], [clinicians()], [deeds()])
