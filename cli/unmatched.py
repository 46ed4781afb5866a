"""``fascia unmatched``: documents without an open case, for a person to attach to one or to set aside."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType

from cli.case import CaseName, find_case
from cli.command import DryRun, Limit, command, noun
from cli.exits import wrong_usage
from cli.house import first, open_house
from cli.output import Output, table, when
from cli.views import UnmatchedRow

app = noun("Documents without an open case.")

DocumentName = Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its id in the list.")]


@command(app, "list")
async def list_unmatched(
    out: Output,
    facility: Annotated[
        str, typer.Option("--facility", help="Of this facility, and those of which it is not known.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those attached or set aside.")] = False,
    limit: Limit = 50,
) -> None:
    """List the documents that wait for a person, oldest first."""
    async with open_house() as house:
        rows, more = first(await house.unmatched("" if everything else "open", facility, limit + 1), limit)

    def show() -> list[RenderableType]:
        shown = table("document", "facility", "kind", "number", "from", "order", "message", "state", "reason", "since")
        for row in rows:
            state = f"{row.state} to {row.case}" if row.state == "attached" else row.state
            names = (row.id, row.facility, row.kind, row.number, row.supplier, row.order, row.message)
            shown.add_row(*names, state, row.reason, when(row.at))
        return [shown]

    out.rows(UnmatchedRow, rows, show, more=more)
    if not rows:
        out.say("nothing waits")


@command(app, "attach")
async def attach(
    out: Output,
    document: DocumentName,
    case: CaseName,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why it belongs there.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Give a document to a case; the case then handles it as if it had come by itself."""
    async with open_house() as house:
        name = await find_case(house, case)
        row = await house.attach(document, name, reason, dry_run)
    _told(out, row, f"{'would be ' if dry_run else ''}attached to {name}", dry_run)


@command(app, "dismiss")
async def dismiss(
    out: Output,
    document: DocumentName,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why nothing follows from it.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Set a document aside; it stays in the journal and in this list with --all."""
    if not reason.strip():
        raise wrong_usage("dismiss needs a reason", f'`fascia unmatched dismiss {document} --reason "..."`')
    async with open_house() as house:
        row = await house.dismiss(document, reason, dry_run)
    _told(out, row, f"{'would be ' if dry_run else ''}set aside", dry_run)


def _told(out: Output, row: UnmatchedRow, what: str, dry_run: bool) -> None:
    out.data(
        {**row.model_dump(), "dry_run": dry_run},
        lambda: [f"{row.kind} {row.number or row.id} {f'of {row.supplier} ' if row.supplier else ''}{what}"],
    )
