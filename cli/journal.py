"""``fascia journal``: every message in or out, byte for byte, and what became of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import DryRun, Limit, command, noun
from cli.exits import not_found
from cli.house import MessageFilter, first, open_house
from cli.output import Output, table, when
from cli.views import MessageRow, MessageView

app = noun("The journal: every message in or out.")


@command(app, "list")
async def list_messages(
    out: Output,
    direction: Annotated[str, typer.Option("--direction", help="in or out.")] = "",
    partner: Annotated[str, typer.Option("--partner", help="From or to this partner.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="Of this kind: 850, 855, requisition ...")] = "",
    state: Annotated[str, typer.Option("--state", help="In this state: received, routed, dead ...")] = "",
    case: Annotated[str, typer.Option("--case", help="Of this case.")] = "",
    limit: Limit = 50,
) -> None:
    """List messages, newest first."""
    which = MessageFilter(direction=direction, partner=partner, kind=kind, state=state, case=case)
    async with open_house() as house:
        rows, more = first(await house.messages(which, limit + 1), limit)

    def show() -> list[RenderableType]:
        shown = table("message", "way", "door", "partner", "kind", "control", "state", "bytes", "at", right=("bytes",))
        for row in rows:
            state = f"{row.state}: {row.reason}" if row.reason else row.state
            shown.add_row(
                row.id, row.direction, row.door, row.partner or row.sender, row.kind, row.control_number, state,
                str(row.size), when(row.at),
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
    """Show one message: where it came from, every state it was in, the answer to it, and its content."""
    async with open_house() as house:
        view = await house.message(message)
    if view is None:
        raise not_found("message", message)
    if save is not None:
        save.write_bytes(content(view))
        out.say(f"{view.size} bytes written to {save}")
    elif raw:
        out.raw(content(view))
    else:
        out.data(view, lambda: _drawn(view))


@command(app, "replay")
async def replay(
    out: Output,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Its id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with who asked.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Give a kept message to its door's routing again. What a case has taken already it knows, so nothing is doubled."""
    async with open_house() as house:
        done = await house.replay(message, reason, dry_run)
    became = f"{done.state}: {done.reason}" if done.reason else done.state
    to = f" to {done.case}" if done.case else ""
    what = f"{message} can be routed again" if dry_run else f"{message} was {done.before} and is now {became}{to}"
    out.data(done, lambda: [what])
    if not dry_run and done.state in ("received", "validated"):
        out.say("what it needs is away; the routing sweep brings it when that is back")


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
        "answered by": view.answer, "duplicate of": view.duplicate_of, "trace": view.trace, "sha-256": view.hash,
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            shown.add_row(name, value)
    yield shown
    for entry in view.history:
        yield f"  {when(entry.at)}  {entry.state}{f': {entry.reason}' if entry.reason else ''}"
    yield ""
    yield view.data if view.encoding == "utf-8" else f"(not text; base64)\n{view.data}"
