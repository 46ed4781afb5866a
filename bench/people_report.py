"""What was measured of clinicians' cases, for docs/benchmarks.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from bench.cpu import together
from bench.figures import NOT_OURS, Clinicians, Deeds, Found, Revoked, Spread
from bench.slow_provider import NAME

CONFIRMED = 60.0  # seconds of platform time until access is confirmed off
REPLAY, YEAR = 1.0, 365
PEERS = (*NOT_OURS, "stub_targets", "board", NAME)  # the systems that are told and asked


def percentile(values: Sequence[float], part: float) -> float:
    """The value that such a part of them does not exceed (nearest rank); of few it is the most."""
    held = sorted(values)
    return held[max(math.ceil(part * len(held)), 1) - 1]


def lines(found: Found) -> Iterator[str]:
    """All tables, where there is something in them."""
    if found.revoked:
        yield from _revoked(found.revoked)
    if found.clinicians:
        yield "\n## Clinicians' cases, opened and held\n"
        yield "Two cases a person: hired and privileged by the REST door, their licence asked of a board of ours, given access in two"
        yield "SCIM providers and a schedule that answer at once. Memory is PSS. All look again: woken at once, as by a change"
        yield "that concerns everybody."
        for one in found.clinicians:
            yield from _clinicians(one)
    if found.deeds:
        yield "\n## A year of one clinician\n"
        yield "Played in virtual time by the real processes: what HR says by our inbox, the licence as the monthly run asks."
        yield "What stands in a target is looked at once a day, at the most seldom, and oftener for some days after a deed:"
        yield "the quiet days are the others."
        yield "One event of each waking is of the skipping of time itself, which no real history has."
        for life in found.deeds:
            yield from _life(life)


def _revoked(rows: Sequence[Revoked]) -> Iterator[str]:
    yield "\n## From the word that access ends to all of it confirmed off\n"
    yield "Seconds from when the word was sent by a real door: until the block stands in our store, until the last of three targets"
    yield "has switched the person off, until each was seen off twice. Targets are ours and answer at once; a scim2-server, where"
    yield "a row says so, is a fourth. Active: people with access as the row began. The two looks are apart by rule, which is the"
    yield "floor of the last figure.\n"
    spread = "p50, p99, most"
    yield f"| the word | people | active | blocked {spread} | off everywhere {spread} | confirmed {spread} | floor | aim |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in rows:
        beside = f", {one.beside} of them" if one.beside else ""
        judged = "met" if one.confirmed and max(one.confirmed) < CONFIRMED else "**missed**"
        spreads = (_spread(part) for part in (one.blocked, one.off, one.confirmed))
        cells = (one.what + beside, f"{len(one.confirmed)}", f"{one.open:,}", *spreads, f"{one.apart:.0f}")
        yield "| " + " | ".join((*cells, f"all under {CONFIRMED:.0f}: {judged}")) + " |"
    yield f"\nMeasured {', '.join(sorted({one.at for one in rows}))}."


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "none"
    return f"{percentile(values, 0.5):.2f}, {percentile(values, 0.99):.2f}, {max(values):.2f}"


def _clinicians(one: Clinicians) -> Iterator[str]:
    cases = 2 * one.people
    looked = "all looked again, s | the same with a new worker, s | of the first"
    yield f"\n| people, cases | opened in this run | people/s | CPU ms for a person | {looked} |"
    yield "|---|---|---|---|---|---|---|"
    ratio = f"{one.restarted / one.again:.2f}" if one.again else ""
    total = f"{together(one.cpu, PEERS):.0f}" if one.cpu else ""
    cells = (f"{one.people:,}, {cases:,}", f"{one.opened:,}", f"{one.rate:.2f}", total)
    yield "| " + " | ".join((*cells, f"{one.again:.1f}", f"{one.restarted:.1f}", ratio)) + " |"
    yield f"\nThe worker keeps {one.cached:,} cases in memory at most.\n"
    yield "| part | CPU ms for a person | MiB before | MiB with all open | KiB for a case | of a core while nothing comes |"
    yield "|---|---|---|---|---|---|"
    for part in sorted({*one.cpu, *one.after, *one.idle} - {*PEERS}):
        yield "| " + " | ".join((part, *_part(one, part))) + " |"
    disk = ", ".join(
        f"{name} {size:,.0f} MiB ({1024 * size / max(cases, 1):.0f} KiB a case)" for name, size in one.disk.items()
    )
    yield f"\nOn disk: {disk}. Measured {one.at}."


def _part(one: Clinicians, part: str) -> Iterator[str]:
    before, after = one.before.get(part), one.after.get(part)
    yield f"{one.cpu[part]:.0f}" if part in one.cpu else ""
    yield f"{before:.0f}" if before is not None else ""
    yield f"{after:.0f}" if after is not None else ""
    yield _each(one, part, before, after)
    yield f"{one.idle[part]:.3f}" if part in one.idle else ""


def _each(one: Clinicians, part: str, before: float | None, after: float | None) -> str:
    """KiB for each case opened in this run; of the worker for each that it keeps."""
    if before is None or after is None or not one.opened:
        return ""
    opened = 2 * one.opened
    held = min(opened, one.cached) if part == "worker" else opened
    return f"{max(after - before, 0.0) * 1024 / held:.0f}"


def _life(one: Deeds) -> Iterator[str]:
    yield f"\n| {one.what}, {one.days} of {YEAR} days | " + " | ".join(one.events) + " | aim |"
    yield "|---|" + "---|" * (len(one.events) + 1)
    yield _row("events, runs", {case: f"{many:,}, {one.runs[case]}" for case, many in one.events.items()})
    if one.held:
        yield _row("all of its history", {case: f"{many / 1024:,.0f} KiB" for case, many in one.held.items()})
    longest = {case: f"{many:,} events, {one.bytes[case] / 1024:.0f} KiB" for case, many in one.longest.items()}
    yield _row("longest run", longest)
    took = {case: Spread.of(values) for case, values in one.replayed.items()}
    judged = "met" if all(each.most < REPLAY for each in took.values()) else "**missed**"
    yield _row(
        "it is replayed in, CPU s", {case: each.text(2) for case, each in took.items()}, f"under {REPLAY:.0f}: {judged}"
    )
    yield _row("events of a quiet day", {case: f"{many:.1f}" for case, many in one.quiet.items()})
    for what, events in one.deeds.items():
        yield _row(f"events of: {what}", {case: f"{events.get(case, 0)}" for case in one.events})
    steps = ", ".join(f"{many:,} {what}" for what, many in sorted(one.steps.items()))
    yield f"\nSteps in other systems: {steps}. Played in {one.seconds:.0f} s. Measured {one.at}."


def _row(what: str, cells: Mapping[str, str], aim: str = "") -> str:
    return f"| {what} | " + " | ".join(cells.values()) + f" | {aim} |"
