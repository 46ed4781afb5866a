"""What was measured of stock locations, for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator

from bench.cpu import together
from bench.figures import NOT_OURS, Found, Life, Movement, Spread, Year

RATE, SLOWEST = 300.0, {"idle": 2.0, "full rate": 15.0}
REPLAY, YEAR = 1.0, 365


def lines(found: Found) -> Iterator[str]:
    """Both tables, where there is something in them."""
    if found.used:
        yield "\n## What is used, until it is a movement\n"
        yield "Usage events put into our store as a feed's taker does, over 100 locations, each with its own case; taken, judged,"
        yield "posted to a stub ERP that says yes at once, recorded. Seconds are from an event's arrival in our store to its movement"
        yield "in our books. Reading messages is not in it (see the gateway's rows).\n"
        yield "| what | put in, events/s | moved, events/s | p50 s | p95 s | aim | events a round | CPU ms for an event |"
        yield "|---|---|---|---|---|---|---|---|"
        for one in found.used:
            yield _used(one)
        yield "\nCPU ms for an event, by part:\n"
        yield "| part | " + " | ".join(one.what for one in found.used) + " |"
        yield "|---|" + "---|" * len(found.used)
        for part in found.used[0].cpu:
            shown = f"({part})" if part in NOT_OURS else part
            yield f"| {shown} | " + " | ".join(f"{one.cpu.get(part, 0.0):.2f}" for one in found.used) + " |"
        yield f"\nMeasured {', '.join(sorted({one.at for one in found.used}))}."
    if found.lives:
        yield "\n## The history of one location\n"
        yield "| what | rounds played, runs | events a round | longest run | replayed in, CPU s | aim | a year of it |"
        yield "|---|---|---|---|---|---|---|"
        for life in found.lives:
            yield _life(life)
        yield f"\nMeasured {', '.join(sorted({one.at for one in found.lives}))}."
    if found.years:
        yield "\n## A year of one location, played\n"
        yield "Day after day put into our store as fast as the location's case takes it, so that its rounds are full; one event in a"
        yield "hundred takes a use back. What must lie there is reckoned from the days themselves and held against our balances, our"
        yield "movements and the stub ERP's own books.\n"
        for year in found.years:
            yield from _year(year)
        yield f"\nMeasured {', '.join(sorted({one.at for one in found.years}))}."


def _used(one: Movement) -> str:
    slowest = SLOWEST.get(one.what, SLOWEST["full rate"])
    fast = one.what == "idle" or one.rate >= 0.97 * min(one.asked, RATE)
    aim = f"p95 under {slowest:.0f} s" + ("" if one.what == "idle" else f", {RATE:.0f} events/s")
    judged = "met" if one.p95 < slowest and fast else "**missed**"
    cells = (f"{one.asked:.0f}", f"{one.rate:.0f}", f"{one.p50:.2f}", f"{one.p95:.2f}", f"{aim}: {judged}")
    each = f"{one.events / max(one.rounds, 1):.1f}"
    return f"| {one.what} | " + " | ".join((*cells, each, f"{together(one.cpu, NOT_OURS):.1f}")) + " |"


def _life(one: Life) -> str:
    took = Spread.of(one.replayed)
    judged = "met" if took.most < REPLAY else "**missed**"
    year = 365 * one.a_day
    runs = year * one.per_round / max(one.longest, 1)
    cells = (
        f"{one.rounds}, {one.runs}",
        f"{one.per_round:.1f}",
        f"{one.longest} events, {one.bytes / 1024:.0f} KiB",
        took.text(2),
        f"under {REPLAY:.0f} s: {judged}",
        f"{year:,} rounds in some {runs:,.0f} runs, none longer",
    )
    return f"| {one.what} | " + " | ".join(cells) + " |"


def _year(one: Year) -> Iterator[str]:
    took = Spread.of(one.replayed)
    left = {state: many for state, many in one.states.items() if state not in ("posted", "voided")}
    every = one.days * one.a_day == sum(one.states.values()) and not left
    kept = ", ".join(f"{table} {one.rows[table]:,} in {size:,.0f} MiB" for table, size in one.mib.items())
    states = ", ".join(f"{many:,} {state}" for state, many in sorted(one.states.items()))
    off = ", ".join(f"{what} {units}" for what, units in one.off.items())
    rows = (
        ("played", f"{one.days} of {YEAR} days: {one.days * one.a_day:,} events, {one.rate:.0f}/s", ""),
        (
            "history",
            f"{one.runs} runs, {one.rounds:,} rounds; the longest {one.longest} events, {one.bytes / 1024:.0f} KiB",
            "",
        ),
        ("the longest replayed in, CPU s", took.text(2), f"under {REPLAY:.0f}: {_judged(took.most < REPLAY)}"),
        ("what became of the events", states, f"none left: {_judged(every)}"),
        ("units off", off, f"none: {_judged(not any(one.off.values()))}"),
        (
            "charges less credits",
            f"{one.charges:,} of {one.chargeable:,}",
            f"all: {_judged(one.charges == one.chargeable)}",
        ),
        ("our store", kept, ""),
    )
    yield f"| {one.what} | | aim |"
    yield "|---|---|---|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _judged(met: bool) -> str:
    return "met" if met else "**missed**"
