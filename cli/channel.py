"""``fascia channel``: the ways out to other systems; how each stands, paused and resumed, dead letters sent again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from cli.channel_views import ChannelRow, ChannelView, OutboundView
from cli.command import DryRun, Limit, command, noun
from cli.exits import not_found, wrong_usage
from cli.house import first, open_house
from cli.output import Output, listing, table, when

app = noun("The ways out to other systems.")

Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its code; webhook/NAME for a subscriber's.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with who asked.")]


@command(app, "list")
async def list_channels(
    out: Output,
    trouble: Annotated[bool, typer.Option("--trouble", help="Only those that do not send as they should.")] = False,
    limit: Limit = 200,
) -> None:
    """List channels: whether each is open, what waits and since when, its last failure, its breaker."""
    async with open_house() as house:
        found = await house.channels.rows()
    rows, more = first([row for row in found if not trouble or row.state not in ("open", "off") or row.dead], limit)

    def show() -> list[RenderableType]:
        shown = table("channel", "to", "state", "waiting", "oldest", "dead", "last error", right=("waiting", "dead"))
        for row in rows:
            counts = (str(row.waiting), when(row.oldest), str(row.dead))
            shown.add_row(row.channel, row.address, _state(row), *counts, row.error)
        return [shown]

    out.rows(ChannelRow, rows, show, more=more)
    if not rows:
        out.say(
            "every channel sends" if trouble else "the register has no channel: `fascia register load channels.csv`"
        )


@command(app, "show")
async def show_channel(out: Output, channel: Channel, limit: Limit = 20) -> None:
    """Show one channel: how it stands and why, its terms, what is next, and its dead letters."""
    async with open_house() as house:
        view = await house.channels.show(channel, limit)
    if view is None:
        raise not_found("channel", channel, "see `fascia channel list`")
    out.data(view, lambda: _drawn(view))


@command(app, "pause")
async def pause(out: Output, channel: Channel, reason: Reason = "") -> None:
    """Send nothing more by a channel until it is resumed; the message under way still gets its answer."""
    if not reason:
        raise wrong_usage("a pause needs its reason", "--reason 'they install an update until 14:00'")
    async with open_house() as house:
        row = await house.channels.pause(channel, reason)
    out.data(row, lambda: [f"{row.channel} {_now(row)}; {row.waiting} wait"])


@command(app, "resume")
async def resume(out: Output, channel: Channel, reason: Reason = "") -> None:
    """Send on at once: lift a pause, and try now what waits for another try or for an open breaker."""
    async with open_house() as house:
        row = await house.channels.resume(channel, reason)
    out.data(row, lambda: [f"{row.channel} {_now(row)}; {row.waiting} wait"])
    if row.state == "stands still":
        out.say(
            f"a dead letter is before them: `fascia channel show {row.channel}`, then `fascia channel retry` or `skip`"
        )


@command(app, "retry")
async def retry(
    out: Output,
    message: Annotated[list[str] | None, typer.Argument(metavar="MESSAGE...", help="Their ids.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead letters, in their old order.")] = False,
    channel: Annotated[str, typer.Option("--channel", help="Of this channel.")] = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Send dead letters again: the same bytes under the same control id, so who has one already knows it."""
    if bool(message) == dead:
        raise wrong_usage("which ones?", "fascia channel retry MESSAGE ..., or --dead")
    async with open_house() as house:
        rows = await house.channels.retry(message or [], channel, reason, dry_run)
    out.data(listing(rows), lambda: [_messages(rows)] if rows else [])
    out.say(f"{len(rows)} messages {'would be' if dry_run else 'are'} sent again, before what came after them")


@command(app, "skip")
async def skip(
    out: Output,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="The dead letter's id.")],
    reason: Reason = "",
) -> None:
    """Let a channel go on without the dead letter it stands still behind; that one stays in the list of dead letters."""
    if not reason:
        raise wrong_usage("passing a message over needs its reason", "--reason 'entered there by hand'")
    async with open_house() as house:
        row = await house.channels.skip(message, reason)
    out.data(row, lambda: [f"{row.channel} goes on without {row.message}"])


def _state(row: ChannelRow) -> str:
    if row.state == "paused":
        return f"paused by {row.paused_by} since {when(row.paused_at)}: {row.paused_why}"
    if row.state.startswith("breaker"):
        return f"{row.state}: {row.failures} failures, tried again {when(row.probe_at)}"
    return row.state


def _now(row: ChannelRow) -> str:
    """How it stands after a deed, as the end of a sentence: an open breaker that was resumed tries at once."""
    if row.state.startswith("breaker"):
        return f"is tried now ({row.failures} failures so far)"
    return row.state if row.state == "stands still" else f"is {_state(row)}"


def _drawn(view: ChannelView) -> Iterator[RenderableType]:
    yield f"{view.channel}   {view.kind} to {view.address}: {_state(view)}"
    shown = table("", "")
    shown.show_header = False
    facts = {
        "waiting": f"{view.waiting}, the oldest since {when(view.oldest)}" if view.waiting else "0",
        "breaker": f"{view.breaker}, opened {view.openings} times",
        "last error": f"{when(view.error_at)} {view.error}".strip(), "owner": view.owner, "contact": view.contact,
        "terms": ", ".join(f"{name} {value}" for name, value in view.terms.items()),
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            shown.add_row(name, value)
    yield shown
    for title, rows in (("next", view.next), ("dead letters", view.dead_letters)):
        if rows:
            yield ""
            yield title
            yield _messages(rows)


def _messages(rows: Sequence[OutboundView]) -> RenderableType:
    shown = table("message", "channel", "control", "state", "tries", "said", "since", right=("tries",))
    for row in rows:
        state = f"{row.state}, nothing passes it" if row.blocks else row.state
        tries = str(row.attempts)
        shown.add_row(row.message, row.channel, row.control_id, state, tries, row.said, when(row.put_at))
    return shown
