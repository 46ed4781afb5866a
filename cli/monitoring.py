"""``fascia monitoring``: the monthly look at everybody, exclusion lists and licences: how far runs came, and one run now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import Limit, command, noun
from cli.exits import wrong_usage
from cli.house import first, open_house
from cli.monitoring_views import MonitoringRow
from cli.output import Output, table, when

app = noun("The monthly look at everybody: exclusion lists and licences, and how far it came.")


@command(app, "list")
async def list_runs(out: Output, limit: Limit = 12) -> None:
    """List the runs, newest first: as of when, in which phase, how many people and licences, who is owed, what was in the way.

    Of the one that goes on, people and licences are counted so far.
    """
    async with open_house() as house:
        rows, more = first(await house.monitoring.rows(limit + 1), limit)
    out.rows(MonitoringRow, rows, lambda: [_listed(rows), *_troubles(rows)], more=more)
    if not rows:
        out.say("there was no run yet: fascia monitoring run --reason ... begins one before its day")


@command(app, "run")
async def run(
    out: Output,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the audit list with who asked.")] = "",
) -> None:
    """Hold everybody against the exclusion lists and ask about every licence now, as the Schedule does each month.

    For the roles support, admin and medical_staff. Refused (5) while a run is under way, and (3) where the Schedule is missing.
    """
    if not reason.strip():
        raise wrong_usage("run needs a reason", 'fascia monitoring run --reason "..."')
    async with open_house() as house:
        begun = await house.monitoring.run(reason)
    out.data(begun, lambda: ["a run begins now: fascia monitoring list says how far it is"])


def _listed(rows: Sequence[MonitoringRow]) -> RenderableType:
    counts = ("people", "asked", "owed", "differing")
    shown = table("run", "as of", "phase", *counts, "last heard", "ended", right=counts)
    for row in rows:
        counted = (str(getattr(row, name)) for name in counts)
        shown.add_row(row.id, when(row.as_of), row.state, *counted, when(row.changed_at), when(row.ended_at))
    return shown


def _troubles(rows: Sequence[MonitoringRow]) -> list[RenderableType]:
    return [f"{row.id}: {row.trouble}" for row in rows if row.trouble]
