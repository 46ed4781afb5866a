"""What was measured of stock locations, for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator

from bench.cpu import together
from bench.figures import NOT_OURS, Found, Life, Movement, Spread

RATE, SLOWEST = 300.0, {"idle": 2.0, "full rate": 15.0}
REPLAY = 1.0


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
