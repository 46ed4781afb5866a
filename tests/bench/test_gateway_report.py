"""The gateway's rows: each aim is judged by what was measured, and a message that is missing or doubled is a miss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.figures import Accept, Against, Found, Idle, Paced, Steps, Volley
from bench.steps import measure
from cli.synthetic.ledger import Summary

WHEN: dict[str, Any] = {"at": "2026-01-01T00:00+00:00", "temporals_store": "postgresql"}


def paced(**other: Any) -> Paced:
    summary = {
        "sent": 1000, "answered": 1000, "answers": {"AA": 1000}, "unanswered": 0, "problems": {}, "seconds": 10.0,
        "rate": 100.0, "p50_ms": 4.0, "p99_ms": 20.0, "longest_ms": 40.0, "late_p99_ms": 30.0,
    } | other.pop("summary", {})  # fmt: skip
    given: dict[str, Any] = {
        "asked": 100, "seconds": 10, "sender_cpu": 0.2, "cpu": {"mllp": 0.5}, "behind": 3, "most_behind": 9, "empty_after": 0.5,
        "routed_a_second": 99, "memory": [100, 101, 102], "missing": 0, "doubled": 0, "strange": 0,
    }  # fmt: skip
    return Paced(**WHEN, summary=Summary(**summary), **given | other)


def volleys(*rates: float) -> Sequence[Volley]:
    return [Volley(rate=rate, p50_ms=1, p99_ms=2, sender_us=100, listener_us=200) for rate in rates]


def against(ours: float = 1500, synced: float = 2000, library: float = 900) -> Against:
    sides = {"ours": volleys(ours), "synced": volleys(synced), "library": volleys(library)}
    return Against(**WHEN, connections=20, **sides)


def text(**parts: Any) -> str:
    return "\n".join(report.lines(Found(machine={}, **parts)))


def test_what_keeps_its_aims_is_met() -> None:
    whole = text(
        paced=[paced()],
        against=[against()],
        accept=[Accept(**WHEN, callers=16, door=[400, 410], echo=[900, 1000])],
        steps=[Steps(**WHEN, answered=[20, 30], checked=[90], bytes=600)],
        idle=[Idle(**WHEN, seconds=60, by_part={"mllp": 0.01, "loops": 0.02})],
    )
    assert whole.count("| met |") == 10 and "missed" not in whole
    assert "0.75 of the medians" in whole and "1.67 of the medians" in whole


@pytest.mark.parametrize(
    "parts",
    [
        {"paced": [paced(missing=1)]},
        {"paced": [paced(doubled=1)]},
        {"paced": [paced(strange=1)]},
        {"paced": [paced(summary={"p99_ms": 100.0})]},
        {"paced": [paced(summary={"rate": 90.0})]},
        {"paced": [paced(summary={"answers": {"AA": 999, "AE": 1}})]},
        {"paced": [paced(memory=[100, 110, 120, 130])]},
        {"paced": [paced(memory=[301, 301, 301])]},
        {"against": [against(ours=950)]},
        {"against": [against(ours=1100, library=1200)]},
        {"accept": [Accept(**WHEN, callers=16, door=[390], echo=[1000])]},
        {"steps": [Steps(**WHEN, answered=[61], checked=[90], bytes=600)]},
        {"steps": [Steps(**WHEN, answered=[20], checked=[151], bytes=600)]},
        {"idle": [Idle(**WHEN, seconds=60, by_part={"mllp": 0.03, "loops": 0.02})]},
    ],
)
def test_what_does_not_is_a_miss(parts: dict[str, Any]) -> None:
    assert text(**parts).count("**missed**") == 1


def test_it_is_kept_and_read_again_with_the_other_parts(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    report.keep(Found(machine={}).with_parts(paced(), against()), file)
    last = report.last(file)
    assert last is not None and last.paced == [paced()]
    assert last.with_parts(paced(missing=2)).paced[0].missing == 2
    assert last.with_parts(paced(missing=2)).against == [against()]


async def test_the_steps_of_a_message_are_measured_on_real_ones() -> None:
    found = await measure(rounds=1, say=lambda _: None)
    assert 0 < found.answered[0] < found.checked[0] * 10 and found.bytes > 200
