"""``fascia attention``: everything that stands still and needs a person, and what to press."""

from __future__ import annotations

from rich.console import RenderableType

from cli.attention_views import StuckRow
from cli.command import Limit, command, noun
from cli.house import first, open_house
from cli.output import Output, table, when

app = noun("What stands still and needs a person.")


@command(app, "list")
async def list_stuck(out: Output, limit: Limit = 100) -> None:
    """List what is stuck, longest first: streams, dead letters, files, channels, replays, cases; why, and what to press.

    Of one kind and cause there is one line with how many they are, and the first of them by name.
    """
    async with open_house() as house:
        rows, more = first(await house.attention(limit + 1), limit)

    def show() -> list[RenderableType]:
        shown = table("what", "which", "count", "why", "owner", "since", "press", right=("count",))
        for row in rows:
            shown.add_row(row.what, row.name, str(row.count), row.why, row.owner, when(row.since), row.press)
        return [shown]

    out.rows(StuckRow, rows, show, more=more)
    if not rows:
        out.say("nothing stands still")
