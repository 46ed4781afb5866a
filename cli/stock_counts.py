"""``fascia stock counts``: counts whose lines are not booked, each line with what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from canonical.stock_reports import CountRow
from cli.command import Limit, command
from cli.house import first, open_house
from cli.output import Output, table, when
from cli.stock import Before, app


@command(app, "counts", lists=True)
async def counts(
    out: Output,
    facility: Annotated[str, typer.Option("--facility", help="Of this facility.")] = "",
    location: Annotated[str, typer.Option("--location", help="Of this location.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that are booked or wait, and those counted again since.")
    ] = False,
    before: Before = "",
    limit: Limit = 50,
) -> None:
    """List counts that are parked, newest first, until their location is counted again: each line that is not booked, and why."""
    async with open_house() as house:
        rows, more = first(await house.stock.counts(facility, location, everything, before, limit + 1), limit)
        if not rows and location:
            await house.stock.known(location, facility)
    out.rows(CountRow, rows, lambda: [_drawn(rows)], more=more)
    if not rows:
        out.say("none was counted" if everything else "no count is parked")
    elif more:
        out.say(f"and more: --before {rows[-1].id}")


def _drawn(rows: Sequence[CountRow]) -> RenderableType:
    """A line for each that is parked; a count without one is a line of its own."""
    numbers = ("counted", "expected")
    shown = table(
        "id", "location", "kind", "number", "at", "state", "line", "item", "lot", *numbers, "why", right=numbers
    )
    for row in rows:
        about = (row.id, row.location, row.kind, row.number, when(row.counted_at), row.state)
        if not row.parked:
            shown.add_row(*about, "", "", "", "", "", row.reason)
        for one in row.parked:
            amounts = (
                "" if one.counted is None else str(one.counted),
                "" if one.expected is None else str(one.expected),
            )
            shown.add_row(*about, str(one.line), one.code or one.item, one.lot, *amounts, one.reason or one.cause)
    return shown
