"""``fascia journal``: every message in or out, byte for byte, and what became of it."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import DryRun, Limit, Yes, command, noun
from cli.exits import Exit, Stop, not_allowed, not_found, wrong_usage
from cli.house import MessageFilter, first, open_house
from cli.moments import moment
from cli.output import Output, table, when
from cli.replay import accepted, corrected, previewed, replayed, started
from cli.replay_views import ParkedRow
from cli.views import MessageRow, MessageView

app = noun("The journal: every message in or out.")

Partner = Annotated[str, typer.Option("--partner", help="From or to this partner.")]
Sender = Annotated[str, typer.Option("--sender", help="From this sender.")]
Door = Annotated[str, typer.Option("--door", help="That came by this door: mllp, rest, hook, fhir, files, mailbox ...")]
Kind = Annotated[str, typer.Option("--kind", help="Of this kind: OMS^O05, 855, requisition ...")]
State = Annotated[str, typer.Option("--state", help="In this state: received, routed, dead ...")]
Owner = Annotated[str, typer.Option("--owner", help="Dead letters this one answers for.")]
Stream = Annotated[str, typer.Option("--stream", help="Of this stream.")]
Since = Annotated[str, typer.Option("--since", help="Kept since then: 2026-11-20, 2026-11-20T08:00Z, 90m, 2h, 3d.")]
Until = Annotated[str, typer.Option("--until", help="Kept before then.")]
AtMost = Annotated[
    int | None,
    typer.Option("--limit", min=1, max=10_000, help="Show at most this many (10,000); a job of more is not begun."),
]
Preview = Annotated[bool, typer.Option("--preview", help="Say what would come of it today; change nothing.")]


@command(app, "list")
async def list_messages(
    out: Output,
    direction: Annotated[str, typer.Option("--direction", help="in or out.")] = "",
    partner: Partner = "",
    sender: Sender = "",
    door: Door = "",
    kind: Kind = "",
    state: State = "",
    case: Annotated[str, typer.Option("--case", help="Of this case.")] = "",
    owner: Owner = "",
    stream: Stream = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
) -> None:
    """List messages, newest first."""
    which = MessageFilter(
        direction=direction, partner=partner, sender=sender, door=door, kind=kind, state=state, case=case, owner=owner,
        stream=stream, since=moment(since, "--since"), until=moment(until, "--until"),
    )  # fmt: skip
    async with open_house() as house:
        rows, more = first(await house.messages(which, limit + 1), limit)
    owned = any(row.owner for row in rows)

    def show() -> list[RenderableType]:
        names = ("message", "way", "door", "partner", "kind", "control", "state", *(("owner",) if owned else ()))
        shown = table(*names, "bytes", "at", right=("bytes",))
        for row in rows:
            state = f"{row.state}: {row.reason}" if row.reason else row.state
            shown.add_row(
                row.id, row.direction, row.door, row.partner or row.sender, row.kind, row.control_number, state,
                *((row.owner,) if owned else ()), str(row.size), when(row.at),
            )  # fmt: skip
        return [shown]

    out.rows(MessageRow, rows, show, more=more)
    if not rows:
        out.say("no message fits")


@command(app, "show")
async def show_message(
    out: Output,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Its id.")],
    raw: Annotated[bool, typer.Option("--raw", help="Print its bytes and nothing else.")] = False,
    save: Annotated[Path | None, typer.Option("--save", help="Write its bytes into this file.")] = None,
) -> None:
    """Show one message: where it came from, every state it was in, the answer to it, and its content.

    The content of what tells of staff is for hr, medical_staff and admin, and is noted in the trace of each person it is about.
    """
    async with open_house() as house:
        view = await house.message(message)
    if view is None:
        raise not_found("message", message)
    if view.withheld and (raw or save is not None):
        raise not_allowed(view.withheld, f"fascia journal show {message} shows all but its content")
    if save is not None:
        save.write_bytes(content(view))
        out.say(f"{view.size} bytes written to {save}")
    elif raw:
        out.raw(content(view))
    else:
        out.data(view, lambda: _drawn(view))


@command(app, "replay", lists=True)
async def replay(
    out: Output,
    message: Annotated[str, typer.Argument(metavar="[MESSAGE]", help="Its id; without it, all that fit.")] = "",
    partner: Partner = "",
    sender: Sender = "",
    door: Door = "",
    kind: Kind = "",
    state: State = "",
    owner: Owner = "",
    stream: Stream = "",
    since: Since = "",
    until: Until = "",
    preview: Preview = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show each difference of a preview of many.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with who asked.")] = "",
    limit: AtMost = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Route kept messages once more: one now, or all that fit as a job of the workers (`fascia replay show`).

    With --preview nothing is changed: what each would come to today, and what it says otherwise than what was. What a case
    has taken already it knows, so nothing is doubled.
    """
    which = MessageFilter(
        partner=partner, sender=sender, door=door, kind=kind, state=state, owner=owner, stream=stream,
        since=moment(since, "--since"), until=moment(until, "--until"),
    )  # fmt: skip
    if bool(message) == (which != MessageFilter()):
        raise wrong_usage("which messages?", "fascia journal replay MESSAGE, or --state dead --sender WARD --since 2h")
    async with open_house() as house:
        if preview or (dry_run and not message):
            shown = limit or 10_000
            found = (
                [await house.replays.preview(message)] if message else await house.replays.preview_all(which, shown + 1)
            )
            previewed(out, *first(found, shown), diff=diff or bool(message))
        elif message:
            done = await house.replays.one(message, reason, dry_run)
            replayed(out, done)
            _ends(done.state, dry_run)
        else:
            if not reason.strip():
                raise wrong_usage("a replay of many needs its reason", "--reason 'the table of units is mended'")
            if out.interactive and not yes and not out.ask("Have you seen its --preview, and is it to be done?"):
                raise Stop("nothing was done", code="interrupted")
            started(out, await house.replays.begin(which, reason, limit))


