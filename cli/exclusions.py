"""``fascia exclusions``: the lists of people nobody may employ or pay, as they are held, and a new edition by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from canonical.errors import Malformed
from cli.command import DryRun, Limit, command, noun
from cli.exclusion_views import EditionRow, ListLoadedRow
from cli.exits import wrong_usage
from cli.house import first, open_house
from cli.output import Output, table, when

app = noun("Exclusion lists: who may not be employed or paid (OIG's LEIE), edition by edition.")


@command(app, "load")
async def load(
    out: Output,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A full edition of the LEIE (CSV, 18 columns).",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    source: Annotated[str, typer.Option("--source", help="Which list it is: the code of its source.")] = "LEIE",
    smaller: Annotated[
        bool, typer.Option("--smaller", help="Take it though rows of the one before are missing, or it is older.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept with who said it.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Let a full edition take the place of the one before, whole or not at all.

    An empty file, one that was cut off, an older one and one that lacks many rows of the edition in force are refused, and that
    stays in force. Everybody is held against a new edition by the next monthly run.
    """
    if smaller and not reason.strip():
        raise wrong_usage("--smaller needs a reason", "give it by --reason")
    async with open_house() as house:
        try:
            loaded = await house.exclusions.load(source, path.read_bytes(), reason, smaller, dry_run)
        except Malformed as wrong:
            where = f"{path}: {wrong.path}" if wrong.path else str(path)
            raise Malformed(f"{path}: {wrong.message}", path=where, code=wrong.code) from None
    out.data(loaded, lambda: [_said(loaded, dry_run)])


@command(app, "list")
async def list_editions(out: Output, limit: Limit = 20) -> None:
    """List the editions that were loaded, newest first; the current one of each source is what people are held against."""
    async with open_house() as house:
        rows, more = first(await house.exclusions.rows(limit + 1), limit)
    out.rows(EditionRow, rows, lambda: [_listed(rows)], more=more)
    if not rows:
        out.say("no list was ever loaded: fascia exclusions load")
    for row in rows:
        if row.stale:
            out.say(f"{row.source}: two editions were missed; nobody is clear by it for certain")


def _said(loaded: ListLoadedRow, dry_run: bool) -> str:
    what = f"{loaded.source}: {loaded.rows} rows in the place of {loaded.before}"
    if loaded.outcome == "same":
        return f"{loaded.source}: this edition is in force already, {loaded.rows} rows"
    return f"{what} (--dry-run: nothing is kept)" if dry_run else what


def _listed(rows: Sequence[EditionRow]) -> RenderableType:
    shown = table("source", "state", "rows", "loaded", "seen", "by", "file (SHA-256)", right=("rows",))
    for row in rows:
        state = "stale" if row.stale else "current" if row.current else "replaced"
        seen = when(row.seen_at) if row.seen_at else ""
        shown.add_row(row.source, state, str(row.rows), when(row.at), seen, row.by, row.file_hash[:16])
    return shown
