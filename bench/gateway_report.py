"""The gateway's part of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.figures import Accept, Against, Found, Idle, Paced, Spread, Steps, Volley

SYNCED_TARGET, ECHO_TARGET = 0.5, 0.4
PACED_P99, ANSWERED_US, CHECKED_US, MEMORY_MB, IDLE_CORE = 100.0, 60.0, 150.0, 300.0, 0.05
FLAT = 1.1  # the last third's memory to the first third's
LIBRARY = "python-hl7 0.4.5 (asyncio listener, its own parse and ACK)"

Row = tuple[str, ...]


def lines(found: Found) -> Iterator[str]:
    """The section, where any of it was measured."""
    rows = [
        *(row for one in found.paced for row in _paced(one)),
        *(row for one in found.against for row in _against(one)),
        *(row for one in found.accept for row in _accept(one)),
        *(row for one in found.steps for row in _steps(one)),
        *(row for one in found.idle for row in _idle(one)),
    ]
    if not rows:
        return
    yield "\n## The gateway\n"
    yield "Messages are those of `fascia generate --kind no-case` (ADT, SIU, ORM, ORU in HL7 2.3 to 2.8.2), sent"
    yield "by that program over 20 connections, one unanswered on each; its processor time stands apart. All of our processes run"
    yield "(worker, loops, REST door, two MLLP doors on one port: `FASCIA_MLLP_DOORS=2`), and the router reads and routes what"
    yield "the doors keep.\n"
    yield from _table(("what", "aim", "measured", ""), rows)
    for steady in found.paced:
        yield from _parts(steady)
    for side in found.against:
        yield from _sides(side)
    for part in (*found.paced, *found.against, *found.accept, *found.steps, *found.idle):
        yield f"\n{type(part).__name__}: measured {part.at}." if part.at else ""


def _paced(one: Paced) -> Iterator[Row]:
    said = one.summary
    name = f"MLLP at {one.asked:.0f} messages/s for {one.seconds:.0f} s"
    all_in = said.answers == {"AA": said.sent} and said.rate >= 0.99 * one.asked
    yield (
        f"{name}: kept, checked, acknowledged",
        f"{one.asked:.0f}/s",
        f"{said.rate:.0f}/s, {said.unanswered} unanswered",
        _met(all_in),
    )
    late = f"{said.p50_ms} ms, {said.p99_ms} ms, {said.longest_ms} ms; from when it was due p99 {said.late_p99_ms} ms"
    yield ("ACK: p50, p99, longest", f"p99 under {PACED_P99:.0f} ms", late, _met(said.p99_ms < PACED_P99))
    right = not (one.missing or one.doubled or one.strange)
    counted = f"{one.missing} missing, {one.doubled} twice, {one.strange} with other bytes"
    yield ("journal against the sender's own list", "all there, once, as sent", counted, _met(right))
    yield (
        "read and routed",
        "",
        f"{one.routed_a_second:.0f}/s; at the end {one.behind} behind, empty after {one.empty_after:.1f} s; {one.most_behind} at most",
        "",
    )
    third = max(1, len(one.memory) // 3)
    first, last = median(one.memory[:third]), median(one.memory[-third:])
    flat = last <= FLAT * first and max(one.memory) < MEMORY_MB
    yield (
        "MLLP doors' memory, both together",
        f"flat, under {MEMORY_MB:.0f} MB",
        f"{first:.0f} MB in the first third, {last:.0f} in the last, {max(one.memory):.0f} at most",
        _met(flat),
    )
    yield ("sender's processor time", "shown apart", f"{one.sender_cpu:.2f} of a core", "")


def _against(one: Against) -> Iterator[Row]:
    for name, others, target in (
        ("one fdatasync per message, same framing and ACK", one.synced, SYNCED_TARGET),
        (f"{LIBRARY}, one fdatasync per message", one.library, 1.0),
    ):
        ratio = _middle(one.ours) / _middle(others)
        pairs = Spread.of(ours.rate / other.rate for ours, other in zip(one.ours, others, strict=True))
        aim = f"{target} or more" if target < 1 else "ahead"
        yield (
            f"as fast as it goes, over {name}",
            aim,
            f"{ratio:.2f} of the medians; {pairs.text(2)}",
            _met(ratio >= target),
        )


def _accept(one: Accept) -> Iterator[Row]:
    ratio = median(one.door) / median(one.echo)
    pairs = Spread.of(door / echo for door, echo in zip(one.door, one.echo, strict=True))
    rates = f"{ratio:.2f} of the medians; {pairs.text(2)}; {median(one.door):.0f}/s over {median(one.echo):.0f}/s"
    yield (
        f"REST: 202 after commit, over a FastAPI echo of the same model, {one.callers} callers",
        f"{ECHO_TARGET} or more",
        rates,
        _met(ratio >= ECHO_TARGET),
    )


def _steps(one: Steps) -> Iterator[Row]:
    for name, rounds, target in (
        ("framing, header, sender and ACK", one.answered, ANSWERED_US),
        ("check", one.checked, CHECKED_US),
    ):
        yield (
            f"{name} of one message ({one.bytes:.0f} bytes)",
            f"under {target:.0f} us",
            f"{Spread.of(rounds).text()} us",
            _met(median(rounds) < target),
        )


def _idle(one: Idle) -> Iterator[Row]:
    parts = ", ".join(f"{name} {100 * used:.1f}" for name, used in one.by_part.items())
    total = sum(one.by_part.values())
    yield (
        f"idle for {one.seconds:.0f} s, our processes only",
        f"under {100 * IDLE_CORE:.0f} % of a core",
        f"{100 * total:.1f} % ({parts})",
        _met(total < IDLE_CORE),
    )


def _parts(one: Paced) -> Iterator[str]:
    yield "\nProcessor time over the steady rate, microseconds for one message:\n"
    rows = [(name, f"{used / one.summary.answered * 1e6:.0f}") for name, used in sorted(one.cpu.items())]
    yield from _table(
        ("part", "us"), [*rows, ("(sender)", f"{one.sender_cpu * one.seconds / one.summary.answered * 1e6:.0f}")]
    )


def _sides(one: Against) -> Iterator[str]:
    yield "\nAs fast as it goes, each round by the same sender (ours: door, router and our part of the database):\n"
    rows = []
    for name, rounds in (("ours", one.ours), ("one fdatasync per message", one.synced), (LIBRARY, one.library)):
        rate, p99 = Spread.of(v.rate for v in rounds), Spread.of(v.p99_ms for v in rounds)
        used, sender = Spread.of(v.listener_us for v in rounds), Spread.of(v.sender_us for v in rounds)
        routed = Spread.of(v.routed_a_second for v in rounds).text(0) if name == "ours" else ""
        rows.append((name, rate.text(0), p99.text(), used.text(0), sender.text(0), routed))
    titles = ("listener", "messages/s", "ACK p99 ms", "CPU us for one", "sender's CPU us for one", "routed/s meanwhile")
    yield from _table(titles, rows)


def _middle(rounds: Sequence[Volley]) -> float:
    return median(one.rate for one in rounds)


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def _table(titles: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    yield "| " + " | ".join(titles) + " |"
    yield "|" + " --- |" * len(titles)
    yield from ("| " + " | ".join(row) + " |" for row in rows)