@command(app, "correct")
async def correct(
    out: Output,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="The dead letter's id.")],
    file: Annotated[Path, typer.Option("--file", help="Its bytes as they should be; - reads them from stdin.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with who asked.")] = "",
    preview: Preview = False,
    dry_run: DryRun = False,
) -> None:
    """Correct a message that was not taken: a new version, routed in its place. The original stays as it came."""
    if not (preview or dry_run or reason.strip()):
        raise wrong_usage("a correction needs its reason", "--reason 'the ward meant ITM-1001; called them'")
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as unread:
        raise wrong_usage(f"{file} cannot be read ({unread.strerror})") from None
    async with open_house() as house:
        done = await house.replays.correct(message, data, reason, preview or dry_run)
    out.data(done, lambda: corrected(done))
    _ends(done.state, done.dry_run)


def _ends(state: str, dry_run: bool) -> None:
    """What is no better than before is a failure to whoever asked."""
    if state in ("dead", "refused") and not dry_run:
        raise typer.Exit(Exit.FAILED)


@command(app, "accept")
async def accept(
    out: Output,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Its id; see `fascia unmatched list`.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with who asked.")] = "",
    preview: Preview = False,
    dry_run: DryRun = False,
) -> None:
    """Take a message that came under another's number with other content as one of its own. The first keeps the number.

    To reject it instead: `fascia journal skip`. Its sender hears yes when it sends it again.
    """
    if not (preview or dry_run or reason.strip()):
        raise wrong_usage("an acceptance needs its reason", "--reason 'their counter began anew; called them'")
    async with open_house() as house:
        done = await house.replays.accept(message, reason, preview or dry_run)
    out.data(done, lambda: accepted(done))
    if not done.dry_run and done.state in ("received", "validated"):
        out.say(f"its router brings it on: fascia journal show {message}")


@command(app, "skip")
async def skip(
    out: Output,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="The dead letter's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with who asked.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Let a stream go on without a message that could not be taken. It stays in the journal and can still be replayed."""
    if not reason.strip() and not dry_run:
        raise wrong_usage("passing a message over needs its reason", "--reason 'the ward ordered by phone'")
    async with open_house() as house:
        done = await house.replays.skip(message, reason, dry_run)
    goes = ("; its stream would go on" if dry_run else "; its stream goes on") if done.stream_goes_on else ""
    out.data(done, lambda: [f"{message} {'would be' if dry_run else 'is'} passed over{goes}"])


@command(app, "parked", lists=True)
async def parked(out: Output, limit: Limit = 50) -> None:
    """List streams that wait for a person: for which message and why, and how many wait behind it."""
    async with open_house() as house:
        rows, more = first(await house.replays.parked(), limit)

    def show() -> list[RenderableType]:
        shown = table("stream", "waits for", "because", "behind", "since", right=("behind",))
        for row in rows:
            shown.add_row(row.stream, row.message, row.reason, str(row.behind), when(row.at))
        return [shown]

    out.rows(ParkedRow, rows, show, more=more)
    if not rows:
        out.say("no stream waits for a person")


def content(view: MessageView) -> bytes:
    """The bytes of a message, as they came."""
    return base64.b64decode(view.data) if view.encoding == "base64" else view.data.encode(view.encoding)


def as_text(data: bytes) -> tuple[str, str]:
    """Bytes as JSON can hold them, and how: as text where they are text."""
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(data).decode("ascii"), "base64"


def _drawn(view: MessageView) -> Iterator[RenderableType]:
    yield f"{view.id}   {view.direction} by {view.door}, {view.size} bytes, {when(view.at)}"
    shown = table("", "")
    shown.show_header = False
    facts = {
        "kind": view.kind, "partner": view.partner, "sender": view.sender, "control number": view.control_number,
        "state": f"{view.state}: {view.reason}" if view.reason else view.state, "case": view.case,
        "owner": view.owner, "noted": view.note, "stream": view.stream, "answered by": view.answer,
        "duplicate of": view.duplicate_of, "corrects": view.version_of, "corrected by": ", ".join(view.corrections),
        "replays": ", ".join(view.replays), "trace": view.trace, "sha-256": view.hash,
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            shown.add_row(name, value)
    yield shown
    for entry in view.history:
        yield f"  {when(entry.at)}  {entry.state}{f': {entry.reason}' if entry.reason else ''}"
    yield ""
    if view.withheld:
        yield f"(not shown: {view.withheld})"
        return
    yield view.data if view.encoding == "utf-8" else f"(not text; base64)\n{view.data}"
