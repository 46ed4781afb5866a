"""The report of measurements: ratios are of medians and of pairs, targets are judged, and what was written by hand stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import report
from bench.cpu import of_process, spent, together
from bench.figures import Found, Previewed, Probing, Recalled, Round, Spread, Start, Usual
from bench.probing import requisition

STORE = "postgresql, visibility sqlite"


def one(rate: float, cpu: float) -> Round:
    """A round of 100 at this rate, at so many CPU milliseconds each, and as many again for who called."""
    parts = {"temporal": cpu / 2, "probe": cpu / 4, "database: our store": cpu / 4, "driver": cpu, "stub_erp": 1.0}
    return Round(count=100, wall=100 / rate, each=0.5, cpu=parts, others=0.1)


def probing(callers: int = 16, ours: tuple[float, ...] = (8.0, 7.5, 9.0), cpu: float = 120.0) -> Probing:
    return Probing(
        at="2026-01-01T00:00+00:00",
        temporals_store=STORE,
        callers=callers,
        bare=[one(rate, 100.0) for rate in (10.0, 9.0, 11.0)],
        ours=[one(rate, cpu) for rate in ours],
    )


def usual(rate: float = 2.0) -> Usual:
    events = {"requisition": 40.0, "order": 62.5}
    return Usual(at="then", temporals_store=STORE, erp="stub", callers=8, rounds=[one(rate, 500.0)], events=events)


def text(found: Found) -> str:
    return "\n".join(report.lines(found))


def test_a_ratio_is_of_the_medians_and_of_each_pair() -> None:
    ratio = report.ratio(probing(), "rate")
    assert ratio.of_medians == pytest.approx(0.8)
    assert [ratio.pairs.least, ratio.pairs.most] == pytest.approx([0.8, 7.5 / 9])


def test_who_calls_and_who_is_called_are_shown_but_not_counted() -> None:
    assert one(10.0, 100.0).platform_ms == pytest.approx(100.0)
    assert report.ratio(probing(), "cpu").of_medians == pytest.approx(1.2)
    written = text(Found(machine={}, probing=[probing()]))
    assert "| (driver) | 100.0 | 120.0 |" in written


def test_a_target_is_judged_met_or_missed() -> None:
    good = text(Found(machine={}, probing=[probing()]))
    assert good.count("| met |") == 2 and "missed" not in good
    bad = text(Found(machine={}, probing=[probing(ours=(6.0, 6.0, 6.0), cpu=151.0)]))
    assert bad.count("**missed**") == 2


def test_a_figure_is_a_median_with_the_least_and_the_most() -> None:
    assert Spread.of([3.0, 1.0, 2.0]).text() == "2.0 (1.0 to 3.0)"


def test_every_figure_names_temporals_store() -> None:
    start = Start(at="then", temporals_store=STORE, what="again", seconds=[5.25])
    written = text(Found(machine={"Python": "3.11"}, probing=[probing()], usual=[usual()], starts=[start]))
    assert written.count(f"Temporal's store: {STORE}.") == 3
    assert "102 (40 requisition + 62 order)" in written and "| again | 5.2 |" in written


def test_a_part_that_is_not_measured_again_stays(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    report.keep(Found(machine={"Python": "3.11"}).with_parts(probing(), probing(1), usual()), path)
    held = report.last(path)
    assert held is not None
    found = held.with_parts(usual(4.0))
    assert [run.callers for run in found.probing] == [1, 16]
    assert [run.rounds[0].rate for run in found.usual] == [pytest.approx(4.0)]


def test_what_was_written_by_hand_stays_when_the_report_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    report.keep(Found(machine={}, probing=[probing()]), path)
    path.write_text(path.read_text() + "\n## What gained what\n", encoding="utf-8")
    report.keep(Found(machine={}, usual=[usual()]), path)
    written = path.read_text()
    assert "## What gained what" in written and "## Procure to pay" in written and "bare" not in written


def test_time_is_counted_for_each_by_part() -> None:
    assert spent({"api": 1.0}, {"api": 1.5, "new": 0.25}, 100) == {"api": pytest.approx(5.0), "new": pytest.approx(2.5)}
    assert together({"api": 5.0, "driver": 7.0}, without=("driver",)) == pytest.approx(5.0)


def test_a_process_is_known_by_the_time_it_used() -> None:
    before = of_process(os.getpid())
    sum(number * number for number in range(2_000_000))
    assert of_process(os.getpid()) > before


def test_what_is_sent_is_a_requisition_the_register_knows() -> None:
    sent = requisition("R-1")
    assert (sent.number, len(sent.lines), sent.case_id) == ("R-1", 3, "procure_to_pay/NGH/surgery-app/R-1")


def test_a_preview_is_judged_by_its_slowest_round() -> None:
    def said(*seconds: float) -> str:
        one = Previewed(
            at="then", temporals_store="none", messages=10_000, seconds=seconds, outcomes={"new effect": 7000}
        )
        return text(Found(machine={}).with_parts(one))

    assert "| 10000 | 12.0 (11.0 to 13.0) | under 30 for 10000 | yes | 7000 new effect |" in said(12.0, 11.0, 13.0)
    assert "| no |" in said(12.0, 31.0)


def test_a_recall_is_judged_by_its_slowest_round() -> None:
    def said(*seconds: float) -> str:
        counts = {"uses": 1_000_000, "matches": 9_000, "tasks": 800}
        one = Recalled(at="then", temporals_store="none", what="lots", seconds=seconds, again=(0.5,), **counts)
        return text(Found(machine={}).with_parts(one))

    assert "| lots | 1000000 | 9000 | 800 | 12.00 (11.00 to 13.00) | under 60 | yes | 0.50" in said(12.0, 11.0, 13.0)
    assert "| under 60 | no |" in said(12.0, 61.0)
