"""Writes docs/benchmarks.md from what was measured, and keeps the rounds beside it so that anybody can compute them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench import gateway_report, people_report, usage_report
from bench.figures import (
    NOT_OURS,
    Found,
    Month,
    Previewed,
    Probing,
    Ratio,
    Recalled,
    Round,
    Spread,
    Start,
    Usual,
    spread,
)

RATE_TARGET, CPU_TARGET = 0.7, 1.5
RECALL_TARGET = 60  # seconds over a million uses
PREVIEW_TARGET = 30  # seconds for 10,000 messages
BY_HAND = "<!-- what stands below is written by hand and stays -->"
SHOWN = {
    "probe": "worker",
    "bare": "worker",
    "usual": "worker",
    "worker": "worker",
    "temporal": "Temporal",
    "api": "REST door",
    "mllp": "MLLP door",
}


def keep(found: Found, report: Path) -> None:
    """Write the report and its rounds; what was written by hand under the last report stays."""
    held = report.read_text(encoding="utf-8") if report.exists() else ""
    own = held.partition(BY_HAND)[2].strip("\n")
    report.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines(found)) + f"\n\n{BY_HAND}\n" + (f"\n{own}\n" if own else "")
    report.write_text(text, encoding="utf-8")
    report.with_suffix(".json").write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")


def last(report: Path) -> Found | None:
    """What was measured last, for the parts that are not measured this time."""
    rounds = report.with_suffix(".json")
    return Found.model_validate_json(rounds.read_text(encoding="utf-8")) if rounds.exists() else None


def lines(found: Found) -> Iterator[str]:
    yield "# What the platform costs\n"
    yield "Written by `make bench` (`python -m bench`); every round is in `benchmarks.json`. A figure is the median of its rounds,"
    yield "with the least and the most in brackets. Everything runs on one machine: the callers, the platform, Temporal, PostgreSQL."
    yield "CPU is user and system time of each process over the round and one second after it, divided by the number of workflows.\n"
    yield from _table(("machine", ""), [(name, value) for name, value in found.machine.items()])
    if found.probing:
        yield from _probing(found.probing)
    if found.usual:
        yield from _usual(found.usual)
    yield from usage_report.lines(found)
    yield from gateway_report.lines(found)
    if found.starts:
        yield from _starts(found.starts)
    if found.previews:
        yield from _previews(found.previews)
    if found.recalls:
        yield from _recalls(found.recalls)
    if found.months:
        yield from _months(found.months)
    yield from people_report.lines(found)


def _probing(runs: Sequence[Probing]) -> Iterator[str]:
    yield "\n## Three steps through everything of ours, and the same three steps bare\n"
    yield "Validate (local activity), call an ERP over HTTP (ordinary activity on a queue of its own), record (local activity)."
    yield "**Ours**: `POST /v1/requisitions` with an API key, then journal, claim, Temporal, read model with history and lineage."
    yield "**Bare**: the same steps started through Temporal's client: a strict parse, the same call, one INSERT; a plain client and"
    yield "worker, the same sandbox. Both callers wait for the workflow's result. Rounds alternate within one run, and the side that"
    yield "begins a pair changes.\n"
    rows: list[tuple[str, ...]] = []
    ratios: list[tuple[str, ...]] = []
    for run in runs:
        for side, rounds in (("bare", run.bare), ("ours", run.ours)):
            rate, waited = spread(rounds, lambda one: one.rate), spread(rounds, lambda one: one.each * 1000)
            cpu = spread(rounds, lambda one: one.platform_ms)
            rows.append((str(run.callers), side, rate.text(), waited.text(0), cpu.text(), _others(rounds)))
        rate_ratio, cpu_ratio = ratio(run, "rate"), ratio(run, "cpu")
        ratios.append((f"rate, {run.callers} callers", f"{RATE_TARGET} or more", *_judged(rate_ratio, RATE_TARGET, 1)))
        ratios.append((f"CPU, {run.callers} callers", f"{CPU_TARGET} or less", *_judged(cpu_ratio, CPU_TARGET, -1)))
    titles = (
        "callers",
        "side",
        "workflows/s",
        "ms a caller waits",
        "CPU ms for one",
        "processors used by other programs",
    )
    yield from _table(titles, rows)
    yield ""
    yield from _table(("ours over bare", "target", "of the medians", "of each pair of rounds", ""), ratios)
    yield "\nCPU ms for one, by process (medians; callers and stub ERP are not counted above):\n"
    for run in runs:
        sides = [(f"bare, {run.callers} callers", run.bare), (f"ours, {run.callers} callers", run.ours)]
        yield from _by_part(sides)
        yield ""
    yield _where(runs)


def ratio(run: Probing, what: str) -> Ratio:
    """Ours over bare, in rate or in processor time."""
    return Ratio.of(run.ours, run.bare, (lambda one: one.rate) if what == "rate" else (lambda one: one.platform_ms))


def _judged(found: Ratio, target: float, sign: int) -> tuple[str, str, str]:
    met = (found.of_medians - target) * sign >= 0
    return f"{found.of_medians:.2f}", found.pairs.text(2), "met" if met else "**missed**"


def _usual(runs: Sequence[Usual]) -> Iterator[str]:
    yield "\n## Procure to pay, the usual way\n"
    yield "A requisition of three lines for one supplier over the REST door; approved by a manager; ordered; confirmed (997, 855),"
    yield "shipped, received, billed, paid, reconciled. Real processes and store, requisition and order each a case of its own."
    yield "On the stub ERP a driver plays people and partners: the approval by update, documents by signal, as the doors deliver"
    yield "them. On Tryton nothing is played inside: X12 files over SFTP from the suppliers' program, goods received and payments made"
    yield "in the ERP and found by the watcher, with the demonstration's short clocks (suppliers answer within seconds, the mailbox is"
    yield "looked at every 2 s), so its seconds are waiting; its REST door also answers the driver's looks.\n"
    rows = []
    for run in runs:
        rate, cpu = spread(run.rounds, lambda one: one.rate), spread(run.rounds, lambda one: one.platform_ms)
        waited = spread(run.rounds, lambda one: one.each)
        events = " + ".join(f"{count:.0f} {name}" for name, count in run.events.items())
        total = f"{sum(run.events.values()):.0f} ({events})"
        rows.append((run.erp, str(run.callers), rate.text(2), waited.text(), cpu.text(), total, _others(run.rounds)))
    titles = (
        "ERP",
        "cases at once",
        "cases/s",
        "s for one",
        "CPU ms for one",
        "history events",
        "processors used by others",
    )
    yield from _table(titles, rows)
    yield "\nCPU ms for one case, by process (medians):\n"
    yield from _by_part([(run.erp, run.rounds) for run in runs])
    yield ""
    yield _where(runs)


def _starts(starts: Sequence[Start]) -> Iterator[str]:
    yield "\n## Start-up\n"
    rows = [(one.what, ", ".join(f"{seconds:.1f}" for seconds in one.seconds)) for one in starts]
    yield from _table(("what", "seconds, each try"), rows)
    yield ""
    yield _where(starts)


def _previews(runs: Sequence[Previewed]) -> Iterator[str]:
    yield "\n## What a replay would do, before it is done\n"
    yield "`fascia journal replay --sender WARD --preview`: each message read by the feeds and tables of today and"
    yield "held against the cases. One process; orders of three lines each.\n"
    rows = []
    for run in runs:
        took = Spread.of(run.seconds)
        said = ", ".join(f"{many} {outcome}" for outcome, many in run.outcomes.items())
        judged = "yes" if took.most < PREVIEW_TARGET * run.messages / 10_000 else "no"
        rows.append((str(run.messages), f"{took.text()}", f"under {PREVIEW_TARGET} for 10000", judged, said))
    yield from _table(("messages", "seconds", "aim", "reached", "came to"), rows)
    yield f"\nMeasured {', '.join(run.at for run in runs)}."


def _months(runs: Sequence[Month]) -> Iterator[str]:
    yield "\n## The monthly look at everybody\n"
    yield "An exclusion list replaced, everybody held against it, every licence asked about at a board of ours that allows 1,000"
    yield "questions a second: what is left is our own work. A real board's rate comes on top (5 a second: 34 minutes for 10,000).\n"
    rows = []
    for one in runs:
        calls = ", ".join(f"{source} {many:,}" for source, many in sorted(one.calls.items()))
        took = (Spread.of(one.load), Spread.of(one.hold), Spread.of(one.ask))
        work = (Spread.of(one.cpu_ours), Spread.of(one.cpu_database))
        rows.append((f"{one.people:,}", f"{one.listed:,}", *(part.text() for part in (*took, *work)), calls))
    heads = ("people", "rows of the list", "list replaced, s", "held against it, s", "licences asked, s")
    yield from _table((*heads, "CPU ours, s", "CPU database, s", "calls by source"), rows)


def _recalls(runs: Sequence[Recalled]) -> Iterator[str]:
    yield "\n## A recall\n"
    yield "From `fascia recall load` until each location that holds what is recalled and each procedure that used it has its task."
    yield "`next look`: what the loop asks every few seconds, over all recalls that block something, when nothing is new.\n"
    rows = []
    for run in runs:
        took = Spread.of(run.seconds)
        judged = "yes" if took.most < RECALL_TARGET else "no"
        counts = (str(run.uses), str(run.matches), str(run.tasks))
        aim = f"under {RECALL_TARGET}"
        rows.append((run.what, *counts, took.text(2), aim, judged, Spread.of(run.again).text(2)))
    heads = ("recalled", "uses kept", "matches", "tasks", "seconds", "aim", "reached", "next look, s")
    yield from _table(heads, rows)
    yield f"\nMeasured {', '.join(dict.fromkeys(run.at for run in runs))}."


def _by_part(sides: Sequence[tuple[str, Sequence[Round]]]) -> Iterator[str]:
    """A row for each part, a column for each side."""
    columns = []
    for name, rounds in sides:
        column: dict[str, float] = {}
        for part in rounds[0].cpu:
            shown = SHOWN.get(part, part)
            column[shown] = column.get(shown, 0.0) + median(one.cpu.get(part, 0.0) for one in rounds)
        columns.append((name, column))
    parts = sorted({part for _, column in columns for part in column}, key=lambda part: (part in NOT_OURS, part))
    rows = [
        (part if part not in NOT_OURS else f"({part})", *(f"{column.get(part, 0.0):.1f}" for _, column in columns))
        for part in parts
    ]
    yield from _table(("part", *(name for name, _ in columns)), rows)


def _others(rounds: Sequence[Round]) -> str:
    return spread(rounds, lambda one: one.others).text()


def _where(runs: Sequence[Probing] | Sequence[Usual] | Sequence[Start]) -> str:
    stores = sorted({run.temporals_store for run in runs})
    times = sorted({run.at for run in runs})
    return f"Temporal's store: {'; '.join(stores)}. Measured {', '.join(times)}."


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"| {' | '.join('---' for _ in titles)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
