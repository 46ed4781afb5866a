"""``fascia replay``: messages that are routed once more by the workers; how far each job is, and what became of each message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from canonical.replays import OUTCOMES, UNREADABLE, Difference, Preview, RowPreview
from cli.command import Limit, command, noun
from cli.exits import not_found, wrong_usage
from cli.house import first, open_house
from cli.output import Output, table, when
from cli.replay_views import Accepted, Corrected, ReplayedRow, ReplayRow, ReplayView
from cli.views import Replayed

app = noun("Replays: messages routed once more. `fascia journal replay` begins one.")

Job = Annotated[str, typer.Argument(metavar="REPLAY", help="Its id.")]


@command(app, "list")
async def list_replays(out: Output, limit: Limit = 20) -> None:
    """List replays, newest first."""
    async with open_house() as house:
        rows, more = first(await house.replays.rows(limit + 1), limit)

    def show() -> list[RenderableType]:
        shown = table("replay", "state", "done", "of", "came to", "by", "reason", "begun", right=("done", "of"))
        for row in rows:
            shown.add_row(
                row.replay, row.state, str(row.done), str(row.total), counts(row.outcomes), row.actor, row.reason,
                when(row.made_at),
            )  # fmt: skip
        return [shown]

    out.rows(ReplayRow, rows, show, more=more)
    if not rows:
        out.say("nothing was ever replayed")


@command(app, "show")
async def show_replay(
    out: Output,
    replay: Job,
    outcome: Annotated[str, typer.Option("--outcome", help=f"Only these: {', '.join(OUTCOMES)}.")] = "",
    limit: Limit = 50,
) -> None:
    """Show one replay: who asked for it and why, how far it is, and what became of each message."""
    if outcome and outcome not in OUTCOMES:
        raise wrong_usage(f"nothing comes to {outcome}", f"one of {', '.join(OUTCOMES)}")
    async with open_house() as house:
        view = await house.replays.show(replay, outcome, limit)
    if view is None:
        raise not_found("replay", replay, "see `fascia replay list`")
    out.data(view, lambda: _drawn(view))


@command(app, "cancel")
async def cancel(
    out: Output, replay: Job, reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = ""
) -> None:
    """Route nothing more of a replay; what was done stays done."""
    if not reason.strip():
        raise wrong_usage("a cancellation needs its reason", "--reason 'the wrong table was loaded'")
    async with open_house() as house:
        row = await house.replays.cancel(replay, reason)
    out.data(row, lambda: [f"{row.replay} is cancelled: {row.done} of {row.total} were done"])


def previewed(out: Output, found: Sequence[Preview], more: bool, *, diff: bool) -> None:
    """What messages would come to, and how many come to what."""

    def show() -> Iterator[RenderableType]:
        shown = table("message", "sender", "kind", "control", "was", "would be", "case")
        for one in found:
            was = f"{one.state}: {one.reason}" if one.reason else one.state
            told = f"{one.outcome}: {one.detail}" if one.detail else one.outcome
            shown.add_row(one.message, one.sender, one.kind, one.control_number, was, told, ", ".join(one.cases))
        yield shown
        if diff:
            for one in found:
                yield from row_by_row(one.rows, one.message)
                yield from differing(one.differences, one.message)

    out.rows(Preview, found, show, more=more)
    counted: Counter[str] = Counter(one.outcome for one in found)
    out.say(f"{len(found)} messages: {counts(counted)}" if found else "no message fits")
    if more:
        out.say(f"and more: the first {len(found)} are shown (--limit)")


def replayed(out: Output, done: Replayed) -> None:
    """What became of one message."""
    became = f"{done.state}: {done.reason}" if done.reason else done.state
    to = f" to {done.case}" if done.case else ""
    came = f" ({done.outcome})" if done.outcome else ""
    what = f"{done.id} can be routed again" if done.dry_run else f"{done.id} was {done.before} and is now {became}{to}"
    out.data(done, lambda: [what + came])
    if not done.dry_run and done.state in ("received", "validated"):
        out.say("what it needs is away; the routing sweep brings it when that is back")
    elif not done.dry_run and not done.outcome:
        out.say(f"what it needs is away; the workers bring it when that is back: fascia replay show {done.replay}")


def started(out: Output, row: ReplayRow) -> None:
    """A job that has begun."""
    out.data(row, lambda: [f"replay {row.replay}: {row.total} messages"])
    out.say(f"the workers do it: fascia replay show {row.replay}")


def corrected(done: Corrected) -> Iterator[RenderableType]:
    """A correction, or what it would be."""
    told = done.preview
    if done.dry_run:
        yield f"{done.original} corrected would be: {told.outcome}{f': {told.detail}' if told.detail else ''}"
    else:
        became = f"{done.state}: {done.reason}" if done.reason else done.state
        to = f" to {done.case}" if done.case else ""
        yield f"{done.original} is corrected by {done.message}, which is {became}{to}"
        if not done.outcome:
            yield f"what it needs is away; the workers bring it when that is back: fascia replay show {done.replay}"
    yield from differing(told.differences, "")
    if done.dry_run and told.outcome == UNREADABLE:
        yield "nothing is better by that: mend the file, or load what its code means"


def row_by_row(found: Sequence[RowPreview], of: str) -> Iterator[RenderableType]:
    """What rows of a file would come to, one a line."""
    if found:
        yield f"\n{of}, by its rows"
    for one in found:
        yield f"  {one.row}  {one.outcome}{f': {one.detail}' if one.detail else ''}"


def accepted(done: Accepted) -> Iterator[RenderableType]:
    """A message taken as one of its own, or what would come of it."""
    told = done.preview
    if done.dry_run:
        yield f"{done.message} as a message of its own would be: {told.outcome}{f': {told.detail}' if told.detail else ''}"
    else:
        to = f" to {done.case}" if done.case else ""
        yield f"{done.message} is accepted beside {done.first}, and is {done.state}{to}"
    yield f"what it says otherwise than {done.first}:"
    yield from differing(told.differences, "")


def differing(found: Sequence[Difference], of: str) -> Iterator[RenderableType]:
    """Differences, one a line: what goes, what comes."""
    if not found:
        return
    if of:
        yield f"\n{of}"
    for one in found:
        if one.was:
            yield f"  - {one.path}: {one.was}"
        if one.now:
            yield f"  + {one.path}: {one.now}"


def counts(outcomes: Mapping[str, int]) -> str:
    """``3 new effect, 1 already done``, in one order always."""
    return ", ".join(f"{outcomes[name]} {name}" for name in OUTCOMES if outcomes.get(name))


def _drawn(view: ReplayView) -> Iterator[RenderableType]:
    yield f"{view.replay}   {view.state}: {view.done} of {view.total} done"
    shown = table("", "")
    shown.show_header = False
    facts = {
        "came to": counts(view.outcomes), "which": view.what, "asked by": f"{view.actor} ({view.known_by})",
        "reason": view.reason, "asked": when(view.made_at), "begun": when(view.began_at), "ended": when(view.ended_at),
        "cancelled by": f"{view.cancelled_by}: {view.cancelled_why}" if view.cancelled_by else "",
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            shown.add_row(name, value)
    yield shown
    if view.items:
        yield ""
        yield _items(view.items)


def _items(rows: Sequence[ReplayedRow]) -> RenderableType:
    shown = table("message", "was", "state", "came to", "because", "case")
    for row in rows:
        shown.add_row(row.message, row.before, row.state, row.outcome, row.detail, row.case)
    return shown
