"""``fascia recall``: notices of recalls, what they met here, the tasks each place must answer, and their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import ValidationError
from rich.console import RenderableType

from canonical.base import in_words
from canonical.errors import Malformed
from canonical.recall import OUTCOMES, RecallScope, RecallTask, RecallWord, ranges
from cli.command import DryRun, Limit, Yes, command, noun
from cli.exits import Stop, not_found, wrong_usage
from cli.house import first, open_house
from cli.output import Output, table, when
from cli.recall_views import RecallLoadRow, RecallRow, RecallView

app = noun("Recalls: what must not be used, where it is and was used, and what each place answered.")

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The recall's number, as its notice has it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept with who said it.")]
WordId = Annotated[
    str, typer.Option("--id", help="This word's own name, to repeat it safely.", show_default="a new one")
]
ALL_OUTCOMES = tuple(dict.fromkeys(one for some in OUTCOMES.values() for one in some))


@command(app, "load", lists=True)
async def load(
    out: Output,
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="openFDA device enforcement, or our own JSON.", exists=True)
    ],
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Load notices, all of a file or none: what they mean is blocked at once, and whoever has it gets a task.

    The same notice again changes nothing; one that says more widens its recall. --dry-run says what each would meet.
    """
    from formats import openfda

    try:
        notices = openfda.read(path.read_bytes())
    except Malformed as wrong:
        where = f"{path}: {wrong.path}" if wrong.path else str(path)
        raise Malformed(f"{path}: {wrong.message}", path=where, code=wrong.code, also=wrong.also) from None
    async with open_house() as house:
        rows = await house.recalls.load(notices, reason, dry_run)
    out.rows(RecallLoadRow, rows, lambda: [_loaded(rows)])
    open_ends = sum(1 for row in rows if row.uncertain)
    if open_ends:
        out.say(
            f"{open_ends} leave something open: `fascia recall show NUMBER`, then `fascia recall scope` or `settle`"
        )
    if dry_run:
        out.say("nothing is kept or blocked (--dry-run)")


@command(app, "list")
async def list_recalls(
    out: Output,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    limit: Limit = 50,
) -> None:
    """List recalls, newest first: how each stands, what waits, and until when."""
    async with open_house() as house:
        rows, more = first(await house.recalls.rows(everything, limit + 1), limit)
    out.rows(RecallRow, rows, lambda: [_listed(rows)], more=more)
    if not rows:
        out.say("no recall is open")


@command(app, "show")
async def show(
    out: Output,
    number: Number,
    state: Annotated[str, typer.Option("--state", help="Only tasks that are open, or answered.")] = "",
    limit: Limit = 50,
) -> None:
    """Show a recall: what its notice means and blocks, the clock, and what each place must answer or has."""
    if state not in ("", "open", "answered"):
        raise wrong_usage("--state is open or answered")
    async with open_house() as house:
        view = await house.recalls.show(number, state, limit)
    if view is None:
        raise not_found("recall", number, "see `fascia recall list --all`")
    out.data(view, lambda: _drawn(view))


@command(app, "scope")
async def scope(
    out: Output,
    number: Number,
    item: Annotated[str, typer.Option("--item", help="Our own item.")] = "",
    device: Annotated[str, typer.Option("--device", help="The device identifier on its barcode.")] = "",
    lot: Annotated[
        list[str] | None, typer.Option("--lot", help="A lot, or a range FIRST..LAST; may be repeated.")
    ] = None,
    serial: Annotated[
        list[str] | None, typer.Option("--serial", help="A serial number, or a range FIRST..LAST; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Every lot and serial of it.")] = False,
    as_noticed: Annotated[
        bool, typer.Option("--as-noticed", help="The lots and serials read from the notice.")
    ] = False,
    facility: Annotated[str, typer.Option("--facility", help="At this facility only.")] = "",
    reason: Reason = "",
    word_id: WordId = "",
) -> None:
    """Say what a notice means where its own words leave it open: it is blocked and looked for at once."""
    if bool(item) == bool(device):
        raise wrong_usage("name the product by --item or --device")
    async with open_house() as house:
        spans = [*_spans("lot", lot or ()), *_spans("serial", serial or ())]
        if as_noticed:
            view = await house.recalls.show(number, "", 1)
            if view is None:
                raise not_found("recall", number, "see `fascia recall list --all`")
            spans += [_span(one) for one in view.notice.scopes if one.names_extent]
        if everything:
            spans.append({"everything": True})
        if not spans:
            raise wrong_usage("which of it? --lot, --serial, --as-noticed or --everything")
        about = {"item": item, "device": device, "facility": facility}
        try:
            scopes = tuple(RecallScope.model_validate(about | span) for span in spans)
        except ValidationError as wrong:
            raise wrong_usage(in_words(wrong.errors()[0]["msg"])) from None
        answer = await house.recalls.give(number, _word("scope", reason, word_id, scopes=scopes))
    out.data({"recall": number, **answer.model_dump()}, lambda: [answer.message])


@command(app, "answer")
async def answer_task(
    out: Output,
    number: Number,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task, as `recall show` names it.")],
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help=f"One of {', '.join(ALL_OUTCOMES)}.")],
    found: Annotated[int | None, typer.Option("--found", min=0, help="How many were found, in base units.")] = None,
    reason: Reason = "",
    word_id: WordId = "",
) -> None:
    """Answer a task: what a location did with what it holds, or what became of a use. Once, however often it is sent."""
    if outcome not in ALL_OUTCOMES:
        raise wrong_usage(f"{outcome} is no answer: {', '.join(ALL_OUTCOMES)}")
    word = _word("answer", reason, word_id, task=task, outcome=outcome, found=found)
    async with open_house() as house:
        answer = await house.recalls.give(number, word)
    out.data({"recall": number, "task": task, **answer.model_dump()}, lambda: [answer.message])


