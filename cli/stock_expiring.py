"""``fascia stock expiring``: what our locations hold that has expired or soon does."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import Limit, command
from cli.house import first, open_house
from cli.output import Output, table
from cli.recall_views import ExpiringRow
from cli.stock import app


@command(app, "expiring", lists=True)
async def expiring(
    out: Output,
    within: Annotated[int, typer.Option("--days", min=0, max=3650, help="Within so many days.")] = 90,
    facility: Annotated[str, typer.Option("--facility", help="At this facility only.")] = "",
    location: Annotated[str, typer.Option("--location", help="At this location only.")] = "",
    limit: Limit = 100,
) -> None:
    """List stock that has expired or does within some days, the soonest first; what is expired is stopped at the scan."""
    async with open_house() as house:
        rows, more = first(await house.recalls.expiring(within, facility, location, limit + 1), limit)

    def show() -> list[RenderableType]:
        right = ("quantity", "days")
        shown = table(
            "facility", "location", "item", "lot", "serial", "quantity", "expires", "days", "warned", right=right
        )
        for row in rows:
            held = (
                row.facility,
                row.location,
                row.item,
                row.lot,
                row.serial,
                str(row.quantity),
                row.expires.isoformat(),
            )
            left = f"{row.days}" if row.days >= 0 else f"{row.days} EXPIRED"
            shown.add_row(*held, left, "" if row.warned is None else f"at {row.warned}")
        return [shown]

    out.rows(ExpiringRow, rows, show, more=more)
    if not rows:
        out.say(f"nothing expires within {within} days")
