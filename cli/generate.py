"""``fascia generate``: an invented hospital's messages, as files or live, always the same for the same seed; faults as well."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.console import RenderableType

from canonical.errors import Malformed, Unavailable
from cli.command import command
from cli.exits import Exit, wrong_usage
from cli.output import Output, table

if TYPE_CHECKING:  # what makes messages is loaded where it is needed
    from cli.synthetic.faults import Faults
    from cli.synthetic.ledger import Summary
    from cli.synthetic.traffic import Plan

WHERE, PACE, WRONG = "Where to", "How fast", "What goes wrong"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "generate")(generate)


async def generate(
    out: Output,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help="ADT^A01, SupplyRequest, 855, catalogue ... or a group.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="So many messages.")] = 100,
    seed: Annotated[str, typer.Option("--seed", help="The same seed makes the same bytes.")] = "1",
    first_day: Annotated[str, typer.Option("--from", help="The hospital's first day (YYYY-MM-DD).")] = "2026-11-02",
    first_number: Annotated[int, typer.Option("--first", min=1, help="The first message's number.")] = 1,
    version: Annotated[list[str] | None, typer.Option("--version", help="HL7 2.3 to 2.8.2; all.")] = None,
    release: Annotated[str, typer.Option("--release", help="FHIR R4B or R5.")] = "R4B",
    application: Annotated[str, typer.Option("--application", help="MSH-3; by kind.")] = "",
    facility: Annotated[str, typer.Option("--facility", "-f", help="MSH-4 and MSH-6.")] = "",
    distinct: Annotated[
        int, typer.Option("--distinct", min=0, help="Make so many; repeat them under new numbers.")
    ] = 0,
    folder: Annotated[Path | None, typer.Option("--out", help="Write files here.", rich_help_panel=WHERE)] = None,
    framed: Annotated[
        bool, typer.Option("--framed", help="A file is what goes over a connection.", rich_help_panel=WHERE)
    ] = False,
    to: Annotated[
        str,
        typer.Option("--to", help="Send: mllp://host:port, http://... (key: FASCIA_API_KEY).", rich_help_panel=WHERE),
    ] = "",
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="List what was sent and answered.", rich_help_panel=WHERE)
    ] = None,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Messages a second.", rich_help_panel=PACE)] = 0.0,
    burst: Annotated[str, typer.Option("--burst", help="500/60: 500 at once every 60 s.", rich_help_panel=PACE)] = "",
    connections: Annotated[int, typer.Option("--connections", min=1, max=1000, rich_help_panel=PACE)] = 1,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, help="Unanswered on a connection.", rich_help_panel=PACE)
    ] = 1,
    answer_within: Annotated[
        float, typer.Option("--answer-within", min=0.1, help="Seconds; then reconnect.", rich_help_panel=PACE)
    ] = 30.0,
    tries: Annotated[
        int, typer.Option("--tries", min=1, help="Of each message that has no answer.", rich_help_panel=PACE)
    ] = 1,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="noise, or noise/5: at every fifth.", rich_help_panel=WRONG)
    ] = None,
    huge_bytes: Annotated[
        int, typer.Option("--huge-bytes", min=1, help="Of a frame too large.", rich_help_panel=WRONG)
    ] = 64 * 1024 * 1024,
) -> None:
    """Make an invented hospital's messages and write or send them; nobody in them exists.

    Groups: hl7 (a day's mixture), no-case (HL7 that starts no case), people (what HR says), fhir, x12, csv. Faults: unclosed,
    huge, pipelined, reconnect, half-close, noise, doubled, swapped.
    """
    from cli.synthetic.faults import Faults
    from cli.synthetic.traffic import Plan
    from formats.hl7 import VERSIONS

    if (folder is None) == (not to):
        raise wrong_usage("say where: --out DIR or --to URL")
    at_once, every = _burst(burst)
    plan = Plan(
        seed=seed,
        kinds=tuple(kind or ("hl7",)),
        first=_day(first_day),
        many=count,
        first_number=first_number,
        versions=tuple(version or VERSIONS),
        release=release,
        application=application,
        facility=facility,
        rate=rate,
        burst=at_once,
        burst_every=every,
        connections=connections,
        distinct=distinct,
    )
    faults = Faults.read(tuple(fault or ()), huge_bytes)
    if folder is not None:
        _write(out, plan, folder, faults, framed=framed)
        return
    summary = await _send(out, plan, to, faults, ledger, (in_flight, answer_within, tries))
    out.data(summary.model_dump(mode="json"), lambda: _drawn(summary, ledger))
    refused = sum(many for code, many in summary.answers.items() if not _taken(code))
    if summary.unanswered or refused:
        raise typer.Exit(Exit.PARTLY if summary.answered > refused else Exit.FAILED)


def _write(out: Output, plan: Plan, folder: Path, faults: Faults, *, framed: bool) -> None:
    from cli.synthetic import files

    if faults.every and not framed:
        raise wrong_usage("faults are of connections: add --framed, or send it with --to")
    many = files.write(plan, folder, faults, framed=framed)
    out.data({"messages": many, "folder": str(folder), "manifest": str(folder / files.MANIFEST)})


async def _send(
    out: Output, plan: Plan, to: str, faults: Faults, path: Path | None, how: tuple[int, float, int]
) -> Summary:
    from cli.ours import api_key
    from cli.synthetic import http_sender, mllp_sender
    from cli.synthetic.ledger import Ledger
    from workers.settings import load

    place = urlsplit(to)
    ledger = Ledger(path)

    def told(many: int) -> None:
        out.detail(f"{many} of {plan.many}")

    try:
        if place.scheme == "mllp" and place.hostname and place.port:
            in_flight, within, tries = how
            target = mllp_sender.Target(place.hostname, place.port, in_flight, within, tries, connect_within=within)
            await mllp_sender.send(plan, target, faults, ledger, told=told)
        elif place.scheme in ("http", "https") and not faults.every:
            key = os.environ.get("FASCIA_API_KEY", "").strip() or api_key(load())
            await http_sender.send(plan, to, key, ledger, tries=how[2], told=told)
        else:
            raise wrong_usage("--to is mllp://host:port, or http(s)://... without faults")
    finally:
        summary = ledger.close()
    if not summary.answered and summary.problems.get("not reachable"):
        raise Unavailable(f"nobody answers at {to}", system="listener")
    return summary


def _drawn(summary: Summary, path: Path | None) -> list[RenderableType]:
    shown = table("what", "", right=("",))
    shown.add_row("sent", str(summary.sent))
    for code, many in summary.answers.items():
        shown.add_row(f"answered {code or '(no MSA)'}", str(many))
    shown.add_row("without an answer", str(summary.unanswered))
    for problem, many in summary.problems.items():
        shown.add_row(problem, str(many))
    shown.add_row("answers a second", f"{summary.rate:.1f}")
    shown.add_row("ms to the answer: half of them, 99 in 100, the longest", _times(summary))
    shown.add_row("ms from when it was due: 99 in 100", f"{summary.late_p99_ms}")
    return [shown, f"ledger: {path}"] if path else [shown]


def _times(summary: Summary) -> str:
    return f"{summary.p50_ms} {summary.p99_ms} {summary.longest_ms}"


def _taken(code: str) -> bool:
    return code in ("AA", "CA") or code.startswith("2")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise wrong_usage("--from is a date YYYY-MM-DD") from None


def _burst(text: str) -> tuple[int, float]:
    if not text:
        return 0, 60.0
    many, _, every = text.partition("/")
    try:
        found = int(many), float(every or 60)
    except ValueError:
        found = 0, 0.0
    if found[0] < 1 or found[1] <= 0:
        raise Malformed("--burst is SIZE/SECONDS, as in 500/60", path="burst")
    return found