@command(app, "settle")
async def settle(out: Output, number: Number, reason: Reason = "", word_id: WordId = "") -> None:
    """Say that what a notice leaves open was looked at, and nothing of it is missing here."""
    await _said(out, number, _word("settle", reason, word_id))


@command(app, "close")
async def close(
    out: Output,
    number: Number,
    lift: Annotated[
        bool, typer.Option("--lift", help="End the block too: the recall was terminated, or is not about ours.")
    ] = False,
    reason: Reason = "",
    word_id: WordId = "",
    yes: Yes = False,
) -> None:
    """Close a recall whose tasks are all answered. What it blocks stays blocked, unless --lift ends that."""
    if lift and out.interactive and not yes and not out.ask(f"what recall {number} blocks may be used again?"):
        raise Stop("nothing was decided", code="interrupted")
    await _said(out, number, _word("lift" if lift else "close", reason, word_id))


async def _said(out: Output, number: str, word: RecallWord) -> None:
    async with open_house() as house:
        answer = await house.recalls.give(number, word)
    out.data({"recall": number, **answer.model_dump()}, lambda: [answer.message])


def _word(verb: str, reason: str, word_id: str, **fields: object) -> RecallWord:
    try:
        return RecallWord.model_validate({"verb": verb, "reason": reason, "id": word_id or uuid4().hex} | fields)
    except ValidationError as wrong:
        raise wrong_usage(in_words(wrong.errors()[0]["msg"]), "give it by --reason") from None


def _spans(what: str, given: Sequence[str]) -> Iterator[dict[str, object]]:
    """``A100..A120`` or a code alone, as scopes have them."""
    for one in given:
        low, dots, high = one.partition("..")
        try:
            pairs = ranges(low.strip(), high.strip()) if dots else [(one.strip(), one.strip())]
        except ValueError as wrong:
            raise wrong_usage(f"--{what} {one}: {wrong}") from None
        for begin, end in pairs:
            yield {f"{what}_from": begin, f"{what}_to": end}


def _span(scope: RecallScope) -> dict[str, object]:
    return scope.model_dump(include={"lot_from", "lot_to", "serial_from", "serial_to", "everything"})


def _loaded(rows: Sequence[RecallLoadRow]) -> RenderableType:
    counts = ("blocks", "locations", "units", "procedures", "other uses")
    shown = table("recall", "class", "outcome", "state", *counts, "open to a person", "product", right=counts)
    for row in rows:
        met = (row.blocks, row.locations, row.units, row.procedures, row.other_uses)
        told = (row.number, row.classification, row.outcome, row.state, *map(str, met))
        shown.add_row(*told, "; ".join(row.uncertain)[:60], row.product[:60])
    return shown


def _listed(rows: Sequence[RecallRow]) -> RenderableType:
    counts = ("open", "answered", "overdue")
    shown = table("recall", "class", "state", "blocked", *counts, "due", "firm", "product", right=counts)
    for row in rows:
        state = f"{row.state}{', to be read' if row.uncertain else ''}"
        many = map(str, (row.open, row.answered, row.overdue))
        blocked = "yes" if row.blocked else "no"
        shown.add_row(
            row.number, row.classification, state, blocked, *many, when(row.due), row.firm[:30], row.product[:50]
        )
    return shown


def _drawn(view: RecallView) -> Iterator[RenderableType]:
    notice = view.notice
    level = f"class {view.classification}" if view.classification else "not classified yet"
    yield f"{view.number}  {view.state}  {level}  {view.firm}"
    yield view.product
    if notice.reason:
        yield f"reason: {notice.reason}"
    stands = "blocked at the scan and in stock" if view.blocked else "not blocked"
    late = f", {view.overdue} OVERDUE" if view.overdue else ""
    until = f"; the next is due {when(view.due)}" if view.due else ""
    yield f"{stands}; {view.open} tasks open{late}, {view.answered} answered{until}"
    if view.uncertain:
        yield "a person must look at:"
        yield from (f"  {one}" for one in notice.uncertain)
    for title, said in (("it means:", view.scopes), ("it blocks:", view.blocks)):
        yield from _some(title, said)
    if view.unknown_lots:
        yield f"{view.unknown_lots} uses of these items have no lot or serial in our books"
    if view.closed_at:
        yield f"closed {when(view.closed_at)} by {view.closed_by or 'the notice'}: {view.closed_why}"
    if view.tasks:
        yield _tasks(view.tasks)
    if view.more:
        yield "and more tasks: --limit"


def _some(title: str, said: Sequence[str]) -> Iterator[str]:
    if said:
        yield title
        yield from (f"  {one}" for one in said[:20])
        if len(said) > 20:
            yield f"  and {len(said) - 20} more (--json has all)"


def _tasks(tasks: Sequence[RecallTask]) -> RenderableType:
    counts = ("expected", "found")
    shown = table("task", "kind", "facility", "where", *counts, "state", "due", "by", "reason", right=counts)
    for one in tasks:
        found = "" if one.found is None else str(one.found)
        state = one.outcome or one.state
        where = one.procedure or one.location
        about = (one.kind, one.facility, where, str(one.expected), found)
        shown.add_row(one.id, *about, state, when(one.due), one.answered_by, one.reason)
    return shown
